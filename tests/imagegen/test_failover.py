"""The next connection is asked only for what was not made and cannot have been charged."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from imagegen import routing
from imagegen.engines.base import Call
from imagegen.engines.spool import Spool
from imagegen.models import EngineConnection, Generation, ImageFile, ImageSettings
from imagegen.models.settings import Fallback
from imagegen.turns import turn
from tests.fakes.litellm import KEY, LiteLLM
from tests.fakes.server import (
    FakeServer,
    Request,
    Response,
    cut_in_body,
    error_500,
    picture,
    rate_limited,
    silent,
    status,
)
from tests.live import free_port

pytestmark = pytest.mark.usefixtures("answers_land")

DOWN = f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def second(select: Any) -> Iterator[LiteLLM]:
    with LiteLLM() as server:
        connection = select(
            "second", "openai", base_url=server.url, key=KEY, default_model="grok-imagine-image",
            trusted_origins=[server.files.url],
        )  # fmt: skip
        Fallback.objects.create(settings=ImageSettings.objects.current(), connection=connection)
        yield server


@pytest.fixture
def first(select: Any) -> Iterator[LiteLLM]:
    with LiteLLM() as server:
        select(
            "first", "openai", "generate", "portrait", base_url=server.url, key=KEY,
            default_model="grok-2-image", deadline=2, trusted_origins=[server.files.url],
        )  # fmt: skip
        yield server


def ask(api: Client, **body: Any) -> Any:
    return api.post(
        "/api/images/generations", {"prompt": "a", "size": "64x64", **body}, content_type="application/json"
    )


def test_the_first_is_down(api: Client, select: Any, second: LiteLLM) -> None:
    select("first", "openai", "generate", base_url=DOWN, key=KEY, default_model="grok-2-image")
    assert ask(api, n=2).status_code == 200
    row = Generation.objects.get()
    assert (row.status, row.connection_name, row.model) == ("succeeded", "second", "grok-imagine-image")
    assert [(step["connection"], step["pictures"], step.get("error")) for step in row.path] == [
        ("first", 0, "engine_unavailable"),
        ("second", 2, None),
    ]
    assert row.files.count() == 2


@pytest.mark.parametrize("fault", [rate_limited(), status(401), status(503)], ids=["429", "401", "503"])
def test_nothing_was_charged(api: Client, first: LiteLLM, second: LiteLLM, fault: Any) -> None:
    first.fault = fault
    assert ask(api).status_code == 200
    assert Generation.objects.get().connection_name == "second"


@pytest.mark.parametrize("fault", [error_500, cut_in_body, silent])
def test_it_may_have_been_charged(api: Client, first: LiteLLM, second: LiteLLM, fault: Any) -> None:
    first.fault = fault
    assert ask(api).status_code == 400
    assert not second.requests
    row = Generation.objects.get()
    assert row.may_have_charged and len(row.path) == 1


class Some(FakeServer):
    """Makes so many pictures, and says nothing of what they cost; then it has had enough."""

    def __init__(self, pictures: int) -> None:
        super().__init__()
        self.numbers = iter(range(pictures))

    def reply(self, request: Request) -> Response:
        if next(self.numbers, None) is None:
            return Response(429)
        return Response.json({"data": [{"b64_json": base64.b64encode(picture(64, 64)).decode()}]})


def test_each_picture_costs_what_its_own_connection_takes(api: Client, select: Any) -> None:
    with Some(1) as one, Some(2) as two:
        select("first", "openai", "generate", base_url=one.url, default_model="m", price="0.04")
        stand_in = select("second", "openai", base_url=two.url, default_model="m", price="0.01")
        Fallback.objects.create(settings=ImageSettings.objects.current(), connection=stand_in)
        assert len(ask(api, n=3).json()) == 3
    row = Generation.objects.get()
    assert [step["pictures"] for step in row.path] == [1, 2]
    assert row.cost == Decimal("0.06")


def test_a_refused_prompt_is_not_taken_elsewhere(api: Client, first: LiteLLM, second: LiteLLM) -> None:
    response = ask(api, prompt="[mod] x", model="first/gpt-image-1")
    assert response.json()["code"] == "prompt_rejected"
    assert not second.requests


def test_no_order_no_failover(api: Client, first: LiteLLM) -> None:
    """The built-in engine never stands in by itself."""
    first.fault = rate_limited()
    assert ask(api).json()["code"] == "engine_rate_limited"
    assert not ImageFile.objects.exists()


def test_a_connection_asked_for_by_name_has_no_stand_in(api: Client, first: LiteLLM, second: LiteLLM) -> None:
    first.fault = rate_limited()
    assert ask(api, model="first/grok-2-image").status_code == 400
    assert not second.requests


def test_an_asked_model_fails_over_to_who_has_it(api: Client, first: LiteLLM, second: LiteLLM) -> None:
    first.fault = rate_limited()
    assert ask(api, model="dall-e-3").status_code == 200
    assert Generation.objects.get().model == "dall-e-3"


def test_all_down_tells_of_the_first(api: Client, first: LiteLLM, second: LiteLLM) -> None:
    first.fault, second.fault = rate_limited(), status(503)
    assert ask(api).json()["code"] == "engine_rate_limited"
    assert [step["connection"] for step in Generation.objects.get().path] == ["first", "second"]


class TestRest:
    def test_after_failures_in_a_row_it_is_asked_last(
        self, api: Client, select: Any, second: LiteLLM
    ) -> None:
        first = select("first", "openai", "generate", base_url=DOWN, key=KEY, default_model="m")
        for _ in range(routing.FAILURES_BEFORE_REST):
            ask(api)
        ask(api)
        assert [step["connection"] for step in Generation.objects.latest("created_at").path] == ["second"]
        first.refresh_from_db()
        assert first.is_resting
        first.save()
        ask(api)
        assert len(Generation.objects.latest("created_at").path) == 2

    def test_but_only_while_another_can_serve(self, api: Client, select: Any) -> None:
        select("first", "openai", "generate", base_url=DOWN, key=KEY, default_model="m")
        for _ in range(routing.FAILURES_BEFORE_REST + 1):
            assert ask(api).json()["code"] == "engine_unavailable"
        assert all(len(row.path) == 1 for row in Generation.objects.all())

    def test_a_success_forgets_failures(self, api: Client, first: LiteLLM) -> None:
        first.fault = status(503)
        ask(api)
        assert EngineConnection.objects.get(name="first").failures == 1
        first.fault = None
        ask(api)
        assert EngineConnection.objects.get(name="first").failures == 0

    def test_no_turn_says_nothing_of_an_engine(self, api: Client, first: LiteLLM) -> None:
        busy = EngineConnection.objects.filter(name="first")
        busy.update(concurrency=1, deadline=1, failures=1)
        connection = busy.get()
        other = Call(Spool(Path(), "other"), time.monotonic() + 60, nullcontext)
        with turn(connection, other):
            answer = ask(api).json()
        assert answer["code"] == "engine_timeout" and "busy with other pictures" in answer["detail"]
        assert busy.get().failures == 1 and not first.requests
