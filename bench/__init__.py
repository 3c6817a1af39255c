"""Load on Easel as it is run. `python -m bench --help`; docs/performance.md explains the figures."""
