"""What goes wrong, when, and for how long: by chance, from a seed that is printed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from chaos.service import Service
from chaos.storage import FLAG
from tests.services import PostgreSQL

LONGEST_OUTAGE = 10.0
"""Seconds that the database is away at most, once it is down."""


@dataclass
class Fault:
    """One that happened. Times are seconds since 1970."""

    name: str
    began: float
    ended: float = 0.0


class SmallDisk:
    """A file system of its own for what must be able to run full. Root may mount one; others go without."""

    def __init__(self, folder: Path, megabytes: int = 64) -> None:
        self.folder, self.megabytes = folder, megabytes
        self.is_mounted = False

    def __enter__(self) -> SmallDisk:
        self.folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={self.megabytes}m", "easel-chaos", str(self.folder)]
        self.is_mounted = os.geteuid() == 0 and subprocess.run(command, check=False).returncode == 0
        return self

    def __exit__(self, *exc: object) -> None:
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=False)

    def fill(self, leave: int) -> None:
        """All but `leave` bytes."""
        stats = os.statvfs(self.folder)
        free = stats.f_bavail * stats.f_frsize
        with suppress(OSError), (self.folder / "filler").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(free - leave, 1))

    def empty(self) -> None:
        (self.folder / "filler").unlink(missing_ok=True)


@dataclass
class Faults:
    """Two threads: one kills workers, one does everything else, one thing at a time."""

    service: Service
    postgres: PostgreSQL
    disk: SmallDisk
    seed: str
    happened: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ended = threading.Event()
        self._kills, self._rest = random.Random(f"kills {self.seed}"), random.Random(f"rest {self.seed}")

    @contextmanager
    def raging(self) -> Iterator[None]:
        """At the end everything has been put right again."""
        threads = [
            threading.Thread(target=self._kill_workers, name="kills"),
            threading.Thread(target=self._do_the_rest, name="faults"),
        ]
        with ExitStack() as stack:
            for thread in threads:
                thread.start()
                stack.callback(thread.join)
            stack.callback(self._ended.set)
            yield

    def _kill_workers(self) -> None:
        while not self._ended.wait(self._kills.uniform(3, 12)):
            workers = self.service.workers
            if workers:
                with self._noted("worker killed"):
                    _kill(self._kills.choice(workers), signal.SIGKILL)

    def _do_the_rest(self) -> None:
        faults: dict[Callable[[], None], int] = {
            self._database_restarts: 4,
            self._database_is_away: 3,
            self._database_is_frozen: 1,
            self._storage_fails: 4,
            self._incoming_is_full: 3 if self.disk.is_mounted else 0,
            self._service_restarts: 2,
            self._master_is_killed: 1,
        }
        while not self._ended.wait(self._rest.uniform(1, 6)):
            self._rest.choices([*faults], [*faults.values()])[0]()

    def _database_restarts(self) -> None:
        kill = self._rest.random() < 0.5
        with self._noted("database killed, started" if kill else "database restarted"):
            self.postgres.restart(kill=kill)

    def _database_is_away(self) -> None:
        seconds = self._rest.uniform(2, LONGEST_OUTAGE)
        with self._noted("database away"):
            self.postgres.stop()
            self._ended.wait(seconds)
            self.postgres.start()

    def _database_is_frozen(self) -> None:
        """It keeps its connections and says nothing: what a lost network looks like."""
        seconds = self._rest.uniform(2, LONGEST_OUTAGE)
        with self._noted("database frozen"):
            self.postgres.freeze()
            self._ended.wait(seconds)
            self.postgres.thaw()

    def _storage_fails(self) -> None:
        how, flag = self._rest.choice(["full", "midway"]), self.service.folder / FLAG
        with self._noted(f"storage fails ({how})"):
            flag.write_text(how)
            self._ended.wait(self._rest.uniform(2, 8))
            flag.unlink()

    def _incoming_is_full(self) -> None:
        with self._noted("incoming full"):
            self.disk.fill(leave=self._rest.choice([0, 40_000, 150_000]))
            self._ended.wait(self._rest.uniform(2, 6))
            self.disk.empty()

    def _service_restarts(self) -> None:
        with self._noted("service restarted"):
            self._end_service(signal.SIGTERM)

    def _master_is_killed(self) -> None:
        with self._noted("master killed"):
            self._end_service(signal.SIGKILL)

    def _end_service(self, how: int) -> None:
        """And wait for its successor."""
        before, master = self.service.starts, self.service.master
        if master is None:
            return
        _kill(master, how)
        until = time.monotonic() + 90
        while self.service.starts == before and time.monotonic() < until and not self._ended.wait(0.2):
            pass

    @contextmanager
    def _noted(self, name: str) -> Iterator[None]:
        fault = Fault(name, time.time())
        self.happened.append(fault)
        yield
        fault.ended = time.time()


def _kill(pid: int, how: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, how)
