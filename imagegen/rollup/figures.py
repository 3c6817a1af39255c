"""What a look at a stretch of time shows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from imagegen.models.usage import Span
from imagegen.rollup import periods
from imagegen.rollup.latency import percentile

NUMBERS = ("generations", "failures", "refusals", "pictures", "cost")
Kind = tuple[str, str, str]
"""Connection, engine, error code."""


@dataclass(frozen=True)
class Stretch:
    """`number` steps that end with the one that is under way; each is some whole `span`s long."""

    label: str
    span: Span
    step: timedelta
    number: int

    @property
    def length(self) -> timedelta:
        return self.step * self.number

    def starts(self, now: datetime) -> list[datetime]:
        """Of its steps; they begin when the clock says so, in UTC."""
        midnight = Span.DAY.start_of(now)
        last = midnight + (now - midnight) // self.step * self.step
        return [last - self.step * k for k in reversed(range(self.number))]


STRETCHES = {
    "24h": Stretch("24 hours", Span.HOUR, timedelta(hours=1), 24),
    "7d": Stretch("7 days", Span.HOUR, timedelta(hours=4), 42),
    "30d": Stretch("30 days", Span.DAY, timedelta(days=1), 30),
    "90d": Stretch("90 days", Span.DAY, timedelta(days=1), 90),
}


@dataclass
class Tally:
    """Several counts added up. `generations` are those that have ended, refused ones included."""

    generations: int = 0
    failures: int = 0
    refusals: int = 0
    pictures: int = 0
    cost: Decimal = Decimal(0)
    latencies: Counter[int] = field(default_factory=Counter)
    last_at: datetime | None = None

    def add(self, numbers: Mapping[str, Any]) -> None:
        for name in NUMBERS:
            setattr(self, name, getattr(self, name) + numbers[name])
        known = [moment for moment in (self.last_at, numbers["last_at"]) if moment]
        self.last_at = max(known, default=None)

    def add_latencies(self, histogram: Mapping[str, int]) -> None:
        for bucket, number in histogram.items():
            self.latencies[int(bucket)] += number

    @property
    def attempts(self) -> int:
        """Generations that no quota refused."""
        return self.generations - self.refusals

    @property
    def failure_rate(self) -> float | None:
        return self.failures / self.attempts if self.attempts else None

    @property
    def p50(self) -> float | None:
        return percentile(self.latencies, 0.5)

    @property
    def p95(self) -> float | None:
        return percentile(self.latencies, 0.95)


@dataclass
class Figures:
    """All of a look.

    Attributes:
        steps: one tally for each step of the stretch.
        total: of the whole stretch.
        recent, previous: of the stretch without the hour or day that is under way, and of as much time
            before it: these can be compared.
        kinds, groups: of the whole stretch.
        health: of everybody, whatever is filtered, in the last 30 days; latencies of the last 24 hours.
        uncounted: periods that are not counted yet, or have changed since.
    """

    starts: list[datetime]
    steps: list[Tally]
    total: Tally = field(default_factory=Tally)
    recent: Tally = field(default_factory=Tally)
    previous: Tally = field(default_factory=Tally)
    kinds: dict[Kind, Tally] = field(default_factory=lambda: defaultdict(Tally))
    groups: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    health: dict[Kind, Tally] = field(default_factory=lambda: defaultdict(Tally))
    uncounted: list[periods.Period] = field(default_factory=list)
