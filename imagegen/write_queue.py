"""Those who write to SQLite stand in a queue.

SQLite has one writer at a time. Whoever comes meanwhile sleeps and looks again, up to 100 ms later, while
others overtake: of many, a few wait for half a second, and processors idle. So what every request writes
queues here: the threads of a process at a lock, and of each process one at a file. Whoever writes otherwise,
and whoever has waited too long, leaves it to SQLite.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

PATIENCE = 10.0
"""Seconds: one that is held up must not hold up all others for good."""
LOOK_AGAIN = 0.0003

_threads = threading.Lock()


@contextmanager
def writing() -> Iterator[None]:
    """Around what writes, its transaction included. Nothing where it is part of a transaction, nor elsewhere
    than in a file of SQLite's."""
    connection: Any = connections[DEFAULT_DB_ALIAS]
    if connection.vendor != "sqlite" or connection.in_atomic_block or connection.is_in_memory_db():
        yield
        return
    until = time.monotonic() + PATIENCE
    if not _threads.acquire(timeout=PATIENCE):
        yield
        return
    try:
        with _alone(_file(str(connection.settings_dict["NAME"]), os.getpid()), until):
            yield
    finally:
        _threads.release()


@contextmanager
def _alone(file: int, until: float) -> Iterator[None]:
    """The one process that writes, or at the end of its patience."""
    while not _locked(file) and time.monotonic() < until:
        time.sleep(LOOK_AGAIN)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@cache
def _file(database: str, process: int) -> int:
    return os.open(f"{database}-queue", os.O_RDWR | os.O_CREAT, 0o600)
