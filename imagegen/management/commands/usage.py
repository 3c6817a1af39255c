"""`manage.py usage`: what was made, by whom, and what it cost."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Case, Count, F, Q, Sum, When

from imagegen.management.explained import ExplainedCommand
from imagegen.models import Generation
from imagegen.models.generation import QUOTA_EXCEEDED

NAMES = {"user": "user__username", "group": "user__groups__name", "connection": "connection_name"}
COLUMNS = ("requests", "pictures", "failures", "refusals", "dollars")
DETAILS = """columns:
  requests   all that were written down
  pictures   made and stored, deleted since or not
  failures   requests that ended without a picture
  refusals   requests that a quota refused
  dollars    US dollars that it cost, as far as engine or connection say

By group, a user of several groups is counted in each. Without a name: users that are gone, or in no group.

examples:
  manage.py usage --since 2026-11-27
  manage.py usage --since 2026-11-01 --until 2026-12-01 --by group --csv > november.csv
"""


class Command(ExplainedCommand):
    help = "Report pictures, failures and money, by user, group or connection."
    details = DETAILS

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since",
            required=True,
            type=_day,
            metavar="DATE",
            help="from this UTC day on, such as 2026-11-01",
        )
        parser.add_argument("--until", type=_day, metavar="DATE", help="before this UTC day; default: now")
        parser.add_argument(
            "--by", choices=NAMES, default="user", help="one line for each; default: %(default)s"
        )
        parser.add_argument(
            "--csv", action="store_true", dest="as_csv", help="with a header, for spreadsheets"
        )

    def handle(
        self, *args: Any, since: datetime, until: datetime | None, by: str, as_csv: bool, **options: Any
    ) -> None:
        """One row at a time, as the database sends them."""
        if as_csv:
            writer = csv.writer(self.stdout, lineterminator="\n")
            writer.writerow([by, *COLUMNS])
            writer.writerows((_as_text(name), *numbers) for name, *numbers in _report(since, until, by))
            return
        line = "{:<30}" + "{:>12}" * len(COLUMNS)
        self.stdout.write(line.format(by, *COLUMNS))
        for name, *numbers in _report(since, until, by):
            self.stdout.write(line.format(name or "-", *numbers))


def _report(
    since: datetime, until: datetime | None, by: str
) -> Iterator[tuple[str, int, int, int, int, str]]:
    """Name and COLUMNS, in the order of names."""
    Status = Generation.Status
    made = When(
        status__in=(Status.SUCCEEDED, Status.PARTIAL), then=F("pictures_asked") - F("pictures_failed")
    )
    failed, refused = Q(status=Status.FAILED), Q(error_code=QUOTA_EXCEEDED)
    rows = Generation.objects.filter(created_at__gte=since)
    if until is not None:
        rows = rows.filter(created_at__lt=until)
    report = (
        rows.values_list(NAMES[by])
        .annotate(
            requests=Count("pk"),
            pictures=Sum(Case(made, default=0)),
            failures=Count("pk", filter=failed & ~refused),
            refusals=Count("pk", filter=refused),
            dollars=Sum("cost"),
        )
        .order_by(NAMES[by])
    )
    for name, *counts, dollars in report.iterator():
        yield name or "", *counts, f"{dollars or 0:.6f}"


def _as_text(name: str) -> str:
    """A name that a spreadsheet would take for a formula, marked as text."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


def _day(text: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 2026-11-01") from None
