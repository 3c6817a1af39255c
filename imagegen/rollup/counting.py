"""Generations -> rows that say how many there were, counted by the database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Case, Count, F, Max, Q, Sum, Value, When
from django.db.models.functions import Coalesce, Trunc

from imagegen.models import Generation, Usage
from imagegen.models.generation import QUOTA_EXCEEDED
from imagegen.models.usage import KIND, Span
from imagegen.rollup.latency import bucket_of_generation

_REFUSED = Q(error_code=QUOTA_EXCEEDED)
_DELIVERED = Q(status__in=(Generation.Status.SUCCEEDED, Generation.Status.PARTIAL))
_COUNTS: dict[str, Any] = {
    "count": Count("pk"),
    "failed": Count("pk", filter=Q(status=Generation.Status.FAILED) & ~_REFUSED),
    "refused": Count("pk", filter=_REFUSED),
    "made": Sum(Case(When(_DELIVERED, then=F("pictures_asked") - F("pictures_failed")), default=0)),
    "dollars": Sum("cost"),
    "last": Max("created_at"),
}


def count(since: datetime, until: datetime, span: Span, *, by_group: bool) -> list[Usage]:
    """What began in `since` (included) to `until` (excluded) and has ended, period by period; not saved.

    One query, through the index on `created_at`.
    """
    rows: dict[tuple[Any, ...], Usage] = {}
    for found in _query(since, until, span, by_group=by_group):
        key = (found["start"], found["group"], *(found[name] for name in KIND))
        if key not in rows:
            rows[key] = _empty(found, span, by_group=by_group)
        _add(rows[key], found)
    return list(rows.values())


def _query(since: datetime, until: datetime, span: Span, *, by_group: bool) -> Iterable[dict[str, Any]]:
    group = Coalesce(F("user__groups__name"), Value("")) if by_group else Value("")
    ended = Generation.objects.filter(created_at__gte=since, created_at__lt=until, finished_at__isnull=False)
    counted: Iterable[dict[str, Any]] = (
        ended.order_by()
        .values(
            *KIND,
            start=Trunc("created_at", span.value, tzinfo=UTC),
            group=group,
            bucket=bucket_of_generation(_DELIVERED),
        )
        .annotate(**_COUNTS)
        .iterator()
    )
    return counted


def _empty(found: dict[str, Any], span: Span, *, by_group: bool) -> Usage:
    return Usage(
        span=span,
        starts_at=found["start"],
        by_group=by_group,
        group_name=found["group"],
        **{name: found[name] for name in KIND},
        generations=0,
        failures=0,
        refusals=0,
        pictures=0,
        cost=Decimal(0),
        last_at=found["last"],
    )


def _add(row: Usage, found: dict[str, Any]) -> None:
    row.generations += found["count"]
    row.failures += found["failed"]
    row.refusals += found["refused"]
    row.pictures += found["made"]
    row.cost += found["dollars"] or 0
    row.last_at = max(row.last_at, found["last"])
    if found["bucket"] is not None:
        row.latencies[str(found["bucket"])] = found["count"]
