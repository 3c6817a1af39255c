"""A connection that takes one call at a time, from two processes."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone
from PIL import Image

from imagegen.engines.base import Call, Spool
from imagegen.engines.errors import EngineTimeout, EngineUnavailable
from imagegen.models import EngineConnection, Ticket
from imagegen.turns import turn
from tests.fakes.comfyui import ComfyUI
from tests.fakes.comfyui_nodes import colour
from tests.fakes.server import FakeServer, Request, Response
from tests.live import LiveEasel


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


def test_fifty_at_once_from_two_processes(tmp_path: Path) -> None:
    prompts = [f"picture number {n}" for n in range(50)]
    with OneAtATime() as server, LiveEasel(tmp_path) as easel:
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


def test_no_turn_within_the_deadline(connection: EngineConnection, tmp_path: Path) -> None:
    with turn(connection, call(tmp_path, 5)):
        with pytest.raises(EngineTimeout) as caught, turn(connection, call(tmp_path, 0.2)):
            pass
        assert not caught.value.may_have_charged
        assert Ticket.objects.count() == 1
    assert not Ticket.objects.exists()


@pytest.mark.parametrize("step", ["_draw", "_wait"])
def test_a_database_that_is_away_has_charged_nothing(
    connection: EngineConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def away(*args: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(f"imagegen.turns.{step}", away)
    with pytest.raises(EngineUnavailable) as caught, turn(connection, call(tmp_path, 5)):
        pass
    assert not caught.value.may_have_charged


def test_a_dead_machine_holds_nobody_up(connection: EngineConnection, tmp_path: Path) -> None:
    Ticket.objects.create(connection=connection, deadline_at=timezone.now() - timedelta(seconds=1))
    with turn(connection, call(tmp_path, 0.2)):
        pass


def test_without_a_limit_nobody_draws(
    connection: EngineConnection, tmp_path: Path, django_assert_num_queries: Any
) -> None:
    connection.concurrency = 0
    with django_assert_num_queries(0), turn(connection, call(tmp_path, 5)):
        pass


def test_a_turn_is_given_back_after_a_fault(connection: EngineConnection, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), turn(connection, call(tmp_path, 5)):
        raise RuntimeError
    assert not Ticket.objects.exists()
