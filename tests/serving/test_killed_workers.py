"""An answer that lies in a worker's memory when the worker is killed: its master has it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.live import LiveEasel, tree
from tests.serving.engines import CUT, SlowEngine, ask


@pytest.fixture
def easel(tmp_path: Path) -> Iterator[LiveEasel]:
    with (
        SlowEngine(0) as engine,
        LiveEasel(tmp_path, EASEL_WORKERS="1", EASEL_STORAGE="tests.serving.storages.StuckStorage") as easel,
    ):
        engine.serve(easel)
        yield easel


def wait_for(folder: Path, pattern: str) -> Path:
    until = time.monotonic() + 30
    while not (found := list(folder.glob(pattern))):
        assert time.monotonic() < until, f"no {pattern}"
        time.sleep(0.05)
    return found[0]


def test_its_picture_is_given_back(easel: LiveEasel) -> None:
    incoming = easel.folder / "incoming"
    (easel.folder / "asked").unlink()  # for the picture of the first start
    (easel.folder / "stuck").touch()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, easel)
        wait_for(easel.folder, "asked")
        assert not list(incoming.glob("*.answer"))
        (worker,) = tree(easel.process.pid)[2:]
        os.kill(worker, signal.SIGKILL)
        assert asked.result(60) == CUT
    wait_for(incoming, "*.answer")
    (easel.folder / "stuck").unlink()
    assert ask(easel) == 200
    easel.let_deadlines_pass()
    assert "pictures recovered: 1" in easel.manage("reconcile_files")
    assert len(easel.get("/api/v1/files/").json()["results"]) == 2
    assert not list(incoming.glob("[!.]*"))


def test_what_is_done_leaves_nothing(easel: LiveEasel) -> None:
    assert ask(easel) == 200
    (worker,) = tree(easel.process.pid)[2:]
    os.kill(worker, signal.SIGKILL)
    until = time.monotonic() + 30
    while [worker] == tree(easel.process.pid)[2:]:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert ask(easel) == 200
    assert not list((easel.folder / "incoming").glob("[!.]*"))


def test_a_stop_that_runs_out_of_patience_keeps_it(tmp_path: Path) -> None:
    storage = "tests.serving.storages.StuckStorage"
    with (
        SlowEngine(0) as engine,
        LiveEasel(tmp_path, EASEL_STORAGE=storage, EASEL_GRACEFUL_TIMEOUT="1") as easel,
        ThreadPoolExecutor(1) as pool,
    ):
        engine.serve(easel)
        (tmp_path / "asked").unlink(missing_ok=True)
        (tmp_path / "stuck").touch()
        asked = pool.submit(ask, easel)
        wait_for(tmp_path, "asked")
        easel.process.send_signal(signal.SIGTERM)
        easel.process.wait(30)
        assert asked.result(30) == CUT
        assert len(list((tmp_path / "incoming").glob("*.answer"))) == 1
