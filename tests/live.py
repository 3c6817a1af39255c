"""Easel as it is run: `make run`'s program in a folder of its own, with gunicorn and two workers."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import requests

ROOT = Path(__file__).parent.parent
PASSWORD = "correct horse battery staple"
STARTED = "Ctrl-C ends it."


class LiveEasel:
    """A running server. `environment` overrides settings. With `beside`: one more, on the data of that."""

    def __init__(self, folder: Path, beside: LiveEasel | None = None, **environment: str) -> None:
        self.folder, self.beside = folder, beside
        self.port = free_port()
        self._closing = ExitStack()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("EASEL_", "DJANGO_"))
            },
            "EASEL_DATA_DIR": str(folder),
            "EASEL_ADMIN_PASSWORD": PASSWORD,
            "EASEL_RATE_USER": "0",
            "EASEL_RATE_ADDRESS": "0",
            "EASEL_THREADS": "100",
            "EASEL_PUBLIC_URL": "",
            "EASEL_REDIS_URL": os.environ.get("EASEL_REDIS_URL", ""),
            "SECRET_KEY": "",
            "EASEL_ENCRYPTION_KEYS": "",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PORT": str(self.port),
            **environment,
        }

    def __enter__(self) -> Self:
        if self.beside is None:
            self.environment["DATABASE_URL"] = self._closing.enter_context(
                database_of_its_own(self.environment.get("DATABASE_URL", ""))
            )
            self.environment["EASEL_REDIS_URL"] = self._closing.enter_context(
                redis_of_its_own(self.environment["EASEL_REDIS_URL"])
            )
        else:
            for name in ("DATABASE_URL", "EASEL_REDIS_URL"):
                self.environment[name] = self.beside.environment[name]
        self.log = self.log_file.open("wb")
        self._start()
        try:
            self._wait_for_banner()
            self.headers = {"Authorization": f"Bearer {self._token()}"}
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    @property
    def log_file(self) -> Path:
        return self.folder / ("log" if self.beside is None else f"log-{self.port}")

    def _start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "config.quickstart"],
            cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=self.log,
        )  # fmt: skip

    def _wait_for_banner(self) -> None:
        assert self.process.stdout is not None
        self.banner = ""
        while STARTED not in self.banner:
            line = self.process.stdout.readline().decode()
            assert line, f"it did not start: {self.log_file.read_text()[-3000:]}"
            self.banner += line

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        finally:
            for pid in tree(self.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.communicate()
            self.log.close()
            self._closing.close()

    def _token(self) -> str:
        login = {"username": "admin", "password": PASSWORD}
        return str(self.post("/api/auth/token", login).json()["access"])

    def post(self, path: str, body: Any, **kwargs: Any) -> requests.Response:
        headers = getattr(self, "headers", {}) | kwargs.pop("headers", {})
        return requests.post(f"{self.url}{path}", json=body, headers=headers, timeout=120, **kwargs)

    def get(self, path: str, **kwargs: Any) -> requests.Response:
        return requests.get(f"{self.url}{path}", headers=self.headers, timeout=60, **kwargs)

    def let_deadlines_pass(self) -> None:
        """Of what runs, as if an hour had gone by."""
        self.manage(
            "shell", "--no-imports", "-c",
            "from datetime import timedelta; from django.db.models import F;"
            "from imagegen.models import Generation as G;"
            "G.objects.filter(status='running').update(deadline_at=F('deadline_at') - timedelta(hours=1))",
        )  # fmt: skip

    def manage(self, *arguments: str, **environment: str) -> str:
        """Run manage.py beside it, as ops do. Raises CalledProcessError."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self.environment | environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout


@contextmanager
def database_of_its_own(url: str) -> Iterator[str]:
    """An empty PostgreSQL database on the same server; another URL is handed back as it is."""
    if not url.startswith("postgres"):
        yield url
        return
    import psycopg

    name = f"easel_live_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:  # by another connection: a test may have restarted the server
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def redis_of_its_own(url: str) -> Iterator[str]:
    """Another of the same server's databases, emptied afterwards; without a URL there is none."""
    if not url:
        yield url
        return
    import redis

    with redis.Redis.from_url(url) as server:
        databases = int(server.config_get("databases")["databases"])
    own = urlsplit(url)._replace(path=f"/{secrets.choice(range(databases // 2, databases))}").geturl()
    yield own
    with suppress(redis.ConnectionError), redis.Redis.from_url(own) as server:
        server.flushdb()


def tree(pid: int) -> list[int]:
    """A process and all below it, where it still runs."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []
    return [pid, *(process for child in children for process in tree(child))]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
