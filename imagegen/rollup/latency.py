"""How long people waited, as a histogram: numbers of deliveries in buckets that each grow by a tenth.

Histograms can be added, percentiles cannot. A percentile read from one lies in the same bucket as the
true one, so it is less than 10 % off.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any

from django.db.models import (
    Case,
    DurationField,
    ExpressionWrapper,
    F,
    FloatField,
    Func,
    IntegerField,
    Q,
    Value,
    When,
)
from django.db.models.functions import Cast, Floor, Greatest, Ln

FACTOR = 1.1
"""Between the ends of a bucket."""
SHORTEST = 0.01
"""Seconds where the first bucket begins. Whatever is faster counts as that."""


class _Seconds(Func):
    """A duration as a number. SQLite has durations in microseconds."""

    template = "CAST(EXTRACT(EPOCH FROM %(expressions)s) AS double precision)"
    output_field = FloatField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="(%(expressions)s / 1e6)", **context)


def bucket_of_generation(delivered: Q) -> Case:
    """The bucket that a generation falls into; NULL where it does not count.

    One that was closed after its deadline waited for somebody to find it, not for an engine.
    """
    waited = ExpressionWrapper(F("finished_at") - F("created_at"), DurationField())
    times = Greatest(_Seconds(waited) / Value(SHORTEST), Value(1.0), output_field=FloatField())
    bucket = Cast(Floor(Ln(times) / Value(log(FACTOR))), IntegerField())
    return Case(When(delivered & Q(finished_at__lte=F("deadline_at")), then=bucket))


def percentile(histogram: Mapping[int, int], share: float) -> float | None:
    """Seconds that `share` (0 to 1) of all waited at most; None where there were none."""
    rank = share * sum(histogram.values())
    passed = 0
    for bucket in sorted(histogram):
        number = histogram[bucket]
        if passed + number >= rank and number:
            return float(SHORTEST * FACTOR ** (bucket + (rank - passed) / number))
        passed += number
    return None
