"""A look at a stretch of time: settled periods are read from their rows, what is younger is counted now.

The number of queries is the same whatever there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max, Q, QuerySet, Sum

from imagegen.models import Usage
from imagegen.models.usage import Span
from imagegen.rollup import periods
from imagegen.rollup.counting import count
from imagegen.rollup.figures import NUMBERS, Figures, Kind, Stretch, Tally

LOOK_BACK = timedelta(days=30)
"""How far a connection's last success and failure are looked for."""
HEALTH_SINCE = timedelta(days=1)
"""What a connection's p95 is of."""


@dataclass
class Look:
    """At one stretch, through `filters`: fields of a usage row -> what they must be. With `group_name` among
    them, at what this group's members did."""

    stretch: Stretch
    filters: Mapping[str, str]
    now: datetime

    def __post_init__(self) -> None:
        self.settled = {span: periods.settled_until(span, self.now) for span in Span}
        starts = self.stretch.starts(self.now)
        self.begins = starts[0]
        self.before = self.begins - self.stretch.length
        self.under_way = self.stretch.span.start_of(self.now)
        self.scope = {"by_group": "group_name" in self.filters, **self.filters}
        self.group_scope = {**self.scope, "by_group": True}
        self.group_scope.pop("group_name", None)
        self.figures = Figures(starts, [Tally() for _ in starts])

    def take(self) -> Figures:
        """Count what is missing as far as there is time for, then read."""
        first = periods.first_moment()
        if first is not None:
            wanted = [(span, start) for span, start in self._wanted() if start + span.length > first]
            self.figures.uncounted = periods.roll_up_some(wanted)
            since = self.settled[Span.HOUR]
            young = [
                row
                for by_group in (False, True)
                for row in count(since, self.now, Span.HOUR, by_group=by_group)
            ]
            self._read_steps(young)
            self._read_latencies(young)
            self._read_kinds(young)
            self._read_groups(young)
            self._read_health(young)
        return self.figures

    def _wanted(self) -> list[periods.Period]:
        """The newest first, and what is looked at before what it is compared with."""
        parts = [
            *self._parts(self.stretch.span, self.begins),
            *self._parts(self.stretch.span, self.before, self.begins),
            *self._parts(Span.DAY, self.now - LOOK_BACK),
            *self._parts(Span.HOUR, self.now - HEALTH_SINCE),
        ]
        listed = (reversed(list(periods.periods(*part))) for part in parts)
        return list(dict.fromkeys(period for part in listed for period in part))

    def _parts(
        self, span: Span, since: datetime, until: datetime | None = None
    ) -> list[tuple[Span, datetime, datetime]]:
        """Settled periods that cover a stretch: its days, and the hours of the day that is not over."""
        end = min(until or self.now, self.settled[span])
        parts = [(span, span.start_of(since), end)]
        if span == Span.DAY and until is None:
            parts.append((Span.HOUR, end, self.settled[Span.HOUR]))
        return parts

    def _rows(self, span: Span, since: datetime, **scope: Any) -> QuerySet[Usage]:
        """Days are named one by one: PostgreSQL takes a range of recent ones for larger than it is, since
        recent times are those of hours too, and would read all days there are."""
        within = Q()
        for part, start, end in self._parts(span, since):
            if part == Span.DAY:
                within |= Q(span=part, starts_at__in=[day for _, day in periods.periods(part, start, end)])
            else:
                within |= Q(span=part, starts_at__gte=start, starts_at__lt=end)
        return Usage.objects.filter(within, **scope).order_by()

    def _read_steps(self, young: Iterable[Usage]) -> None:
        rows = self._rows(self.stretch.span, self.before, **self.scope).values("starts_at")
        for numbers in (*_sums(rows), *_of(young, self.scope)):
            for tally in self._tallies(numbers["starts_at"]):
                tally.add(numbers)

    def _read_latencies(self, young: Iterable[Usage]) -> None:
        rows = self._rows(self.stretch.span, self.before, **self.scope).filter(pictures__gt=0)
        fields = ("starts_at", "connection_name", "engine", "error_code", "latencies")
        for start, *kind, histogram in (
            *rows.values_list(*fields),
            *(tuple(numbers[name] for name in fields) for numbers in _of(young, self.scope)),
        ):
            for tally in self._tallies(start):
                tally.add_latencies(histogram)
            if start >= self.begins:
                self.figures.kinds[_kind(kind)].add_latencies(histogram)

    def _read_kinds(self, young: Iterable[Usage]) -> None:
        rows = self._rows(self.stretch.span, self.begins, **self.scope)
        _add_kinds(self.figures.kinds, rows, _of(young, self.scope, since=self.begins))

    def _read_groups(self, young: Iterable[Usage]) -> None:
        rows = self._rows(self.stretch.span, self.begins, **self.group_scope).values("group_name")
        for numbers in (*_sums(rows), *_of(young, self.group_scope, since=self.begins)):
            self.figures.groups[numbers["group_name"]].add(numbers)

    def _read_health(self, young: Iterable[Usage]) -> None:
        """Of everybody, whatever the filters."""
        everybody = {"by_group": False}
        recent = _of(young, everybody)
        rows = self._rows(Span.DAY, self.now - LOOK_BACK, **everybody)
        _add_kinds(self.figures.health, rows, recent)
        delivered = self._rows(Span.HOUR, self.now - HEALTH_SINCE, **everybody).filter(pictures__gt=0)
        fields = ("connection_name", "engine", "error_code", "latencies")
        for *kind, histogram in (
            *delivered.values_list(*fields),
            *(tuple(numbers[name] for name in fields) for numbers in recent),
        ):
            self.figures.health[_kind(kind)].add_latencies(histogram)

    def _tallies(self, start: datetime) -> list[Tally]:
        """What a period that starts then counts towards."""
        figures, found = self.figures, []
        if start >= self.begins:
            found = [figures.total, figures.steps[(start - self.begins) // self.stretch.step]]
        if self.begins <= start < self.under_way:
            found.append(figures.recent)
        if self.before <= start < self.under_way - self.stretch.length:
            found.append(figures.previous)
        return found


def _sums(rows: Any) -> list[dict[str, Any]]:
    """One query, for rows grouped by `values()`."""
    sums = rows.annotate(last=Max("last_at"), **{f"sum_of_{name}": Sum(name) for name in NUMBERS})
    return [
        {
            **found,
            "last_at": found["last"],
            **{name: found[f"sum_of_{name}"] for name in NUMBERS},
        }
        for found in sums
    ]


def _of(
    rows: Iterable[Usage], scope: Mapping[str, Any], since: datetime | None = None
) -> list[dict[str, Any]]:
    return [
        vars(row)
        for row in rows
        if all(getattr(row, name) == value for name, value in scope.items())
        and (since is None or row.starts_at >= since)
    ]


def _add_kinds(kinds: dict[Kind, Tally], rows: QuerySet[Usage], young: Iterable[dict[str, Any]]) -> None:
    fields = ("connection_name", "engine", "error_code")
    for numbers in (*_sums(rows.values(*fields)), *young):
        kinds[_kind([numbers[name] for name in fields])].add(numbers)


def _kind(fields: Iterable[str]) -> Kind:
    connection, engine, code = fields
    return connection, engine, code
