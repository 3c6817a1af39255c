"""Memory, descriptors, threads and database sessions of a running Easel."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psycopg

from bench.measure import pss
from chaos.service import Service

LONG = 5.0
"""Seconds after which a transaction that nobody works in is no accident."""


@dataclass(frozen=True)
class Size:
    """Of all its processes together; memory in bytes, shared ones divided by those who share them."""

    memory: int
    descriptors: int
    threads: int
    processes: int

    @classmethod
    def of(cls, service: Service) -> Self:
        pids = service.processes()
        return cls(
            sum(map(pss, pids)), sum(_count(pid, "fd") for pid in pids),
            sum(_count(pid, "task") for pid in pids), len(pids),
        )  # fmt: skip


class Watch:
    """Looks twice a second while load runs."""

    def __init__(self, service: Service, database: str) -> None:
        self.service, self.database = service, database
        self.peak_memory = self.most_sessions = self.looks = 0
        self.longest_idle = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.5):
            self.peak_memory = max(self.peak_memory, sum(map(pss, self.service.processes())))
            with suppress(psycopg.Error):
                sessions, idle = idle_in_transaction(self.database)
                self.looks += 1
                self.most_sessions = max(self.most_sessions, sessions)
                self.longest_idle = max(self.longest_idle, idle)


def idle_in_transaction(database: str) -> tuple[int, float]:
    """Sessions, and for how many seconds the longest of them has been idle in a transaction.
    Raises psycopg.Error."""
    with psycopg.connect(database, autocommit=True, connect_timeout=2) as connection:
        sessions = connection.execute(
            "SELECT count(*), coalesce(max(extract(epoch FROM now() - state_change))"
            " FILTER (WHERE state LIKE 'idle in transaction%'), 0) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert sessions is not None
    return int(sessions[0]), float(sessions[1])


def settled(service: Service, seconds: float = 6) -> Size:
    """After kept connections have ended."""
    time.sleep(seconds)
    return Size.of(service)


def _count(pid: int, what: str) -> int:
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/{what}").iterdir())
    except OSError:
        return 0
