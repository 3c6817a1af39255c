"""`manage.py rotate_encryption`: after a new encryption key, before the old one goes."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from imagegen.configuration.rotation import rotate_keys
from imagegen.lifecycle.report import Report
from imagegen.management.explained import ExplainedCommand

DETAILS = """examples:
  manage.py rotate_encryption --dry-run   # what would be done; whether every key can be decrypted
  manage.py rotate_encryption

Put the new key in front, so that EASEL_ENCRYPTION_KEYS is NEW,OLD, and restart every process first: one
that lacks NEW could not read what is rotated. Once this has ended with 0, OLD may go: docs/operations.md has
all steps.

It may run while Easel serves, be stopped, and run again. A key that is entered meanwhile is never replaced
by the one before it; a form of a connection that is open meanwhile has to be loaded again.
"""
EXIT_CODES = """
exit code: 0 done; 1 some cannot be decrypted, and are named: all others are encrypted again;
2 the command line is not understood.
"""


class Command(ExplainedCommand):
    help = "Encrypt every stored credential again, under the first of EASEL_ENCRYPTION_KEYS."
    details = DETAILS
    exit_codes = EXIT_CODES

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say what would be done, change nothing")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        report = Report(self.stdout.write, dry_run=dry_run)
        rotate_keys(report)
        self.stdout.write(report.summary())
        if report.faults:
            raise CommandError(
                "EASEL_ENCRYPTION_KEYS lacks the key that these were encrypted with. Put it back, behind the "
                "first, and run this again; or enter the keys of these connections again."
            )
