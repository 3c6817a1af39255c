"""PostgreSQL: what is held while waiting, and what its going away costs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings

from tests.live import LiveEasel
from tests.serving.engines import SlowEngine

pytestmark = pytest.mark.skipif(
    "postgresql" not in settings.DATABASES["default"]["ENGINE"], reason="about PostgreSQL: make test-services"
)


@pytest.fixture
def engine() -> Iterator[SlowEngine]:
    with SlowEngine(4) as engine:
        yield engine


@pytest.fixture
def easel(engine: SlowEngine, tmp_path: Path) -> Iterator[LiveEasel]:
    with LiveEasel(tmp_path, EASEL_DATABASE_POOL="3") as easel:
        engine.serve(easel)
        yield easel


class Server:
    """The database server, seen from beside Easel's own database."""

    def __init__(self, url: str) -> None:
        self.name = urlsplit(url).path[1:]
        self.session = psycopg.connect(urlsplit(url)._replace(path="/postgres").geturl(), autocommit=True)

    def states(self) -> list[str]:
        found = self.session.execute(
            "SELECT state FROM pg_stat_activity WHERE datname = %s AND application_name = 'easel'",
            [self.name],
        )
        return [state for (state,) in found]

    def go_away(self) -> None:
        self.session.execute(f"ALTER DATABASE {self.name} WITH ALLOW_CONNECTIONS false")
        self.session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [self.name]
        )

    def come_back(self) -> None:
        self.session.execute(f"ALTER DATABASE {self.name} WITH ALLOW_CONNECTIONS true")


@pytest.fixture
def server(easel: LiveEasel) -> Iterator[Server]:
    server = Server(easel.environment["DATABASE_URL"])
    with server.session:
        yield server


def ask(easel: LiveEasel, times: int, pool: ThreadPoolExecutor) -> Iterator[int]:
    body = {"prompt": "a lake", "size": "64x64"}
    return pool.map(lambda _: easel.post("/api/images/generations", body).status_code, range(times))


def test_nothing_is_held_while_waiting(easel: LiveEasel, engine: SlowEngine, server: Server) -> None:
    with ThreadPoolExecutor(40) as pool:
        asked = ask(easel, 40, pool)
        engine.wait_for(40)
        time.sleep(0.5)
        states = server.states()
        assert set(asked) == {200}
    assert set(states) == {"idle"}
    assert len(states) <= 2 * 3


def test_a_database_that_goes_away_costs_no_picture_and_no_restart(
    easel: LiveEasel, engine: SlowEngine, server: Server
) -> None:
    with ThreadPoolExecutor(10) as pool:
        asked = ask(easel, 10, pool)
        engine.wait_for(10)
        server.go_away()
        time.sleep(5)  # the engine answers meanwhile
        server.come_back()
        assert list(asked) == [200] * 10
    assert easel.get("/readyz").status_code == 200
    assert len(easel.get("/api/v1/files/").json()["results"]) >= 10
