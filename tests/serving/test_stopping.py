"""Workers that are killed, reloaded and stopped in the middle of generations."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.live import LiveEasel, tree
from tests.serving.engines import CUT, SlowEngine, ask

SECONDS = 3.0


@pytest.fixture
def engine() -> Iterator[SlowEngine]:
    with SlowEngine(SECONDS) as engine:
        yield engine


@pytest.fixture
def easel(engine: SlowEngine, tmp_path: Path) -> Iterator[LiveEasel]:
    with LiveEasel(tmp_path) as easel:
        engine.serve(easel)
        yield easel


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(60) as pool:
        yield pool


def master(easel: LiveEasel) -> int:
    return tree(easel.process.pid)[1]


def workers(easel: LiveEasel) -> set[int]:
    return set(tree(easel.process.pid)[2:])


def outcomes(asked: list[Future[Any]]) -> Counter[Any]:
    return Counter(future.result(60) for future in asked)


def rows(easel: LiveEasel) -> dict[str, int]:
    shown = easel.manage(
        "shell", "--no-imports", "-c",
        "from collections import Counter; from imagegen.models import Generation as G;"
        "print(*(f'{s} {n}' for s, n in Counter(G.objects.filter(connection__name='slow')"
        ".values_list('status', flat=True)).items()), sep='\\n')",
    )  # fmt: skip
    return {status: int(n) for status, n in (line.split() for line in shown.splitlines())}


def test_a_killed_worker_takes_only_its_own_with_it(
    easel: LiveEasel, engine: SlowEngine, pool: ThreadPoolExecutor
) -> None:
    before = workers(easel)
    asked = [pool.submit(ask, easel) for _ in range(50)]
    engine.wait_for(50)
    os.kill(max(before), signal.SIGKILL)
    found = outcomes(asked)
    assert set(found) == {200, CUT}
    assert rows(easel) == {"succeeded": found[200], "running": found[CUT]}
    easel.manage(
        "shell", "--no-imports", "-c",
        "from datetime import timedelta; from django.db.models import F;"
        "from imagegen.models import Generation as G;"
        "G.objects.filter(status='running').update(deadline_at=F('deadline_at') - timedelta(hours=1))",
    )  # fmt: skip
    easel.manage("purge_expired")
    assert rows(easel) == {"succeeded": found[200], "failed": found[CUT]}
    assert ask(easel) == 200
    after = workers(easel)
    assert len(after) == 2 and after != before


def test_a_reload_loses_nothing(easel: LiveEasel, engine: SlowEngine, pool: ThreadPoolExecutor) -> None:
    before = workers(easel)
    asked = [pool.submit(ask, easel) for _ in range(20)]
    engine.wait_for(20)
    os.kill(master(easel), signal.SIGHUP)
    asked += [pool.submit(ask, easel) for _ in range(5)]
    assert outcomes(asked[:20]) == {200: 20}
    assert set(outcomes(asked[20:])) <= {200, 503}
    until = time.monotonic() + 20
    while before & workers(easel):
        assert time.monotonic() < until, "an old worker does not end"
        time.sleep(0.1)
    assert ask(easel) == 200
    assert rows(easel)["succeeded"] >= 21


def test_a_stop_finishes_what_runs_and_takes_nobody_new(
    easel: LiveEasel, engine: SlowEngine, pool: ThreadPoolExecutor
) -> None:
    kept = requests.Session()  # whose idle connection is not waited for
    kept.get(f"{easel.url}/healthz", timeout=10)
    asked = [pool.submit(ask, easel) for _ in range(20)]
    engine.wait_for(20)
    easel.process.send_signal(signal.SIGTERM)
    time.sleep(1.5)  # within a second, a worker looks up
    assert ask(easel) in (CUT, 503)
    assert not any(future.done() for future in asked), "it was not refused at once"
    assert outcomes(asked) == {200: 20}
    assert easel.process.wait(20) == 0


def test_workers_whose_master_died_finish_and_free_the_port(
    easel: LiveEasel, engine: SlowEngine, pool: ThreadPoolExecutor
) -> None:
    asked = [pool.submit(ask, easel) for _ in range(10)]
    engine.wait_for(10)
    os.kill(master(easel), signal.SIGKILL)
    time.sleep(1.5)  # within a second, a worker looks up
    assert ask(easel) == CUT, "nobody waits at a port that nobody will serve"
    assert not any(future.done() for future in asked), "it was not refused at once"
    with socket.socket() as successor:
        successor.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        successor.bind(("127.0.0.1", easel.port))
    assert outcomes(asked) == {200: 10}
