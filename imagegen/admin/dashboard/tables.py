"""What is shown in tables and tiles: comparisons, breakdowns, errors, and how each connection is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count

from imagegen.admin.dashboard import words
from imagegen.models import EngineConnection, Generation
from imagegen.models.generation import QUOTA_EXCEEDED
from imagegen.rollup.figures import Figures, Kind, Tally

MOST_ERRORS = 10


@dataclass(frozen=True)
class Tile:
    """One figure. `change` in words, against the time before; `mood`: good, bad or even."""

    name: str
    value: str
    change: str
    mood: str


def tiles(figures: Figures) -> list[Tile]:
    now, recent, before = figures.total, figures.recent, figures.previous
    return [
        _tile("Pictures", words.integer(now.pictures), recent.pictures, before.pictures, more_is=0),
        _rate_tile(now, recent, before),
        _tile("Refused by quotas", words.integer(now.refusals), recent.refusals, before.refusals, more_is=0),
        _tile("Waiting time, p50", words.duration(now.p50), recent.p50, before.p50, more_is=-1),
        _tile("Waiting time, p95", words.duration(now.p95), recent.p95, before.p95, more_is=-1),
        _tile("Money", words.money(now.cost), float(recent.cost), float(before.cost), more_is=0),
    ]


def _tile(name: str, value: str, recent: float | None, before: float | None, *, more_is: int) -> Tile:
    if not before or recent is None:
        return Tile(name, value, "nothing to compare with", "even")
    change = recent / before - 1
    if abs(change) < 0.005:
        return Tile(name, value, "as before", "even")
    return Tile(name, value, *_in_words(change, f"{abs(change) * 100:.0f} %", more_is))


def _rate_tile(now: Tally, recent: Tally, before: Tally) -> Tile:
    """Rates differ by percentage points."""
    name, value = "Failure rate", words.share(now.failure_rate)
    if recent.failure_rate is None or before.failure_rate is None:
        return Tile(name, value, "nothing to compare with", "even")
    change = recent.failure_rate - before.failure_rate
    return Tile(name, value, *_in_words(change, f"{abs(change) * 100:.1f} points", -1))


def _in_words(change: float, amount: str, more_is: int) -> tuple[str, str]:
    if abs(change) < 0.0005:
        return "as before", "even"
    moods = {1: "good", -1: "bad", 0: "even"}
    sign = 1 if change > 0 else -1
    return f"{'▲' if sign > 0 else '▼'} {amount} {'more' if sign > 0 else 'less'}", moods[sign * more_is]


@dataclass(frozen=True)
class Bar:
    """A line of a breakdown. `width` in percent of the longest; `href` shows it alone."""

    name: str
    href: str
    width: float
    cells: list[str]
    """Pictures, failures, failure rate, money."""


def breakdowns(figures: Figures, asked: Mapping[str, str]) -> list[tuple[str, list[Bar]]]:
    """Titles and lines."""
    kinds = figures.kinds.items()
    connections = _merged((connection, tally) for (connection, _, _), tally in kinds)
    engines = _merged((engine, tally) for (_, engine, _), tally in kinds)
    return [
        ("By connection", _bars(connections, "connection", asked)),
        ("By engine", _bars(engines, "engine", asked)),
        ("By group", _bars(figures.groups, "group", asked)),
    ]


def _merged(parts: Iterable[tuple[str, Tally]]) -> dict[str, Tally]:
    merged: dict[str, Tally] = defaultdict(Tally)
    for name, tally in parts:
        merged[name].add(vars(tally))
        merged[name].latencies.update(tally.latencies)
    return merged


def _bars(tallies: Mapping[str, Tally], filter: str, asked: Mapping[str, str]) -> list[Bar]:
    most = max((tally.pictures for tally in tallies.values()), default=0) or 1
    ranked = sorted(tallies.items(), key=lambda item: (-item[1].pictures, item[0]))
    return [
        Bar(
            name or "In no group",
            f"?{urlencode({**asked, filter: name})}" if name else "",
            100 * tally.pictures / most,
            _cells(tally),
        )
        for name, tally in ranked
    ]


def _cells(tally: Tally) -> list[str]:
    return [
        words.integer(tally.pictures),
        words.integer(tally.failures),
        words.share(tally.failure_rate),
        words.money(tally.cost),
    ]


def top_errors(kinds: Mapping[Kind, Tally]) -> list[tuple[str, str, str, datetime | None]]:
    """Code, how many requests failed with it, how many had it and got pictures all the same (in part, or of
    another connection), and when it was seen last. Refusals by quota are no errors of an engine."""
    errors = _merged((code, tally) for (_, _, code), tally in kinds.items() if code)
    errors.pop(QUOTA_EXCEEDED, None)
    ranked = sorted(errors.items(), key=lambda item: (-item[1].failures, -item[1].generations, item[0]))
    return [
        (code, words.integer(of.failures), words.integer(of.generations - of.failures), of.last_at)
        for code, of in ranked[:MOST_ERRORS]
    ]


@dataclass(frozen=True)
class Health:
    connection: EngineConnection
    state: str
    mood: str
    running: int
    p95: str
    succeeded_at: datetime | None
    failed_at: datetime | None
    code: str


def health(kinds: Mapping[Kind, Tally], now: datetime) -> list[Health]:
    """Two queries."""
    fields = ("name", "engine", "enabled", "failures", "rests_until", "concurrency")
    under_way = Generation.objects.filter(status=Generation.Status.RUNNING, deadline_at__gt=now).order_by()
    running = dict(under_way.values_list("connection").annotate(number=Count("pk")))
    return [_health(one, kinds, running, now) for one in EngineConnection.objects.only(*fields)]


def _health(
    connection: EngineConnection, kinds: Mapping[Kind, Tally], running: Mapping[Any, int], now: datetime
) -> Health:
    mine = [(code, tally) for (name, _, code), tally in kinds.items() if name == connection.name]
    failed = [(tally.last_at, code) for code, tally in mine if tally.failures and tally.last_at]
    succeeded = [tally.last_at for _, tally in mine if tally.pictures and tally.last_at]
    failed_at, code = max(failed, default=(None, ""))
    return Health(
        connection,
        *_state(connection, now),
        running.get(connection.pk, 0),
        words.duration(_merged(("", tally) for _, tally in mine)[""].p95),
        max(succeeded, default=None),
        failed_at,
        code,
    )


def _state(connection: EngineConnection, now: datetime) -> tuple[str, str]:
    if not connection.enabled:
        return "Switched off", "even"
    if connection.rests_until and connection.rests_until > now:
        return f"Resting until {connection.rests_until:%H:%M:%S}", "bad"
    if connection.failures:
        return f"{connection.failures} failed in a row", "bad"
    return "Well", "good"
