"""purge_expired: what is over goes, with its bytes; what is not stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from imagegen.access.models import RateLimit
from imagegen.lifecycle import expiry
from imagegen.models import EngineConnection, Generation, GroupRetention, ImageFile, ImageSettings, Ticket
from tests.imagegen.lifecycle.making import generation, stored
from tests.stored import stored_names

pytestmark = pytest.mark.django_db


@pytest.fixture
def purge(django_capture_on_commit_callbacks: Any) -> Callable[..., str]:
    def run(*options: str) -> str:
        out = StringIO()
        with django_capture_on_commit_callbacks(execute=True):
            call_command("purge_expired", *options, stdout=out)
        return out.getvalue()

    return run


def retain(days: int) -> None:
    current = ImageSettings.objects.current()
    current.retention_days = days
    current.save()


def left() -> set[ImageFile]:
    return set(ImageFile.objects.all())


@pytest.mark.usefixtures("storage")
def test_what_has_expired_goes_with_its_bytes(member: User, purge: Any) -> None:
    now = timezone.now()
    gone = stored(member, expires_at=now - timedelta(seconds=1))
    kept = [stored(member), stored(member, expires_at=now + timedelta(hours=1))]
    gone.thumbnail.save("t.webp", gone.file)
    assert "pictures deleted: 1" in purge("--dry-run")
    assert len(stored_names()) == 4
    assert "pictures deleted: 1" in purge()
    assert left() == set(kept)
    assert stored_names() == sorted(file.file.name for file in kept)


class TestRetention:
    def test_none_is_for_ever(self, member: User, purge: Any) -> None:
        stored(member, days=10_000)
        purge()
        assert len(left()) == 1

    def test_the_setting_acts_on_old_pictures_too(self, member: User, purge: Any) -> None:
        stored(member, days=31), stored(None, days=31)
        young = stored(member, days=29)
        retain(30)
        purge()
        assert left() == {young}

    @pytest.mark.parametrize(
        ("general", "groups", "days", "stays"),
        [
            (30, [7], 8, False),
            (30, [90], 60, True),
            (30, [90], 91, False),
            (30, [7, 90], 60, True),
            (30, [7, 90], 91, False),
            (30, [7, 0], 10_000, True),
            (0, [7], 8, False),
            (0, [7], 6, True),
            (30, [], 31, False),
        ],
    )
    def test_the_most_generous_group(
        self, member: User, purge: Any, general: int, groups: list[int], days: int, stays: bool
    ) -> None:
        retain(general)
        for number in groups:
            group = Group.objects.create(name=f"{number} days")
            GroupRetention.objects.create(group=group, days=number)
            member.groups.add(group)
        stored(member, days=days)
        purge()
        assert bool(left()) is stays

    def test_another_group_says_nothing(self, member: User, other: User, purge: Any) -> None:
        group = Group.objects.create(name="strict")
        GroupRetention.objects.create(group=group, days=1)
        other.groups.add(group)
        mine, _ = stored(member, days=2), stored(other, days=2)
        purge()
        assert left() == {mine}

    def test_a_portrait_ends_when_it_ends(self, member: User, purge: Any) -> None:
        group = Group.objects.create(name="for ever")
        GroupRetention.objects.create(group=group, days=0)
        member.groups.add(group)
        stored(member, expires_at=timezone.now() - timedelta(seconds=1))
        purge()
        assert not left()


@pytest.mark.usefixtures("storage")
def test_batches(member: User, purge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "BATCH", 2)
    for _ in range(5):
        stored(member, days=2)
    retain(1)
    assert "pictures deleted: 5" in purge()
    assert not left() and not stored_names("pictures")


def test_rows_that_mean_nothing_any_more(member: User, purge: Any) -> None:
    past = timezone.now() - timedelta(days=100)
    generation(member, status="running", finished_at=None, pictures_asked=3)
    running = generation(
        member, status="running", finished_at=None, deadline_at=timezone.now() + timedelta(hours=1)
    )
    up = EngineConnection.objects.create(name="up", engine="dicebear")
    Ticket.objects.create(connection=up, deadline_at=past)
    RateLimit.objects.create(key="old", whole_at=1)
    RateLimit.objects.create(key="new", whole_at=time.time_ns() + 10**12)
    Session.objects.create(session_key="old", session_data="", expire_date=past)
    OutstandingToken.objects.create(user=member, jti="a", token="b", expires_at=past)
    said = purge()
    for line in ("generations closed: 1", "tickets deleted: 1", "rate limits deleted: 1"):
        assert line in said
    assert Generation.objects.get(status="running") == running
    closed = Generation.objects.get(status="failed")
    assert (closed.error_code, closed.pictures_failed, closed.may_have_charged) == ("interrupted", 3, True)
    assert RateLimit.objects.get().key == "new"
    assert not Ticket.objects.exists() and not Session.objects.exists()
    assert not OutstandingToken.objects.exists()
    assert purge() == "Nothing to do.\n"


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL has SKIP LOCKED")
def test_what_another_machine_has_in_hand_is_left_to_it(member: User) -> None:
    mine, theirs = stored(member, days=2), stored(member, days=2)
    retain(1)
    said = StringIO()

    def run() -> None:
        try:
            call_command("purge_expired", stdout=said)
        finally:
            connection.close()

    from django.db import transaction

    with transaction.atomic():
        ImageFile.objects.select_for_update().get(pk=theirs.pk)
        machine = threading.Thread(target=run)
        machine.start()
        machine.join(30)
        assert not machine.is_alive()
    assert "pictures deleted: 1" in said.getvalue()
    assert left() == {theirs} and mine not in left()
