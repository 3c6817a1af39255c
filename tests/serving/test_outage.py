"""PostgreSQL is stopped while pictures are made, and comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.live import LiveEasel, tree
from tests.services import PostgreSQL
from tests.serving.engines import SlowEngine

SECONDS = 2.0
PATHS = ("/api/images/generations", "/api/mind/profile/generatePortrait")


@pytest.fixture
def engine() -> Iterator[SlowEngine]:
    with SlowEngine(SECONDS) as engine:
        yield engine


@pytest.fixture
def easel(own_postgresql: PostgreSQL, engine: SlowEngine, tmp_path: Path) -> Iterator[LiveEasel]:
    with LiveEasel(tmp_path, DATABASE_URL=own_postgresql.url, EASEL_REDIS_URL="") as easel:
        engine.serve(easel)
        try:
            yield easel
        finally:  # it drops its database
            if own_postgresql.process.poll() is not None:
                own_postgresql.start()


def ask(easel: LiveEasel, path: str) -> requests.Response:
    return easel.post(path, {"prompt": "a lake"})


def rows(easel: LiveEasel) -> list[str]:
    """Of each generation its status, error, and how many pictures have a row."""
    shown = easel.manage(
        "shell", "--no-imports", "-c",
        "from django.db.models import Count; from imagegen.models import Generation as G;"
        "print(*(f'{s} {e} {n}' for s, e, n in G.objects.filter(connection__name='slow').order_by()"
        ".annotate(n=Count('files')).values_list('status', 'error_code', 'n')), sep='\\n')",
    )  # fmt: skip
    return shown.splitlines()


def test_a_database_that_is_away_while_pictures_come_in_costs_none(
    easel: LiveEasel, engine: SlowEngine, own_postgresql: PostgreSQL
) -> None:
    """Each worker's pool is full of connections that the stop kills."""
    before = tree(easel.process.pid)
    with ThreadPoolExecutor(30) as pool:
        asked: list[Future[requests.Response]] = [pool.submit(ask, easel, PATHS[k % 2]) for k in range(20)]
        engine.wait_for(20)
        own_postgresql.stop()
        refused = list(pool.map(lambda k: ask(easel, PATHS[k % 2]), range(8)))
        ready = easel.get("/readyz")
        healthy = easel.get("/healthz")
        page = requests.get(f"{easel.url}/admin/", cookies={"connect.sid": "a" * 32}, timeout=60)
        time.sleep(SECONDS * 2)  # the engine has answered
        assert not any(future.done() for future in asked)
        own_postgresql.start()
        answers = [future.result(60) for future in asked]
    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in refused] == [(503, "5")] * 8
    assert {answer.headers["Content-Type"] for answer in refused} == {"application/json"}
    assert (ready.status_code, ready.json()["database"]) == (503, "unavailable")
    assert healthy.status_code == 200
    assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
    assert [answer.status_code for answer in answers] == [200] * 20
    assert engine.begun == 20
    assert rows(easel) == ["succeeded  1"] * 20
    assert not [path for path in (easel.folder / "incoming").iterdir() if not path.name.startswith(".")]
    assert easel.get("/readyz").status_code == 200
    assert [ask(easel, path).status_code for path in PATHS] == [200, 200]
    assert tree(easel.process.pid) == before, "somebody was restarted"
