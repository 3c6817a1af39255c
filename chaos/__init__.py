"""Easel under steady load while things die. `python -m chaos --help`; docs/chaos.md says what it shows."""
