"""What is counted on the way from a request to its pictures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from prometheus_client import generate_latest

from imagegen import calls, metrics
from imagegen.models import EngineConnection, GroupQuota, ImageFile
from imagegen.storage import delete_files
from tests.fakes.litellm import KEY, LiteLLM
from tests.fakes.server import cut_in_body, silent, status
from tests.imagegen.test_failover import second  # noqa: F401
from tests.scraping import Scrape

URL = "/api/images/generations"
UP = {"connection": "up", "engine": "openai"}


def counted() -> Scrape:
    return Scrape(generate_latest(metrics.REGISTRY).decode())


class Change:
    """How much a number has grown since this was made."""

    def __init__(self) -> None:
        self.before = counted()

    def __call__(self, name: str, **labels: str) -> float:
        return counted()(name, **labels) - self.before(name, **labels)


@pytest.fixture
def since() -> Change:
    return Change()


@pytest.fixture
def server(select: Any) -> Iterator[LiteLLM]:
    with LiteLLM() as server:
        select(
            "up", "openai", "generate", "edit", "portrait", base_url=server.url, key=KEY,
            default_model="gpt-image-1", deadline=2,
        )  # fmt: skip
        yield server


def ask(client: Client, **body: Any) -> int:
    body = {"prompt": "a lake", "size": "1024x1024"} | body
    return client.post(URL, body, content_type="application/json").status_code


def test_a_success(api: Client, server: LiteLLM, since: Change) -> None:
    assert ask(api) == 200
    made = ImageFile.objects.get()
    assert since("easel_generations_total") == 1
    assert since("easel_generations_total", **UP, operation="generate", outcome="succeeded") == 1
    assert since("easel_pictures_total", **UP, operation="generate") == 1
    assert since("easel_engine_calls_total", **UP, outcome="ok") == 1
    assert since("easel_engine_call_duration_seconds_count", **UP) == 1
    assert 0 < since("easel_engine_call_duration_seconds_sum", **UP) < 20
    assert since("easel_gate_wait_seconds_count") >= 1
    assert since("easel_storage_written_bytes_total") == made.size
    assert since("easel_engine_received_bytes_total", **UP) > made.size / 2
    assert counted()("easel_engine_calls_in_flight") == 0
    assert since("easel_turn_wait_seconds_count", **UP) == 0, "there is no line without a limit"


@pytest.mark.parametrize(
    ("fault", "code"),
    [(status(503), "engine_unavailable"), (cut_in_body, "engine_unavailable"), (silent, "engine_timeout"),
     (status(401), "engine_misconfigured"), (status(429), "engine_rate_limited")],
)  # fmt: skip
def test_a_failure(api: Client, server: LiteLLM, since: Change, fault: Any, code: str) -> None:
    server.fault = fault
    assert ask(api) >= 400
    assert since("easel_generations_total") == 1
    assert since("easel_generations_total", **UP, operation="generate", outcome=code) == 1
    assert since("easel_engine_calls_total", **UP, outcome=code) == 1
    assert since("easel_engine_calls_total") == since("easel_engine_call_duration_seconds_count") == 1
    assert since("easel_pictures_total") == 0
    assert counted()("easel_engine_calls_in_flight") == 0


def test_a_failover(api: Client, server: LiteLLM, second: Any, since: Change) -> None:  # noqa: F811
    server.fault = status(503)
    assert ask(api, size="64x64") == 200
    assert since("easel_engine_calls_total", **UP, outcome="engine_unavailable") == 1
    assert since("easel_engine_calls_total", connection="second", outcome="ok") == 1
    assert since("easel_generations_total") == 1
    assert since("easel_generations_total", connection="second", outcome="succeeded") == 1


def test_several_pictures_in_line(api: Client, server: LiteLLM, select: Any, since: Change) -> None:
    EngineConnection.objects.filter(name="up").update(concurrency=1, deadline=60)
    assert ask(api, n=2) == 200
    assert since("easel_pictures_total", **UP) == 2
    calls_made = since("easel_engine_calls_total", **UP, outcome="ok")
    assert since("easel_turn_wait_seconds_count", **UP) == calls_made >= 1


def test_a_quota(api: Client, server: LiteLLM, creators: Group, since: Change) -> None:
    GroupQuota.objects.create(group=creators, pictures_per_day=1, pictures_per_month=5)
    assert ask(api) == 200
    assert ask(api) == 429
    assert since("easel_quota_refusals_total", quota="pictures_per_day") == 1
    assert since("easel_quota_refusals_total") == 1
    assert since("easel_generations_total") == 1, "what was refused is no generation"


def test_a_full_queue(api: Client, server: LiteLLM, settings: Any, since: Change) -> None:
    settings.EASEL_MAX_WAITING = 0
    assert ask(api) == 503
    assert since("easel_busy_refusals_total", reason="full") == 1
    assert since("easel_busy_refusals_total") == 1


def test_a_full_disk(api: Client, server: LiteLLM, settings: Any, since: Change) -> None:
    settings.EASEL_MIN_FREE_MB = 10**12
    assert ask(api) == 503
    assert since("easel_busy_refusals_total", reason="no_space") == since("easel_busy_refusals_total") == 1


def test_a_rate(api: Client, settings: Any, since: Change) -> None:
    settings.EASEL_RATE_USER = 1
    answers = [api.get("/api/images/models").status_code for _ in range(3)]
    assert answers.count(429) >= 1
    assert since("easel_rate_refusals_total", rate="user") == answers.count(429)
    assert since("easel_rate_refusals_total") == answers.count(429)


def test_a_storage_that_does_not_write(
    api: Client, server: LiteLLM, since: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("django.core.files.storage.default_storage.save", full)
    assert ask(api) >= 500
    assert since("easel_storage_failures_total", operation="write") == 1
    assert since("easel_generations_total", **UP, outcome="not_stored") == 1
    assert since("easel_engine_calls_total", **UP, outcome="ok") == 1, "the engine did its part"
    assert since("easel_storage_written_bytes_total") == 0


@pytest.mark.django_db(transaction=True)
def test_a_storage_that_lost_a_file(api: Client, server: LiteLLM, since: Change, monkeypatch: Any) -> None:
    assert ask(api) == 200
    file = ImageFile.objects.get()
    file.file.storage.delete(file.file.name)
    assert api.get(f"/api/v1/files/{file.pk}/content").status_code == 404
    assert since("easel_storage_failures_total", operation="read") == 1

    def refuse(*_: Any) -> None:
        raise OSError("read-only")

    monkeypatch.setattr("django.core.files.storage.default_storage.delete", refuse)
    delete_files(ImageFile.objects.all())
    assert since("easel_storage_failures_total", operation="delete") == 1


def test_waiting_at_the_gate_is_timed(since: Change) -> None:
    gate, inside = calls.Gate(1), threading.Event()

    def come_later() -> None:
        inside.set()
        with gate:
            pass

    with gate:
        thread = threading.Thread(target=come_later)
        thread.start()
        inside.wait(20)
        thread.join(0.02)
        assert thread.is_alive(), "two are in at once"
    thread.join(20)
    assert since("easel_gate_wait_seconds_count") == 2
    assert since("easel_gate_wait_seconds_sum") >= 0.01


def test_names_follow_the_conventions() -> None:
    for family in counted().families.values():
        assert family.name.startswith("easel_") and family.documentation
        for sample in family.samples:
            if family.type == "counter":
                assert sample.name.endswith("_total")
            if family.type == "histogram":
                assert family.name.endswith("_seconds")
