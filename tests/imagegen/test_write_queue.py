"""One writes at a time, over threads and processes; whoever dies or stands still holds nobody up for good."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection, transaction

from imagegen import write_queue
from imagegen.write_queue import writing

pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="of SQLite alone")


@pytest.fixture(autouse=True)
def queue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A database of our own to stand before."""
    monkeypatch.setitem(connection.settings_dict, "NAME", str(tmp_path / "db"))
    write_queue._file.cache_clear()
    return tmp_path / "db-queue"


@pytest.fixture
def other() -> Iterator[Callable[[], int]]:
    """Starts a process that is the one to write, and stays it."""
    started = []

    def start() -> int:
        reading, writing_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            with writing():
                os.write(writing_end, b"in")
                signal.pause()
            os._exit(0)
        started.append(pid)
        assert os.read(reading, 2) == b"in"
        return pid

    yield start
    for pid in started:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def waits(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    return thread


def enter() -> None:
    with writing():
        pass


def test_one_thread_at_a_time() -> None:
    inside, most = [0], [0]

    def work(_: int) -> None:
        with writing():
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.001)
            inside[0] -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(50)))
    assert most == [1]


def test_one_process_at_a_time(other: Callable[[], int]) -> None:
    pid = other()
    thread = waits(enter)
    os.kill(pid, signal.SIGKILL)
    thread.join(5)
    assert not thread.is_alive()


def test_one_that_stands_still_is_left_to_sqlite(
    other: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_queue, "PATIENCE", 0.3)
    os.kill(other(), signal.SIGSTOP)
    waits(enter).join(5)
    enter()


def test_a_thread_that_stands_still_is_left_to_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_queue, "PATIENCE", 0.3)
    with writing():
        waits(enter).join(5)
        assert write_queue._threads.locked()


def test_an_error_lets_the_next_one_in() -> None:
    with pytest.raises(ZeroDivisionError), writing():
        raise ZeroDivisionError
    enter()


@pytest.mark.django_db
def test_part_of_a_transaction_does_not_queue(queue: Path) -> None:
    """It may hold SQLite's lock already, and whoever stands before it in the queue waits for that."""
    with transaction.atomic(), writing():
        assert not queue.exists()
