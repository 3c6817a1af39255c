"""PostgreSQL and Redis of a test's own, from Debian's packages, on free loopback ports.

Each is a context manager, and may be stopped, killed, frozen and started again in between. What it keeps
lies in a temporary folder and goes with it. `python -m tests.services <command>` runs a command beside one of
each, or beside those whose URLs EASEL_TEST_DATABASE_URL and EASEL_TEST_REDIS_URL give.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
import redis

from tests.live import free_port, tree

DATABASE_URL, REDIS_URL = "EASEL_TEST_DATABASE_URL", "EASEL_TEST_REDIS_URL"
BESIDE_SERVICES = "TESTS_BESIDE_SERVICES"
"""Set for what runs beside them: then SQLite, or a cache in memory, is a mistake."""

STARTS_WITHIN = 60
STOPS_WITHIN = 60


class NotInstalled(Exception):
    """Which package is missing."""


class Service(ABC):
    """A server in a folder of its own. `url` stays the same over restarts."""

    url: str

    def __init__(self) -> None:
        self.port = free_port()

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix=f"easel-{type(self).__name__.lower()}-"))
        try:
            self._prepare()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if hasattr(self, "process"):
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Returns when it answers. Raises RuntimeError with the end of its log where it does not."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command(), cwd=self.folder, stdout=log, stderr=log, **self._account()
            )
        until = time.monotonic() + STARTS_WITHIN
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                log_tail = (self.folder / "log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{type(self).__name__} did not start: {log_tail}")
            time.sleep(0.05)

    def stop(self) -> None:
        """In good order: what is written stays, clients are cut off."""
        self.process.send_signal(self._stop_signal)
        self.process.wait(STOPS_WITHIN)

    def kill(self) -> None:
        """As if the power failed: this process and all of its children, at once."""
        self._signal(signal.SIGKILL)
        self.process.wait(STOPS_WITHIN)

    def restart(self, *, kill: bool = False) -> None:
        """Stop, or kill, and start on the same port with what was kept."""
        self.kill() if kill else self.stop()
        self.start()

    def freeze(self) -> None:
        """It keeps its connections and answers nothing, until `thaw()`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            for pid in tree(self.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    _stop_signal = signal.SIGTERM

    def _account(self) -> dict[str, Any]:
        """As whom it runs, in the words of `subprocess`."""
        return {}

    @abstractmethod
    def _prepare(self) -> None: ...

    @abstractmethod
    def _command(self) -> Sequence[str | Path]: ...

    @abstractmethod
    def _answers(self) -> bool: ...


class PostgreSQL(Service):
    """With one superuser, and no password. `durable` is as in production; else nothing waits for a disk."""

    _stop_signal = signal.SIGINT  # "fast": it does not wait for clients to leave

    def __init__(self, *, durable: bool = False, connections: int = 300) -> None:
        super().__init__()
        self.programs = _find_postgresql()
        self.settings = {"max_connections": str(connections), "listen_addresses": "127.0.0.1"}
        if not durable:
            self.settings |= dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")
        self.url = f"postgres://easel@127.0.0.1:{self.port}/postgres"

    def _prepare(self) -> None:
        if account := self._account():
            shutil.chown(self.folder, account["user"], account["group"])
        subprocess.run(
            [
                self.programs / "initdb", "-D", self.folder / "data", "--username=easel", "--auth=trust",
                "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions",
            ],
            cwd=self.folder, check=True, capture_output=True, **account,
        )  # fmt: skip

    def _command(self) -> Sequence[str | Path]:
        options = [f"--{name}={value}" for name, value in self.settings.items()]
        return [
            self.programs / "postgres", "-D", self.folder / "data", "-p", str(self.port),
            "-k", self.folder, *options,
        ]  # fmt: skip

    def _account(self) -> dict[str, Any]:
        """It refuses to run as root."""
        if os.geteuid() != 0:
            return {}
        for name in ("postgres", "nobody"):
            with suppress(KeyError):
                found = pwd.getpwnam(name)
                return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
        raise NotInstalled("PostgreSQL does not run as root, and there is no user postgres or nobody.")

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(self.url, connect_timeout=5):
            return True
        return False


class Redis(Service):
    """In memory only. It has many databases, so that each test may have one of its own."""

    DATABASES = 10_000

    def __init__(self, *, password: str = "") -> None:
        super().__init__()
        self.program = _find_redis()
        self.password = password
        login = f":{password}@" if password else ""
        self.url = f"redis://{login}127.0.0.1:{self.port}/0"

    def _prepare(self) -> None:
        password = f'requirepass "{self.password}"\n' if self.password else ""
        (self.folder / "redis.conf").write_text(
            f'port {self.port}\nbind 127.0.0.1\nsave ""\nappendonly no\ndatabases {self.DATABASES}\n'
            f'dir "{self.folder}"\n{password}'
        )

    def _command(self) -> Sequence[str | Path]:
        return [self.program, self.folder / "redis.conf"]

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def _answers(self) -> bool:
        with self.client() as client, suppress(redis.ConnectionError):
            return bool(client.ping())
        return False


def _find_postgresql() -> Path:
    """The folder with the newest of Debian's servers, or the one on the path."""
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"),
        key=lambda path: [int(number) for number in re.findall(r"\d+", path.parts[4])],
    )
    if debian:
        return debian[-1].parent
    if found := shutil.which("postgres"):
        return Path(found).resolve().parent
    raise NotInstalled("PostgreSQL is not installed: apt-get install postgresql.")


def _find_redis() -> str:
    if found := shutil.which("redis-server"):
        return found
    raise NotInstalled("Redis is not installed: apt-get install redis-server.")


def main(command: list[str]) -> int:
    """Run a command beside both, and return its exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with ExitStack() as running:
        urls = {name: os.environ.get(name, "") for name in (DATABASE_URL, REDIS_URL)}
        try:
            urls[DATABASE_URL] = urls[DATABASE_URL] or running.enter_context(PostgreSQL()).url
            urls[REDIS_URL] = urls[REDIS_URL] or running.enter_context(Redis()).url
        except NotInstalled as missing:
            sys.exit(f"{missing} Or name a server that runs, in {DATABASE_URL} and {REDIS_URL}.")
        environment = os.environ | urls | {BESIDE_SERVICES: "1"}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
