"""generate(): the story is written down whatever happens, and what was paid for is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, OperationalError, connection, connections
from django.db.backends.signals import connection_created
from django.db.models import Model
from django.utils import timezone

from imagegen import calls, prepared, storage
from imagegen.engines.errors import EngineError
from imagegen.engines.spool import Answer
from imagegen.errors import NotStored, TooBusy
from imagegen.generation import Made, Order, generate
from imagegen.models import EngineConnection, Generation, ImageFile
from imagegen.overdue import close_overdue
from imagegen.routing import Route
from imagegen.waiting import WaitingRoom
from tests.fakes.litellm import KEY, LiteLLM

pytestmark = pytest.mark.usefixtures("answers_land")


@pytest.fixture
def server(select: Any) -> Iterator[LiteLLM]:
    with LiteLLM() as server:
        select(
            "up", "openai", "generate", "portrait", base_url=server.url, key=KEY,
            default_model="gpt-image-1", price="0.04",
        )  # fmt: skip
        yield server


@pytest.fixture
def order(member: User) -> Order:
    return Order(user=member, prompt="a lake", size="64x64")


def spooled(settings: Any) -> list[Path]:
    return sorted(Path(settings.EASEL_INCOMING_DIR).glob("*"))


@pytest.fixture(autouse=True)
def _own_incoming(settings: Any, tmp_path: Path) -> None:
    settings.EASEL_INCOMING_DIR = tmp_path / "incoming"


def test_the_row_is_there_before_the_engine_is_asked(
    server: LiteLLM, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}
    ask = calls._call_engine

    def look(*args: Any) -> Answer:
        row = Generation.objects.get()
        seen.update(status=row.status, finished=row.finished_at, deadline=row.deadline_at)
        return ask(*args)

    monkeypatch.setattr(calls, "_call_engine", look)
    generate(order)
    assert (seen["status"], seen["finished"]) == ("running", None)
    assert seen["deadline"] > timezone.now()


class TestNotStored:
    def check(self, order: Order, settings: Any) -> None:
        with pytest.raises(NotStored):
            generate(order)
        row = Generation.objects.get()
        assert (row.status, row.error_code, row.may_have_charged) == ("failed", "not_stored", True)
        kept = spooled(settings)
        up = EngineConnection.objects.get(name="up")
        assert [path.name for path in kept] == [f"{row.pk}-0-{up.pk}-0.answer"]
        assert len(up.to_engine().parse(Answer(body=kept[0]))) == 1
        assert not ImageFile.objects.exists()

    def test_a_full_disk_keeps_the_answer(
        self, server: LiteLLM, order: Order, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*args: Any, **kwargs: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("imagegen.storing.storage.store", full)
        self.check(order, settings)

    def test_a_database_that_is_away_keeps_the_answer(
        self, server: LiteLLM, order: Order, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written = prepared.insert

        def away(rows: Sequence[Model]) -> None:
            if isinstance(rows[0], ImageFile):
                raise OperationalError("gone")
            written(rows)

        monkeypatch.setattr(prepared, "insert", away)
        self.check(order, settings)


def test_a_repeat_is_told_the_same(server: LiteLLM, order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("imagegen.storing.storage.store", full)
    keyed = replace(order, idempotency_key="k", fingerprint="f")
    told = []
    for _ in range(2):
        with pytest.raises(NotStored) as caught:
            generate(keyed)
        told.append(caught.value.message)
    assert told[0] == told[1] and Generation.objects.count() == 1


def test_a_database_that_is_away_to_the_end_leaves_the_row_to_its_deadline(
    server: LiteLLM, order: Order, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise DatabaseError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(type(ImageFile.objects), "bulk_create", away)
        patch.setattr(Generation, "close", away)
        with pytest.raises(NotStored):
            generate(order)
    assert spooled(settings)
    assert close_overdue() == 0
    Generation.objects.update(deadline_at=timezone.now() - timedelta(seconds=1))
    assert close_overdue() == 1
    row = Generation.objects.get()
    assert (row.status, row.error_code, row.may_have_charged) == ("failed", "interrupted", True)


def test_a_row_that_was_closed_meanwhile_gets_no_pictures_but_keeps_its_answer(
    server: LiteLLM, order: Order, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Storing took so long that a timer took its process for dead."""
    store = storage.store

    def dawdle(*args: Any, **kwargs: Any) -> ImageFile:
        Generation.objects.update(deadline_at=timezone.now() - timedelta(seconds=1))
        assert close_overdue() == 1
        return store(*args, **kwargs)

    monkeypatch.setattr("imagegen.storing.storage.store", dawdle)
    with pytest.raises(NotStored):
        generate(order)
    assert spooled(settings) and not ImageFile.objects.exists()
    assert Generation.objects.get().error_code == "interrupted"


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_is_deleted_meanwhile_costs_no_picture(
    server: LiteLLM, order: Order, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = calls._call_engine

    def and_delete(route: Route, *args: Any) -> Answer:
        answer = ask(route, *args)
        EngineConnection.objects.filter(pk=route.connection.pk).delete()
        return answer

    monkeypatch.setattr(calls, "_call_engine", and_delete)
    (file,) = generate(order).files
    row = ImageFile.objects.get(pk=file.pk).generation
    assert row and (row.status, row.connection, row.connection_name) == ("succeeded", None, "up")
    assert not spooled(settings)


@pytest.mark.django_db(transaction=True)
def test_nor_one_that_is_made_before_the_next_stands_in_line(
    order: Order, select: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EASEL_REDIS_URL = ""  # tickets are rows, and point at their connection
    monkeypatch.setattr("imagegen.engines.dicebear.MAX_PER_CALL", 1)
    ask = calls._call_engine

    def and_delete(route: Route, *args: Any) -> Answer:
        answer = ask(route, *args)
        EngineConnection.objects.filter(pk=route.connection.pk).delete()
        return answer

    select("own", "dicebear", "generate", concurrency=1)
    monkeypatch.setattr(calls, "_call_engine", and_delete)
    made = generate(replace(order, n=3))
    assert [file.position for file in made.files] == [0]
    assert (made.generation.status, made.generation.error_code) == ("partial", "engine_misconfigured")


def test_a_closed_row_is_closed_once(server: LiteLLM, order: Order) -> None:
    row = generate(order).generation
    row.close(Generation.Status.FAILED, error_code="late")
    row.refresh_from_db()
    assert (row.status, row.error_code) == ("succeeded", "")


class TestCost:
    def test_what_the_proxy_says(self, server: LiteLLM, order: Order) -> None:
        EngineConnection.objects.filter(name="up").update(
            default_model="grok-imagine-image", trusted_origins=[server.files.url]
        )
        assert float(generate(order).generation.cost or 0) == 0.02

    @pytest.mark.parametrize("said", [1e12, -3.0, float("nan"), float("inf")])
    def test_what_cannot_be_a_cost_costs_no_picture(
        self, server: LiteLLM, order: Order, monkeypatch: pytest.MonkeyPatch, said: float
    ) -> None:
        ask = calls._call_engine
        monkeypatch.setattr(calls, "_call_engine", lambda *args: replace(ask(*args), cost=said))
        assert float(generate(order).generation.cost or 0) == 0.04

    def test_else_the_connections_price_per_picture(self, order: Order, select: Any) -> None:
        select("own", "dicebear", "generate", price="0.005")
        made = generate(Order(user=order.user, prompt="a", size="64x64", n=3))
        assert float(made.generation.cost or 0) == 0.015


def test_no_database_connection_is_held_while_waiting(
    server: LiteLLM, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = []
    monkeypatch.setattr(calls, "release_connections", lambda: released.append(len(server.requests)))
    generate(order)
    assert released == [0]
    assert connection.vendor in ("sqlite", "postgresql")


@pytest.mark.django_db(transaction=True)
def test_threads_of_calls_leave_no_database_connection_behind(
    order: Order, select: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is left to the garbage collector keeps its descriptors. Django would close none in memory."""
    settings.EASEL_REDIS_URL = ""  # tickets are rows
    monkeypatch.setattr("imagegen.engines.dicebear.MAX_PER_CALL", 1)
    monkeypatch.setattr(type(connections["default"]), "is_in_memory_db", lambda self: False, raising=False)
    monkeypatch.setattr(
        "imagegen.generation.writing", nullcontext
    )  # it would take memory's name for a file's
    opened = []

    def note(connection: Any, **_: Any) -> None:
        opened.append((threading.current_thread(), connection))

    select("own", "dicebear", "generate", concurrency=1)
    connection_created.connect(note)
    try:
        generate(replace(order, n=3))
    finally:
        connection_created.disconnect(note)
    elsewhere = [made for thread, made in opened if thread is not threading.current_thread()]
    assert elsewhere and all(made.connection is None for made in elsewhere)


def test_the_waiting_room_counts_and_closes(settings: Any) -> None:
    settings.EASEL_MAX_WAITING = 2
    room = WaitingRoom()
    with room.place(), room.place():
        with pytest.raises(TooBusy) as caught, room.place():
            pass
        assert caught.value.retry_after
    assert room.inside == 0
    room.close()
    with pytest.raises(TooBusy), room.place():
        pass


def test_an_order_and_a_request_hide_pictures_from_logs(order: Order) -> None:
    shown = repr(Order(user=order.user, prompt="x", images=[b"\x89PNG secret"], mask=b"secret"))
    assert "secret" not in shown


def test_a_failed_order_raises_what_the_engine_said(server: LiteLLM, order: Order) -> None:
    with pytest.raises(EngineError) as caught:
        generate(Order(user=order.user, prompt="[mod] x"))
    assert caught.value.code == "prompt_rejected"
    assert isinstance(generate(order), Made)
