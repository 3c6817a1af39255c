"""`manage.py move_files`: to another storage, in as many runs as it takes; see docs/lifecycle.md."""

from __future__ import annotations

from typing import Any

from django.core.files.storage import Storage, default_storage
from django.core.management.base import BaseCommand, CommandError, CommandParser

from imagegen.lifecycle.moving import SamePlace, move, open_storage
from imagegen.lifecycle.report import Report


class Command(BaseCommand):
    help = (
        "Copy every picture and thumbnail to another storage, and verify each by its SHA-256. "
        "Run it, switch EASEL_STORAGE, and run it again with --from the old one for what came meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--to", required=True, metavar="URL", help="as EASEL_STORAGE has it")
        parser.add_argument("--from", dest="source", metavar="URL", help="without it: what is configured")
        parser.add_argument(
            "--delete-source", action="store_true", help="remove each file from the source once verified"
        )

    def handle(self, *args: Any, to: str, source: str | None, delete_source: bool, **options: Any) -> None:
        report = Report(self.stdout.write)
        old = _open("--from", source) if source else default_storage
        try:
            move(old, _open("--to", to), report, delete_source=delete_source)
        except SamePlace as error:
            raise CommandError(str(error)) from None
        self.stdout.write(report.summary())
        if report.faults:
            raise CommandError(f"{report.faults} files were not copied; they are named above.")


def _open(option: str, url: str) -> Storage:
    try:
        return open_storage(url)
    except ValueError as error:
        raise CommandError(f"{option} {error}.") from None
