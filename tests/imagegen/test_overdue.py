"""Rows that a dead process left running are closed by whoever looks first, and by nobody twice."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagegen import overdue
from imagegen.models import Generation
from imagegen.overdue import Watch, close_overdue
from tests.imagegen.lifecycle.lab import Break, Lab
from tests.live import LiveEasel, tree
from tests.services import PostgreSQL

pytestmark = pytest.mark.django_db


def left_running(*seconds: int) -> None:
    """With deadlines so long ago."""
    now = timezone.now()
    Generation.objects.bulk_create(
        Generation(deadline_at=now - timedelta(seconds=ago), pictures_asked=2) for ago in seconds
    )


def test_only_what_is_past_its_deadline_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overdue, "BATCH", 2)
    left_running(1, 2, 3, -60)
    assert (close_overdue(), close_overdue()) == (3, 0)
    closed = Generation.objects.exclude(finished_at=None)
    assert {(row.status, row.error_code, row.pictures_failed, row.may_have_charged) for row in closed} == {
        ("failed", "interrupted", 2, True)
    }
    assert Generation.objects.get(finished_at=None).status == "running"


def test_a_look_in_vain_is_one_query() -> None:
    left_running(-60)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        overdue.look()
    assert len(queries) == 1


def test_a_database_that_is_away_does_not_end_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def away() -> int:
        nonlocal looks
        looks += 1
        if looks == 3:
            watch._stopped.set()
        raise OperationalError("gone")

    monkeypatch.setattr(overdue, "close_overdue", away)
    monkeypatch.setattr(overdue, "SOON", 0)
    monkeypatch.setattr(overdue, "PERIOD", 0)
    watch = Watch()
    watch.run()
    assert looks == 3


def test_two_machines_at_once_close_each_row_once(own_postgresql: PostgreSQL, tmp_path: Path) -> None:
    """The second neither waits for the first, which stands still in its transaction, nor counts its rows."""
    in_the_middle = Break("imagegen.models.UsagePeriod.objects.mark_stale", "before", signal=signal.SIGSTOP)
    with Lab(tmp_path, DATABASE_URL=own_postgresql.url) as lab:
        lab.value("prepare")
        lab.value("leave_running", number=3)
        first = lab.run("close_overdue", at=in_the_middle)
        assert first.status == "stopped"
        assert lab.value("close_overdue") == 0
        lab.value("leave_running", number=2)
        assert lab.value("close_overdue") == 2
        assert lab.resume(first).value == 3
        generations: list[dict[str, Any]] = lab.value("state")["generations"]
    assert [row["status"] for row in generations] == ["failed"] * 5


def test_what_a_killed_worker_left_is_closed_by_another_without_a_timer(tmp_path: Path) -> None:
    create = (
        "from datetime import timedelta; from django.utils import timezone as t;"
        "from imagegen.models import Generation as G;"
        "G.objects.create(connection_name='left', deadline_at=t.now() - timedelta(seconds=1))"
    )
    show = "from imagegen.models import Generation as G; print(G.objects.get(connection_name='left').status)"
    with LiveEasel(tmp_path) as easel:
        easel.manage("shell", "--no-imports", "-c", create)
        for worker in tree(easel.process.pid)[2:]:
            os.kill(worker, signal.SIGKILL)
        until = time.monotonic() + 60
        while (status := easel.manage("shell", "--no-imports", "-c", show).strip()) == "running":
            assert time.monotonic() < until, "nobody closed it"
        assert status == "failed"
