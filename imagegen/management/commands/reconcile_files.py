"""`manage.py reconcile_files`: to be run by a timer, and after a crash; see docs/lifecycle.md."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from imagegen.lifecycle import recovery
from imagegen.lifecycle.inventory import EmptyStorage, Inventory
from imagegen.lifecycle.report import Report
from imagegen.overdue import close_overdue
from imagegen.storage import NotWritten


class Command(BaseCommand):
    help = (
        "Find what a crash left behind: answers of engines, bytes without a row, rows without bytes. "
        "Pictures are given back to their person. What is younger than the longest deadline is left alone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument(
            "--discard", action="store_true", help="remove answers and files that can be given to nobody"
        )
        parser.add_argument(
            "--remove-rows",
            action="store_true",
            help="remove rows whose bytes are gone, not only report them",
        )

    def handle(self, *args: Any, dry_run: bool, discard: bool, remove_rows: bool, **options: Any) -> None:
        report = Report(self.stdout.write, dry_run=dry_run)
        try:
            with recovery.alone():
                if not dry_run:
                    report.count("generations closed", close_overdue())
                recovery.recover_answers(report, discard=discard)
                Inventory(report, discard=discard, remove_rows=remove_rows).take()
        except recovery.Busy:
            self.stdout.write("Another run is at work on this machine.")
            return
        except NotWritten as error:
            raise CommandError(f"The storage does not take the pictures; they are kept. {error}") from None
        except EmptyStorage:
            raise CommandError(
                "There are rows, but not one file in the storage: check EASEL_STORAGE. No row was removed."
            ) from None
        self.stdout.write(report.summary())
