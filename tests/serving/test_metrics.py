"""The numbers of two workers, whoever of them is asked and whoever of them dies."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.live import LiveEasel
from tests.scraping import Scrape
from tests.services import PostgreSQL
from tests.serving.engines import SlowEngine
from tests.serving.test_stopping import CUT, ask, workers

ASKED = 40
HEALTHZ = {"route": "/healthz", "method": "GET", "status": "2xx"}


@pytest.fixture
def engine() -> Iterator[SlowEngine]:
    with SlowEngine(60.0) as engine:
        yield engine


@pytest.fixture
def easel(engine: SlowEngine, tmp_path: Path) -> Iterator[LiveEasel]:
    with LiveEasel(tmp_path, EASEL_METRICS_ALLOWED="127.0.0.1", EASEL_GRACEFUL_TIMEOUT="1") as easel:
        engine.serve(easel)
        yield easel


def scrape(easel: LiveEasel, *, timeout: float = 60) -> Scrape:
    answer = requests.get(f"{easel.url}/metrics", timeout=timeout)
    assert answer.status_code == 200
    return Scrape(answer.text)


def make_requests(easel: LiveEasel) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: requests.get(f"{easel.url}/healthz", timeout=60), range(ASKED)))


def kill(easel: LiveEasel) -> None:
    """All workers; comes back when there are two others."""
    before = workers(easel)
    assert len(before) == 2
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 60
    while len(workers(easel) - before) < 2 or not answers(easel):
        assert time.monotonic() < until
        time.sleep(0.05)


def answers(easel: LiveEasel) -> bool:
    try:
        return requests.get(f"{easel.url}/metrics", timeout=60).ok
    except requests.ConnectionError:
        return False


def test_sums_are_right_whoever_dies(easel: LiveEasel) -> None:
    make_requests(easel)
    for _ in range(8):  # both workers are asked, sooner or later
        assert scrape(easel)("easel_http_requests_total", **HEALTHZ) == ASKED
    folder = easel.folder / "metrics"
    files = {path.name for path in folder.iterdir()}
    assert {name.rpartition("_")[2] for name in files} == {"0.db", "1.db"}
    for round in (2, 3):
        kill(easel)
        make_requests(easel)
        found = scrape(easel)
        assert found("easel_http_requests_total", **HEALTHZ) == round * ASKED
        assert found("easel_http_request_duration_seconds_count", route="/healthz") == round * ASKED
    assert {path.name for path in folder.iterdir()} == files, "the dead leave nothing more"


def test_who_died_is_in_flight_no_more(easel: LiveEasel, engine: SlowEngine) -> None:
    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(ask, easel) for _ in range(10)]
        engine.wait_for(10)
        found = scrape(easel)
        assert found("easel_generations_waiting") == 10
        assert found("easel_engine_calls_in_flight", connection="slow") == 10
        assert found("easel_http_requests_in_flight") == 11
        kill(easel)
        assert {future.result(60) for future in asked} == {CUT}
    found = scrape(easel)
    assert found("easel_generations_waiting") == 0
    assert found("easel_engine_calls_in_flight") == 0
    assert found("easel_http_requests_in_flight") == 1


def test_a_database_that_hangs_costs_its_own_numbers_alone(
    own_postgresql: PostgreSQL, tmp_path: Path
) -> None:
    with LiveEasel(tmp_path, DATABASE_URL=own_postgresql.url, EASEL_METRICS_ALLOWED="127.0.0.1") as easel:
        assert scrape(easel)("easel_database_up") == 1
        own_postgresql.freeze()
        try:
            found = scrape(easel, timeout=25)  # for a connection of the pool, Easel would wait 30 seconds
        finally:
            own_postgresql.thaw()
        assert found("easel_database_up") == 0 and "easel_generations_overdue" not in found.families
        assert found("easel_data_free_bytes") > 0
        until = time.monotonic() + 60
        while not scrape(easel)("easel_database_up"):
            assert time.monotonic() < until
            time.sleep(0.2)


def test_a_start_begins_at_zero_and_nothing_is_written_where_nobody_may_read(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "counter_17.db").write_bytes(b"left by an earlier run")
    with LiveEasel(tmp_path, PROMETHEUS_MULTIPROC_DIR=str(folder)) as easel:
        assert requests.get(f"{easel.url}/metrics", timeout=60).status_code == 404
        assert not folder.exists()
