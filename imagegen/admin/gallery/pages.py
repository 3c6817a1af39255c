"""Pages of a list, newest first, by where the last one ended: never by number, never counted.

A page costs what it shows, however long the list is. Where no index leads to what is asked for, PostgreSQL
may look for a moment; after that, and on SQLite at once, a stretch of the list is looked through and the page
says how far it got.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from django.db import OperationalError, connection, transaction
from django.db.models import Q, QuerySet

STRETCH = 20_000
"""Rows that are looked through for one page where no index leads to what is asked for."""
PATIENCE = 2000
"""Milliseconds that PostgreSQL may look through all of them first."""

NEWEST, OLDEST = ("-created_at", "-id"), ("created_at", "id")
_PLACE = re.compile(r"(\d{8}T\d{6}\.\d{6})-([0-9a-f]{32})", re.ASCII)
_MOMENT = "%Y%m%dT%H%M%S.%f"


@dataclass(frozen=True)
class Place:
    """A row's place in the list. As text it stands in an address."""

    created_at: datetime
    pk: UUID

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError."""
        match = _PLACE.fullmatch(text)
        if match is None:
            raise ValueError("no place")
        return cls(datetime.strptime(match[1], _MOMENT).replace(tzinfo=UTC), UUID(match[2]))

    def __str__(self) -> str:
        return f"{self.created_at.astimezone(UTC):{_MOMENT}}-{self.pk.hex}"

    def older(self) -> Q:
        """The first condition is one that an index understands."""
        at = self.created_at
        return Q(created_at__lte=at) & (Q(created_at__lt=at) | Q(created_at=at, id__lt=self.pk))

    def newer(self) -> Q:
        at = self.created_at
        return Q(created_at__gte=at) & (Q(created_at__gt=at) | Q(created_at=at, id__gt=self.pk))

    def not_older(self) -> Q:
        return Q(created_at__gte=self.created_at) & ~Q(created_at=self.created_at, id__lt=self.pk)

    def not_newer(self) -> Q:
        return Q(created_at__lte=self.created_at) & ~Q(created_at=self.created_at, id__gt=self.pk)


@dataclass(frozen=True)
class Question:
    """What is looked for.

    Attributes:
        rows: those that may be seen, in no order.
        lead: a condition whose index goes on in the order of the list, or none.
        rest: further conditions. With any, an index may lead nowhere near what fulfils all of them.
        in_stretch: the same, in words that no index of the whole table is tempted by.
        looks_everywhere: whether it makes sense to let PostgreSQL try.
    """

    rows: QuerySet[Any]
    lead: Q = field(default_factory=Q)
    rest: Q = field(default_factory=Q)
    in_stretch: Q = field(default_factory=Q)
    looks_everywhere: bool = True


@dataclass(frozen=True)
class Page:
    """Rows, newest first; where the pages around it begin; how far it was looked, if not through all."""

    rows: list[Any]
    newer: Place | None = None
    older: Place | None = None
    looked_to: datetime | None = None


def read(question: Question, size: int, *, before: Place | None = None, after: Place | None = None) -> Page:
    """The page that ends right after `after`, or begins right before `before`, or the first."""
    rows, end = _find(question, size + 1, before=before, after=after)
    more = len(rows) > size
    rows = rows[:size]
    onward = _place(rows[-1]) if more else end
    looked_to = end.created_at if end and not more else None
    if after is None:
        return Page(rows, _place(rows[0]) if rows and before else None, onward, looked_to)
    rows.reverse()
    return Page(rows, onward, _place(rows[-1]) if rows else None, looked_to)


def _place(row: Any) -> Place:
    return Place(row.created_at, row.pk)


def _find(
    question: Question, number: int, *, before: Place | None, after: Place | None
) -> tuple[list[Any], Place | None]:
    """Rows in the order in which they are looked for, and the place where that ended early."""
    rows = question.rows.filter(question.lead)
    if before or after:
        rows = rows.filter(before.older() if before else after.newer() if after else Q())
    rows = rows.order_by(*(OLDEST if after else NEWEST))
    wanted = rows.filter(question.rest)
    if not question.rest:
        return list(wanted[:number]), None
    if question.looks_everywhere and connection.vendor == "postgresql":
        found = _within(PATIENCE, wanted[:number])
        if found is not None:
            return found, None
    end = _end_of_stretch(rows)
    within = rows.filter(question.in_stretch)
    if end is not None:
        within = within.filter(end.not_newer() if after else end.not_older())
    return list(within[:number]), end


def _end_of_stretch(rows: QuerySet[Any]) -> Place | None:
    """Read from an index. None where so many there are not."""
    last: Iterable[tuple[datetime, UUID]] = rows.values_list("created_at", "id")[STRETCH - 1 : STRETCH]
    for created_at, pk in last:
        return Place(created_at, pk)
    return None


def _within(milliseconds: int, rows: QuerySet[Any]) -> list[Any] | None:
    """None where PostgreSQL needed longer."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)])
            return list(rows)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != "57014":  # canceled by the timeout
            raise
        return None
