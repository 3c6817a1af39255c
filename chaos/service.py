"""Easel as it is run, started again whenever it ends: what systemd does for it in production."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.live import LiveEasel, tree

PAUSE = 1.0
"""Seconds between an end and the next start."""


class Service(LiveEasel):
    """A LiveEasel with somebody who watches over it. `starts` counts how often it came up."""

    def __enter__(self) -> Self:
        self._ending, self.starts, self.refused = threading.Event(), 1, 0
        self._guard = threading.Thread(target=self._keep_up, name="guard")
        super().__enter__()
        self._guard.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        with suppress(ProcessLookupError):
            super().__exit__(kind, error, trace)
        if self._guard.ident is not None:
            self._guard.join()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _keep_up(self) -> None:
        while True:
            self.process.wait()
            if self._ending.wait(PAUSE):
                return
            self._start()
            with suppress(AssertionError):  # it did not come up: the database is away, or the port is taken
                self._wait_for_banner()
                self.starts += 1
                continue
            self.refused += 1

    @property
    def master(self) -> int | None:
        """gunicorn's process id."""
        below = tree(self.process.pid)[1:2]
        return below[0] if below else None

    @property
    def workers(self) -> list[int]:
        return tree(self.process.pid)[2:]

    def processes(self) -> list[int]:
        """Every process that runs with our data folder, whoever its parent is by now."""
        mark = f"EASEL_DATA_DIR={self.folder}\0".encode()
        return [pid for pid in _all() if mark in _environment(pid)]

    def wait_until_ready(self, seconds: float = 60) -> None:
        """Raises TimeoutError."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with suppress(OSError):
                if self.get("/readyz").ok:
                    return
            time.sleep(0.2)
        raise TimeoutError("Easel did not become ready.")


def _all() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
