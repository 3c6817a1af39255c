"""Commands whose `--help` suffices: our own options first, then examples, units and exit codes."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandParser, DjangoHelpFormatter

EXIT_CODES = """
exit code: 0 done; 1 refused or failed: a sentence on standard error, and nothing is changed;
2 the command line is not understood.
"""


class Help(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Django's options come last; examples stay as they are written."""


class ExplainedCommand(BaseCommand):
    """`help` is one sentence; `details` are what follows the options."""

    details = ""
    exit_codes = EXIT_CODES

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, epilog=self.details + self.exit_codes, formatter_class=Help, **kwargs
        )
