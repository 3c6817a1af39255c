"""What is looked up at a scrape: who waits, which connections rest, what lies about, how much room is left.

Each look is bounded. A database that is away costs its own numbers and two seconds, not the scrape.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue

from django.conf import settings
from django.db import Error, connection
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from imagegen.database import release_connections
from imagegen.metrics import MOST_CHILDREN
from imagegen.models import EngineConnection, Generation
from imagegen.waiting import room

MOST_FILES = 10_000
PATIENCE = 2.0
"""Seconds that a scrape waits for the database."""


class GaugesCollector(Collector):
    def collect(self) -> Iterator[Metric]:
        yield from _waiting()
        yield from _folders()
        yield from _database()


def _waiting() -> Iterator[Metric]:
    yield _gauge("generations_waiting", "Generations under way, over all workers.", room.inside)
    yield _gauge("generations_waiting_limit", "How many may be.", settings.EASEL_MAX_WAITING)


def _folders() -> Iterator[Metric]:
    number, oldest = _answers(Path(settings.EASEL_INCOMING_DIR))
    yield _gauge("incoming_files", f"Files in incoming/, at most {MOST_FILES}.", number)
    yield _gauge("incoming_oldest_age_seconds", "Since the oldest of them was written.", oldest)
    space = shutil.disk_usage(settings.DATA_DIR)
    yield _gauge("data_free_bytes", "Room left under EASEL_DATA_DIR.", space.free)
    yield _gauge("data_size_bytes", "Size of the file system under EASEL_DATA_DIR.", space.total)


def _answers(folder: Path) -> tuple[int, float]:
    """How many files, at most MOST_FILES, and the age of the oldest of them in seconds."""
    times = []
    try:
        with os.scandir(folder) as entries:
            for entry in islice(entries, MOST_FILES):
                times.append(_written(entry))
    except FileNotFoundError:
        return 0, 0.0
    known = [moment for moment in times if moment is not None]
    return len(known), max(time.time() - min(known), 0.0) if known else 0.0


def _written(entry: os.DirEntry[str]) -> float | None:
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return None  # cleared meanwhile


def _database() -> Iterator[Metric]:
    rows = _look()
    yield _gauge("database_up", "Whether the database answers within two seconds.", rows is not None)
    if rows is None:
        return
    yield _gauge("generations_overdue", "Running past their deadline, closed by nobody yet.", rows.overdue)
    resting = GaugeMetricFamily(
        "easel_connection_resting",
        "1 while a connection rests after failures in a row.",
        labels=["connection", "engine"],
    )
    for name, engine, rests in rows.connections:
        resting.add_metric([name, engine], float(rests))
    yield resting


@dataclass(frozen=True)
class _Rows:
    """`connections` are (name, engine, whether it rests) of those that are enabled."""

    overdue: int
    connections: list[tuple[str, str, bool]]


def _read() -> _Rows:
    enabled: Iterable[EngineConnection] = EngineConnection.objects.enabled().only(
        "name", "engine", "rests_until"
    )[:MOST_CHILDREN]
    return _Rows(Generation.objects.overdue().count(), [(c.name, c.engine, c.is_resting) for c in enabled])


_one_at_a_time = threading.Lock()


def _look() -> _Rows | None:
    """None where the database does not answer in time. SQLite is never away, so it needs no thread."""
    found: SimpleQueue[_Rows | None] = SimpleQueue()
    if connection.vendor == "sqlite":
        _read_into(found)
    else:
        threading.Thread(target=_read_alone, args=(found,), daemon=True).start()
    try:
        return found.get(timeout=PATIENCE)
    except Empty:
        return None


def _read_alone(found: SimpleQueue[_Rows | None]) -> None:
    """Nothing where another look still hangs."""
    if not _one_at_a_time.acquire(timeout=PATIENCE):
        return
    try:
        _read_into(found)
    finally:
        release_connections()
        _one_at_a_time.release()


def _read_into(found: SimpleQueue[_Rows | None]) -> None:
    try:
        found.put(_read())
    except Error:
        found.put(None)


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(f"easel_{name}", help, value=float(value))
