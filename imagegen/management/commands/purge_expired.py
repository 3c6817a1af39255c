"""`manage.py purge_expired`: to be run by a timer; see docs/lifecycle.md."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from imagegen.lifecycle.expiry import purge
from imagegen.lifecycle.report import Report


class Command(BaseCommand):
    help = (
        "Delete pictures whose time is over, close what a crash left running, and forget what means "
        "nothing any more. Any number of machines may run it at once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        report = Report(self.stdout.write, dry_run=dry_run)
        purge(report)
        self.stdout.write(report.summary())
