"""Percentiles from histograms: near the true ones, on either database."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from math import ceil
from random import Random

import pytest

from imagegen.models.usage import Span
from imagegen.rollup.counting import count
from imagegen.rollup.latency import percentile
from tests.imagegen.rollup.making import NOW, begun


@pytest.mark.django_db
@pytest.mark.parametrize("share", [0.01, 0.5, 0.95, 1.0])
def test_a_percentile_is_less_than_a_tenth_off(share: float) -> None:
    random = Random(7)
    seconds = sorted(random.lognormvariate(1, 1.2) for _ in range(300))
    for number in seconds:
        begun(timedelta(minutes=1), seconds=number, deadline_at=NOW + timedelta(days=1))
    histogram: Counter[int] = Counter()
    for row in count(NOW - timedelta(hours=1), NOW, Span.HOUR, by_group=False):
        histogram.update({int(bucket): number for bucket, number in row.latencies.items()})
    assert histogram.total() == 300
    true = seconds[ceil(share * 300) - 1]
    assert percentile(histogram, share) == pytest.approx(true, rel=0.1)


def test_nothing_has_no_percentile() -> None:
    assert percentile({}, 0.5) is None
