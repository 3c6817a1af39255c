"""What a process tree and its database take while a load runs: CPU, memory, sessions."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from tests.live import tree

TICK = 1 / os.sysconf("SC_CLK_TCK")


class Watch:
    """Looks at a process tree, and at its sessions in PostgreSQL, four times a second.

    Attributes:
        cpu: seconds of the tree.
        server_cpu: seconds of PostgreSQL's own processes for these sessions; 0 where they run elsewhere.
        peak_memory: bytes of the tree (proportional set size).
        most_sessions, idle_in_transaction: sessions at once, at most.
    """

    def __init__(self, pid: int, database: str) -> None:
        self.pid, self.database = pid, database
        self.cpu = self.server_cpu = 0.0
        self.peak_memory = self.most_sessions = self.idle_in_transaction = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._before, self._server_before = processes(self.pid), backends(self.database)
        self._now, self._server_now = dict(self._before), dict(self._server_before)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._thread.join()
        self._now |= processes(self.pid)
        self._server_now |= backends(self.database)
        self.cpu = _spent(self._before, self._now)
        self.server_cpu = _spent(self._server_before, self._server_now)

    def _run(self) -> None:
        with sessions(self.database) as states:
            while not self._ended.wait(0.25):
                self.peak_memory = max(self.peak_memory, sum(map(pss, tree(self.pid))))
                self._now |= processes(self.pid)
                self._server_now |= backends(self.database)
                seen = states()
                self.most_sessions = max(self.most_sessions, seen.total())
                idle = seen["idle in transaction"] + seen["idle in transaction (aborted)"]
                self.idle_in_transaction = max(self.idle_in_transaction, idle)


@contextmanager
def sessions(url: str) -> Iterator[Callable[[], Counter[str]]]:
    """A function that counts the database's sessions by state; nothing to count without a URL."""
    if not url:
        yield Counter
        return
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        own = connection.info.backend_pid
        query = (  # PostgreSQL's own, such as autovacuum's, are nobody's connections
            "SELECT state FROM pg_stat_activity "
            "WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> %s"
        )
        yield lambda: Counter(state for (state,) in connection.execute(query, [own]))


def processes(pid: int) -> dict[int, float]:
    """CPU seconds of each process of a tree, as long as it runs."""
    return {process: cpu_seconds(process) for process in tree(pid)}


def _spent(before: dict[int, float], now: dict[int, float]) -> float:
    return sum(seconds - before.get(pid, 0) for pid, seconds in now.items())


def backends(url: str) -> dict[int, float]:
    """CPU seconds of the server's processes that serve this database, where they run on this machine."""
    name = urlsplit(url).path.strip("/")
    if not name:
        return {}
    titles = ((path, _read(path)) for path in Path("/proc").glob("[0-9]*/cmdline"))
    found = [int(path.parent.name) for path, title in titles if title.startswith("postgres:")
             and f" {name} " in title]  # fmt: skip
    return {pid: cpu_seconds(pid) for pid in found}


def pss(pid: int) -> int:
    """Bytes in memory, shared ones divided by those who share them."""
    lines = _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def cpu_seconds(pid: int) -> float:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK if fields else 0.0


def _read(path: Path) -> str:
    """Empty where the process has ended."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
