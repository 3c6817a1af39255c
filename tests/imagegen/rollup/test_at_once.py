"""Counting and changing at the same time: nothing that changed stays counted as it was."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction

from imagegen.models import Generation, Usage, UsagePeriod
from imagegen.models.usage import Span
from imagegen.rollup import periods
from tests.imagegen.rollup.making import NOW, begun

DAY = (Span.DAY, Span.DAY.start_of(NOW - timedelta(days=2)))


pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor == "sqlite",
        reason="in memory nobody waits, all fail",
    ),
]


def test_whoever_counts_waits_for_a_change_that_is_being_written() -> None:
    generation = begun(timedelta(days=2), status="failed", error_code="interrupted", pictures_failed=1)
    periods.roll_up(DAY)

    def count() -> None:
        try:
            periods.roll_up(DAY)
        finally:
            connection.close()

    with transaction.atomic():
        Generation.objects.filter(pk=generation.pk).update(
            status="succeeded", error_code="", pictures_failed=0
        )
        UsagePeriod.objects.mark_stale([generation.created_at])
        thread = threading.Thread(target=count)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive(), "it waits"
    thread.join(30)
    assert list(Usage.objects.filter(by_group=False).values_list("pictures", "failures")) == [(1, 0)]


def test_many_that_count_at_once_count_once() -> None:
    begun(timedelta(days=2))
    failed: list[BaseException] = []

    def count() -> None:
        try:
            periods.roll_up(DAY)
        except BaseException as error:  # noqa: BLE001
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert Usage.objects.filter(by_group=False).count() == 1
