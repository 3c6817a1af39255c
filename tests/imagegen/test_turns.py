"""A connection that takes one call at a time, from two processes."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import OperationalError
from PIL import Image

from imagegen.engines.base import Call
from imagegen.engines.errors import NoTurn
from imagegen.engines.spool import Spool
from imagegen.models import EngineConnection, Ticket
from imagegen.turns import _Place, turn
from tests.fakes.comfyui import ComfyUI
from tests.fakes.comfyui_nodes import colour
from tests.fakes.server import FakeServer, Request, Response
from tests.live import LiveEasel
from tests.services import Redis


def colour_of(prompt: str) -> tuple[int, int, int]:
    one, two, three = hashlib.sha256(prompt.encode()).digest()[:3]
    return one, two, three


class OneAtATime(FakeServer):
    """Speaks as OpenAI does, paints each prompt in its own colour, and counts who is in at once."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        self.inside = self.most = self.made = 0

    def reply(self, request: Request) -> Response:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        time.sleep(0.05)
        out = BytesIO()
        Image.new("RGB", (64, 64), colour_of(request.json["prompt"])).save(out, "PNG")
        with self.lock:
            self.inside -= 1
            self.made += 1
        return Response.json({"data": [{"b64_json": base64.b64encode(out.getvalue()).decode()}]})


def test_fifty_at_once_from_two_processes(tmp_path: Path, shared_in: str, settings: Any) -> None:
    prompts = [f"picture number {n}" for n in range(50)]
    with OneAtATime() as server, LiveEasel(tmp_path, EASEL_REDIS_URL=settings.EASEL_REDIS_URL) as easel:
        easel.manage(
            "connections", "add", "one-gpu", "--engine", "openai", "--base-url", server.url,
            "--api-key-env", "KEY", "--model", "sd", "--concurrency", "1", "--use-for", "generate",
            KEY="sk-any",
        )  # fmt: skip

        def ask(prompt: str) -> tuple[int, int, int]:
            answer = easel.post("/api/images/generations", {"prompt": prompt, "size": "64x64"})
            assert answer.status_code == 200, answer.text
            data = easel.get(answer.json()[0]["url"]).content
            pixel: Any = Image.open(BytesIO(data)).getpixel((5, 5))
            return tuple(pixel)  # type: ignore[return-value]

        with ThreadPoolExecutor(50) as pool:
            colours = list(pool.map(ask, prompts))
    assert (server.most, server.made) == (1, 50)
    assert colours == [colour_of(prompt) for prompt in prompts]


def test_fifty_at_once_on_one_gpu(tmp_path: Path) -> None:
    """The same with ComfyUI: never two in its queue, and each gets the picture of its own prompt."""
    prompts = {f"picture number {n}": 1000 + n for n in range(50)}
    model = "sd15-random.safetensors"
    with ComfyUI() as server, LiveEasel(tmp_path) as easel:
        easel.manage(
            *("connections", "add", "one-gpu", "--engine", "comfyui", "--base-url", server.url),
            *("--model", model, "--concurrency", "1", "--use-for", "generate"),
        )

        def ask(prompt: str) -> tuple[int, ...]:
            body = {"prompt": prompt, "negative_prompt": "blurry", "seed": prompts[prompt], "size": "64x64"}
            answer = easel.post("/api/images/generations", body)
            assert answer.status_code == 200, answer.text
            pixel: Any = Image.open(BytesIO(easel.get(answer.json()[0]["url"]).content)).getpixel((5, 5))
            return tuple(pixel)

        with ThreadPoolExecutor(50) as pool:
            colours = list(pool.map(ask, prompts))
    assert server.most_at_once == 1
    assert colours == [colour(model, prompt, "blurry", seed, 0) for prompt, seed in prompts.items()]


@pytest.fixture
def connection(db: None) -> EngineConnection:
    return EngineConnection.objects.create(name="gpu", engine="dicebear", concurrency=1)


def call(tmp_path: Path, seconds: float) -> Call:
    return Call(Spool(tmp_path, "x"), time.monotonic() + seconds, lambda: threading.Lock())


@pytest.fixture
def tickets(
    connection: EngineConnection, shared_in: str, request: pytest.FixtureRequest
) -> Callable[[], int]:
    """How many there are, of those who wait and those whose turn it is."""
    if shared_in == "database":
        return Ticket.objects.count
    client = request.getfixturevalue("on_redis").client()
    return lambda: client.zcard(f"easel:turns:{{{connection.pk}}}:line")


def test_no_turn_within_the_deadline(
    connection: EngineConnection, tickets: Callable[[], int], tmp_path: Path
) -> None:
    with turn(connection, call(tmp_path, 5)):
        with pytest.raises(NoTurn) as caught, turn(connection, call(tmp_path, 0.2)):
            pass
        assert not caught.value.may_have_charged
        assert tickets() == 1
    assert tickets() == 0


def test_a_dead_machine_holds_nobody_up(
    connection: EngineConnection, shared_in: str, tickets: Callable[[], int], tmp_path: Path
) -> None:
    dead = _Place(connection, call(tmp_path, 5))
    dead.until -= timedelta(minutes=1)
    if dead.in_redis:
        dead.in_redis.until -= 60
    assert dead.ahead() == 0
    with turn(connection, call(tmp_path, 5)):
        assert tickets() == (2 if shared_in == "database" else 1)


def test_in_the_order_of_their_coming(connection: EngineConnection, shared_in: str, tmp_path: Path) -> None:
    places = [_Place(connection, call(tmp_path, 60)) for _ in range(12)]
    assert [place.ahead() for place in places] == list(range(12))
    places[3].leave()
    places[0].leave()
    left = [place for place in places if place not in (places[0], places[3])]
    assert [place.ahead() for place in left] == list(range(10))
    assert _Place(connection, call(tmp_path, 60)).ahead() == 10


def test_connections_have_lines_of_their_own(
    connection: EngineConnection, shared_in: str, tmp_path: Path
) -> None:
    another = EngineConnection.objects.create(name="another", engine="dicebear", concurrency=1)
    with turn(connection, call(tmp_path, 5)), turn(another, call(tmp_path, 5)):
        pass


def test_without_a_limit_nobody_draws(
    connection: EngineConnection, shared_in: str, tmp_path: Path, django_assert_num_queries: Any
) -> None:
    connection.concurrency = 0
    with django_assert_num_queries(0), turn(connection, call(tmp_path, 5)):
        pass


def test_a_turn_is_given_back_after_a_fault(
    connection: EngineConnection, tickets: Callable[[], int], tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError), turn(connection, call(tmp_path, 5)):
        raise RuntimeError
    assert tickets() == 0


class TestTheDatabaseIsAway:
    """While somebody draws a ticket: nothing has been asked of the engine yet."""

    def test_for_a_while(
        self, connection: EngineConnection, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.EASEL_REDIS_URL = ""
        monkeypatch.setattr("imagegen.turns.LONGEST_PAUSE", 0.01)
        draw, tries = _Place._draw, count(1)

        def away_at_first(place: _Place) -> Ticket:
            if next(tries) < 3:
                raise OperationalError("gone")
            return draw(place)

        monkeypatch.setattr(_Place, "_draw", away_at_first)
        with turn(connection, call(tmp_path, 5)):
            assert Ticket.objects.count() == 1

    def test_for_longer_than_there_is_time(
        self, connection: EngineConnection, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.EASEL_REDIS_URL = ""
        monkeypatch.setattr(_Place, "_draw", Mock(side_effect=OperationalError("gone")))
        with pytest.raises(NoTurn) as caught, turn(connection, call(tmp_path, 0.5)):
            pass
        assert not caught.value.may_have_charged and "database" in caught.value.detail


class TestRedisIsAway:
    def test_the_line_forms_in_the_database(
        self, connection: EngineConnection, own_redis: Redis, tmp_path: Path
    ) -> None:
        with turn(connection, call(tmp_path, 5)):
            assert not Ticket.objects.exists()
            waits = _Place(connection, call(tmp_path, 5))
            assert waits.ahead() == 1
            own_redis.kill()
            assert waits.ahead() == 0 and Ticket.objects.count() == 1
        with pytest.raises(NoTurn), turn(connection, call(tmp_path, 0.2)):
            pass
        waits.leave()
        assert not Ticket.objects.exists()

    def test_a_redis_that_forgot_everything(
        self, connection: EngineConnection, own_redis: Redis, tmp_path: Path
    ) -> None:
        first, second = (_Place(connection, call(tmp_path, 5)) for _ in range(2))
        assert [first.ahead(), second.ahead()] == [0, 1]
        own_redis.restart(kill=True)
        assert [second.ahead(), first.ahead()] == [0, 1]
        assert not Ticket.objects.exists()
