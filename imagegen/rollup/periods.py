"""Which periods are counted, and counting those that are not. Safe from any machine at any time.

A period is counted once it is settled: nothing that began in it can still be under way. What is younger is
counted afresh at each look. A generation that changes later (a crash's leftovers) marks its periods stale.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from imagegen.models import Generation, Usage, UsagePeriod
from imagegen.models.usage import Span
from imagegen.quotas import LONGEST_RUN
from imagegen.rollup.counting import count

HOURS_KEPT = timedelta(days=16)
"""Hours are looked at for 14 days; then days suffice."""
MOST_AT_A_LOOK = 400
"""Periods that one look at the dashboard counts itself."""
SECONDS_AT_A_LOOK = 2.0
"""After these it begins no further one."""

BOTH = (False, True)
"""Values of `by_group`, named so that the index is used."""

Period = tuple[Span, datetime]


def settled_until(span: Span, now: datetime) -> datetime:
    """The end of the last period of which nothing is under way any more."""
    return span.start_of(now - LONGEST_RUN)


def periods(span: Span, since: datetime, until: datetime) -> Iterator[Period]:
    """From the one that `since` lies in; those that have begun before `until`."""
    start = span.start_of(since)
    while start < until:
        yield span, start
        start += span.length


def first_moment() -> datetime | None:
    """When the first generation began."""
    return Generation.objects.order_by("created_at").values_list("created_at", flat=True).first()


def uncounted(wanted: Iterable[Period]) -> list[Period]:
    """Those that are not counted, or stale; in the order given. One query."""
    wanted = list(wanted)
    if not wanted:
        return []
    starts = [start for _, start in wanted]
    within = UsagePeriod.objects.filter(starts_at__range=(min(starts), max(starts)), stale=False)
    counted = set(within.values_list("span", "starts_at"))
    return [period for period in wanted if period not in counted]


def roll_up(period: Period) -> None:
    """Count a settled period, unless somebody else has just done so."""
    span, start = period
    with transaction.atomic():
        UsagePeriod.objects.bulk_create([UsagePeriod(span=span, starts_at=start)], ignore_conflicts=True)
        mark = UsagePeriod.objects.select_for_update().get(span=span, starts_at=start)
        if not mark.stale:
            return
        Usage.objects.filter(span=span, by_group__in=BOTH, starts_at=start).delete()
        for by_group in BOTH:
            Usage.objects.bulk_create(count(start, start + span.length, span, by_group=by_group))
        mark.stale = False
        mark.save()


def roll_up_some(wanted: Iterable[Period]) -> list[Period]:
    """Count what is missing of these, as far as a look at a page has the time; return what is left."""
    missing = uncounted(wanted)
    until = time.monotonic() + SECONDS_AT_A_LOOK
    done = 0
    for period in missing[:MOST_AT_A_LOOK]:
        if time.monotonic() > until:
            break
        roll_up(period)
        done += 1
    return missing[done:]


def roll_up_all(since: datetime | None = None) -> dict[Span, int]:
    """Count all that is missing, a period at a time, the newest first; return how many.

    `since`: count everything from the day on that it lies in, counted before or not.
    """
    now = timezone.now()
    if since is not None:
        UsagePeriod.objects.filter(starts_at__gte=Span.DAY.start_of(since)).update(stale=True)
    first = first_moment()
    done = {}
    for span in Span:
        begins = max(first or now, now - HOURS_KEPT) if span == Span.HOUR else (first or now)
        missing = uncounted(periods(span, begins, settled_until(span, now)))
        for period in reversed(missing):
            roll_up(period)
        done[span] = len(missing)
    return done


def prune() -> int:
    """Forget hours that nobody looks at any more; their days stay. Return how many rows."""
    old = Span.DAY.start_of(timezone.now() - HOURS_KEPT)
    with transaction.atomic():
        UsagePeriod.objects.filter(span=Span.HOUR, starts_at__lt=old).delete()
        return Usage.objects.filter(span=Span.HOUR, by_group__in=BOTH, starts_at__lt=old).delete()[0]
