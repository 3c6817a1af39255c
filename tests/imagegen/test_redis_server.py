"""Redis that dies, hangs and comes back: the service goes on, and nobody reads its password."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client

from imagegen import redis_server
from imagegen.access.models import RateLimit
from imagegen.access.rates import take
from imagegen.redis_server import PREFIX, RedisAway, Script
from tests.live import LiveEasel
from tests.services import Redis
from tests.serving.engines import SlowEngine

ECHO = Script("return tonumber(ARGV[1])")
PATH = "/api/images/generations"


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A short one, and clients of its own that have it."""
    monkeypatch.setattr(redis_server, "PATIENCE", 0.2)
    redis_server._client.cache_clear()
    yield
    redis_server._client.cache_clear()


def taken(times: int) -> list[bool]:
    return [take(key="k", per_second=1) == 0 for _ in range(times)]


def test_a_script_runs(on_redis: Redis) -> None:
    assert [ECHO.run([], number) for number in (7, 0)] == [7, 0]


def test_keys_are_marked_as_ours(on_redis: Redis) -> None:
    Script("redis.call('SET', KEYS[1], 1) return 0").run(["x"])
    assert on_redis.client().keys() == [f"{PREFIX}x".encode()]


def test_a_restart_costs_nothing(own_redis: Redis) -> None:
    """Pooled connections are cut, and the script is forgotten."""
    assert ECHO.run([], 1) == 1
    own_redis.restart(kill=True)
    assert ECHO.run([], 2) == 2


def test_many_threads_share_few_connections(on_redis: Redis) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def ask(number: int) -> int:
        caches["default"].get("nothing")
        return ECHO.run([], number)

    redis_server._client.cache_clear()
    before = int(on_redis.client().info("clients")["connected_clients"])
    with ThreadPoolExecutor(60) as pool:
        assert list(pool.map(ask, range(300))) == list(range(300))
    assert int(on_redis.client().info("clients")["connected_clients"]) - before <= redis_server.CONNECTIONS


def test_a_forked_process_has_connections_of_its_own(on_redis: Redis) -> None:
    client = redis_server._client(on_redis.url)
    mine = client.client_id()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if client.client_id() != mine else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert client.client_id() == mine


@pytest.mark.django_db
class TestKilled:
    def test_the_database_counts(self, own_redis: Redis) -> None:
        assert taken(2) == [True, False]
        own_redis.kill()
        assert taken(2) == [True, False]
        assert RateLimit.objects.get().key == "k"

    def test_nothing_is_known_and_nothing_remembered(self, own_redis: Redis) -> None:
        cache = redis_server.Cache(own_redis.url, {})
        cache.set("a", 1)
        assert cache.get("a") == 1
        own_redis.kill()
        cache.set("a", 2)
        assert cache.get("a", "nothing") == "nothing"

    def test_it_is_said_once_and_without_the_password(
        self, own_redis: Redis, caplog: pytest.LogCaptureFixture
    ) -> None:
        own_redis.kill()
        with caplog.at_level(logging.INFO):
            taken(3)
            with pytest.raises(RedisAway) as caught:
                ECHO.run([], 1)
        said = [record.getMessage() for record in caplog.records]
        assert sum("Redis does not answer" in line for line in said) == 1
        assert own_redis.password not in "".join(said) + "".join(traceback.format_exception(caught.value))

    def test_it_is_asked_again_after_a_while(self, own_redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
        own_redis.kill()
        with pytest.raises(RedisAway):
            ECHO.run([], 1)
        own_redis.start()
        with pytest.raises(RedisAway):
            ECHO.run([], 2)
        monkeypatch.setattr(redis_server, "_rests_until", 0.0)
        assert ECHO.run([], 3) == 3

    def test_a_wrong_password_is_like_none(self, own_redis: Redis, settings: Any) -> None:
        settings.EASEL_REDIS_URL = own_redis.url.replace(own_redis.password, "another")
        assert taken(2) == [True, False]
        assert RateLimit.objects.exists()


@pytest.mark.django_db
def test_one_that_hangs_is_waited_for_once(own_redis: Redis, patience: None) -> None:
    assert taken(1) == [True]
    own_redis.freeze()
    try:
        assert taken(2) == [True, False]
    finally:
        own_redis.thaw()
    stats = own_redis.client().info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] <= 3, "a question that nobody waited for, at most"


def test_requests_go_on(own_redis: Redis, api: Client, settings: Any) -> None:
    settings.EASEL_RATE_USER = 1
    own_redis.kill()
    answers = [
        api.post(PATH, {"prompt": "a", "size": "64x64"}, content_type="application/json") for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 429]


def test_a_live_service_loses_its_redis(own_redis: Redis, tmp_path: Path) -> None:
    """In the middle of calls at an engine that takes one at a time: each gets its picture."""
    from concurrent.futures import ThreadPoolExecutor

    with (
        SlowEngine(0.3) as engine,
        LiveEasel(tmp_path, EASEL_REDIS_URL=own_redis.url, EASEL_RATE_USER="1000") as easel,
        ThreadPoolExecutor(8) as pool,
    ):
        engine.serve(easel)
        easel.manage("connections", "update", "slow", "--concurrency", "1")
        body = {"prompt": "a lake", "size": "64x64"}
        asked = [pool.submit(easel.post, PATH, body) for _ in range(8)]
        engine.wait_for(2)
        own_redis.kill()
        assert [future.result().status_code for future in asked] == [200] * 8
        assert engine.begun == 8
        assert easel.get("/readyz").status_code == 200
        assert own_redis.password not in (tmp_path / "log").read_text()
