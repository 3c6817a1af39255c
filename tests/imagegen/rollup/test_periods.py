"""Counting by hour and day: once, again where something changed, and the same as the rows say."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import transaction

from imagegen.lifecycle import stories
from imagegen.models import Generation, Usage, UsagePeriod
from imagegen.models.usage import Span
from imagegen.overdue import close_overdue
from imagegen.rollup import periods
from tests.imagegen.rollup.making import NOW, begun

pytestmark = pytest.mark.django_db
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def numbers(**of: Any) -> list[tuple[int, ...]]:
    rows = Usage.objects.filter(**{"span": "day", "by_group": False} | of).order_by("error_code")
    return list(rows.values_list("generations", "failures", "refusals", "pictures"))


def test_each_kind_is_one_row() -> None:
    begun(2 * DAY, pictures_asked=4, pictures_failed=1, status="partial", cost=Decimal("0.4"))
    begun(2 * DAY, pictures_asked=2, cost=Decimal("0.2"))
    begun(2 * DAY, status="failed", error_code="engine_timeout", pictures_failed=1)
    begun(2 * DAY, status="failed", error_code="quota_exceeded")
    begun(2 * DAY, status="running", finished_at=None)
    periods.roll_up_all()
    assert numbers() == [(2, 0, 0, 5), (1, 1, 0, 0), (1, 0, 1, 0)]
    assert Usage.objects.get(span="hour", by_group=False, error_code="").cost == Decimal("0.6")


def test_whoever_is_in_two_groups_is_counted_in_both_and_once_for_all(member: User) -> None:
    member.groups.add(Group.objects.create(name="Press"))
    begun(2 * DAY, user=member)
    begun(2 * DAY)
    periods.roll_up_all()
    assert numbers() == [(2, 0, 0, 2)]
    by_group = Usage.objects.filter(span="day", by_group=True).order_by("group_name")
    assert list(by_group.values_list("group_name", "generations")) == [
        ("", 1), ("Image creators", 1), ("Press", 1)
    ]  # fmt: skip
    Group.objects.all().delete()
    member.delete()
    periods.roll_up_all()
    assert by_group.filter(group_name="Press").exists(), "history keeps its names"


def test_counting_twice_counts_once() -> None:
    begun(2 * DAY)
    periods.roll_up_all()
    before = list(Usage.objects.order_by("pk").values())
    assert periods.roll_up_all() == {Span.HOUR: 0, Span.DAY: 0}
    periods.roll_up((Span.DAY, Span.DAY.start_of(NOW - 2 * DAY)))
    assert list(Usage.objects.order_by("pk").values()) == before
    assert periods.roll_up_all(since=NOW - 2 * DAY)[Span.DAY] == 2
    assert numbers() == [(1, 0, 0, 1)]


def test_what_may_be_under_way_is_not_counted_yet() -> None:
    begun(2 * HOUR)
    begun(3 * HOUR)
    periods.roll_up_all()
    assert numbers(span="hour") == [(1, 0, 0, 1)]
    assert not numbers(), "the day is not over"


def test_closing_what_a_crash_left_has_its_periods_counted_again() -> None:
    begun(2 * DAY, status="running", finished_at=None)
    periods.roll_up_all()
    assert numbers() == []
    assert close_overdue() == 1
    assert periods.roll_up_all() == {Span.HOUR: 1, Span.DAY: 1}
    assert numbers() == [(1, 1, 0, 0)]


def test_a_recovery_has_its_periods_counted_again() -> None:
    generation = begun(2 * DAY, status="failed", error_code="interrupted", pictures_failed=1, seconds=9999)
    periods.roll_up_all()
    from imagegen.models import ImageFile

    file = ImageFile(
        generation=generation, file="pictures/x.png", name="x", content_type="image/png", width=1, height=1,
        native_width=1, native_height=1, size=1, sha256="0" * 64,
    )  # fmt: skip
    with transaction.atomic():
        assert stories.record_found(generation, [file], connection=None)
    periods.roll_up_all()
    assert numbers() == [(1, 0, 0, 1)]
    assert Usage.objects.get(span="day", by_group=False).latencies == {}, "nobody waited for an engine"


def test_a_later_refusal_has_its_periods_counted_again() -> None:
    from imagegen.engines.errors import PromptRejected

    generation = begun(2 * DAY, status="failed", error_code="interrupted", pictures_failed=1)
    periods.roll_up_all()
    with transaction.atomic():
        stories.record_refusal(generation, PromptRejected(), "studio")
    periods.roll_up_all()
    assert (
        list(Usage.objects.filter(by_group=False).values_list("error_code", flat=True))
        == ["prompt_rejected"] * 2
    )


def test_a_look_counts_the_first_ones_and_leaves_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    begun(9 * HOUR)
    wanted = list(reversed(list(periods.periods(Span.HOUR, NOW - 9 * HOUR, NOW - 2 * HOUR))))
    monkeypatch.setattr(periods, "MOST_AT_A_LOOK", 3)
    monkeypatch.setattr(periods, "SECONDS_AT_A_LOOK", 600.0)
    assert periods.roll_up_some(wanted) == wanted[3:]
    monkeypatch.setattr(periods, "SECONDS_AT_A_LOOK", -1)
    assert periods.roll_up_some(wanted) == wanted[3:]


def test_old_hours_are_forgotten_and_their_days_stay() -> None:
    begun(20 * DAY)
    begun(2 * DAY)
    start = Span.HOUR.start_of(NOW - 20 * DAY)
    periods.roll_up((Span.HOUR, start))
    said = StringIO()
    call_command("roll_up", stdout=said)
    assert "days counted: 20" in said.getvalue() and "forgotten: 2" in said.getvalue()
    assert numbers() == [(1, 0, 0, 1)] * 2 and numbers(span="hour") == [(1, 0, 0, 1)]
    assert not UsagePeriod.objects.filter(span="hour", starts_at=start).exists()
    Generation.objects.all().delete()
    call_command("roll_up", stdout=said)
    assert len(numbers()) == 2
