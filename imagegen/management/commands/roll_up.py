"""`manage.py roll_up`: to be run by a timer; see docs/dashboard.md."""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime, time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from imagegen.lifecycle.report import Report
from imagegen.overdue import close_overdue
from imagegen.rollup import periods


class Command(BaseCommand):
    help = (
        "Count pictures, failures, waiting times and money by hour and day, for the dashboard: what is not "
        "counted yet, and what has changed since. May be stopped and run again, on any number of machines."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since", type=_day, metavar="DATE", help="count again from this UTC day on, counted or not"
        )

    def handle(self, *args: Any, since: datetime | None, **options: Any) -> None:
        report = Report(self.stdout.write)
        report.count("generations closed", close_overdue())
        for span, number in periods.roll_up_all(since).items():
            report.count(f"{span}s counted", number)
        report.count("rows of old hours forgotten", periods.prune())
        self.stdout.write(report.summary())


def _day(text: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 2026-11-01") from None
