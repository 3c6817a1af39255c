"""How long one generation waits for its database, and for what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.models import Model
from django.utils import timezone

from imagegen import generation as service
from imagegen import outlasting, prepared
from imagegen.engines.errors import EngineError
from imagegen.errors import NotStored
from imagegen.generation import Order, generate
from imagegen.models import Generation, ImageFile
from imagegen.outlasting import Patience
from tests.fakes.litellm import KEY, LiteLLM

LATER = timedelta(hours=1)


class Clock:
    """Time passes where somebody sleeps, and nowhere else."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(outlasting, "time", clock)
    return clock


def failing(times: int, error: Exception) -> Any:
    """Work that succeeds after so many failures."""
    left = [error] * times

    def work() -> str:
        if left:
            raise left.pop()
        return "done"

    return work


@pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("gone")])
def test_what_fails_while_the_database_is_away_is_done_again(clock: Clock, error: Exception) -> None:
    assert Patience(timezone.now() + LATER).outlast(failing(5, error)) == "done"
    assert clock.now == 5 * outlasting.PAUSE


def test_another_fault_is_not_waited_for(clock: Clock) -> None:
    with pytest.raises(DatabaseError):
        Patience(timezone.now() + LATER).outlast(failing(1, DatabaseError("wrong")))
    assert clock.now == 0


def test_there_is_one_patience_for_all_that_a_generation_does(clock: Clock) -> None:
    patience = Patience(timezone.now() + LATER)
    for _ in range(2):
        with pytest.raises(OperationalError):
            patience.outlast(failing(10_000, OperationalError("gone")))
        assert outlasting.LONGEST - 1 <= clock.now <= outlasting.LONGEST


def test_it_ends_where_anybody_may_close_the_row(clock: Clock) -> None:
    with pytest.raises(OperationalError):
        Patience(timezone.now() + timedelta(seconds=3)).outlast(failing(100, OperationalError("gone")))
    assert clock.now <= 3


@pytest.mark.django_db(transaction=True)
class TestARecordOf:
    @pytest.fixture
    def order(self, member: User, select: Any) -> Any:
        with LiteLLM() as server:
            select("up", "openai", "generate", base_url=server.url, key=KEY, default_model="gpt-image-1")
            yield Order(user=member, prompt="a lake", size="64x64")

    def test_what_was_made_follows_when_the_database_is_back(
        self, order: Order, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        away, written = failing(3, OperationalError("gone")), prepared.insert

        def insert(rows: Sequence[Model]) -> None:
            if isinstance(rows[0], ImageFile):
                away()
            written(rows)

        monkeypatch.setattr(prepared, "insert", insert)
        made = generate(order)
        assert ImageFile.objects.get() == made.files[0]
        assert Generation.objects.get().status == "succeeded" and clock.now == 3 * outlasting.PAUSE

    def test_what_was_committed_in_silence_is_there_once(
        self, order: Order, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The database goes away after the commit, and before it could say so."""
        away, record = failing(1, OperationalError("gone")), service._record

        def committed_in_silence(*args: Any) -> None:
            record(*args)
            away()

        monkeypatch.setattr(service, "_record", committed_in_silence)
        made = generate(order)
        assert ImageFile.objects.get() == made.files[0]
        assert Generation.objects.get().status == "succeeded" and clock.now > 0

    def test_a_failure_too(self, order: Order, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        away, close = failing(2, OperationalError("gone")), Generation.close
        monkeypatch.setattr(Generation, "close", lambda *args, **kwargs: away() and close(*args, **kwargs))
        with pytest.raises(EngineError):
            generate(Order(user=order.user, prompt="[400] no", size="64x64"))
        assert Generation.objects.get().status == "failed" and clock.now == 2 * outlasting.PAUSE

    @pytest.mark.parametrize("kind", [OperationalError, InterfaceError])
    def test_what_stays_away_costs_the_rows_and_not_the_answer(
        self, order: Order, clock: Clock, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
    ) -> None:
        """To Django an InterfaceError is no DatabaseError."""
        monkeypatch.setattr(Generation, "close", lambda *_, **__: failing(1, kind("gone"))())
        with pytest.raises(NotStored):
            generate(order)
        assert [*Path(settings.EASEL_INCOMING_DIR).glob(f"{Generation.objects.get().pk}*")]
        with pytest.raises(EngineError):
            generate(Order(user=order.user, prompt="[400] no", size="64x64"))
