"""Who takes part, each with its server running for the whole bench: the mock engine alone, the floor, Easel
on each database, and LiteLLM.
"""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench import litellm
from bench.clients import Load
from bench.processes import running
from tests.live import LiveEasel, free_port

BODY = {"prompt": "A lake at dawn", "size": "1024x1024"}
WORKERS = 2
RATES_THAT_COUNT = {"EASEL_RATE_USER": "1000000", "EASEL_RATE_ADDRESS": "1000000"}
"""As in production every request is counted; these refuse none."""


@dataclass(frozen=True)
class Left:
    """What Easel holds after a run: rows and files of pictures, and what should not be there any more."""

    rows: int
    files: int
    running: int
    incoming: int


class Contestant:
    """A server with a path that makes a picture. One that stores nothing has nothing left."""

    database = ""

    def __init__(self, name: str, url: str, pid: int, headers: dict[str, str] | None = None) -> None:
        self.name, self.url, self.pid, self.headers = name, url, pid, headers or {}
        self.body = json.dumps(BODY)

    def load(self, clients: int, requests: int) -> Load:
        return Load(self.url, clients, requests, headers=self.headers, body=self.body)

    def left(self) -> Left | None:
        return None


class Easel(Contestant):
    """Asked by a member of "Image creators", as most of its users are."""

    def __init__(self, name: str, live: LiveEasel) -> None:
        super().__init__(name, f"{live.url}/api/images/generations", live.process.pid)
        self.live, self.database = live, live.environment["DATABASE_URL"]
        found = re.search(r"^ +member +(\S+) +(\S+) *$", live.banner, re.MULTILINE)
        assert found is not None, "the members' password is shown at the first start"  # noqa: S101
        self.username, self.password = found.groups()

    def load(self, clients: int, requests: int) -> Load:
        return Load(self.url, clients, requests, headers=self.log_in(), body=self.body)

    def log_in(self) -> dict[str, str]:
        login = {"username": self.username, "password": self.password}
        return {"Authorization": f"Bearer {self.live.post('/api/auth/token', login).json()['access']}"}

    def left(self) -> Left:
        rows, running = self._count()
        return Left(
            rows=rows,
            running=running,
            files=_count_files(self.live.folder / "files"),
            incoming=_count_files(self.live.folder / "incoming"),
        )

    def _count(self) -> tuple[int, int]:
        query = (
            "SELECT (SELECT count(*) FROM imagegen_imagefile), "
            "(SELECT count(*) FROM imagegen_generation WHERE status = 'running')"
        )
        if self.database:
            with psycopg.connect(self.database) as connection:
                found = connection.execute(query).fetchone()
        else:
            found = sqlite3.connect(self.live.folder / "easel.sqlite3").execute(query).fetchone()
        assert found is not None  # noqa: S101
        return int(found[0]), int(found[1])


@contextmanager
def mock(folder: Path) -> Iterator[Contestant]:
    port = free_port()
    command = [sys.executable, "-m", "bench.engine", str(port)]
    with running(command, port=port, log=folder / "mock.log") as pid:
        yield Contestant("mock", f"http://127.0.0.1:{port}", pid)


@contextmanager
def easel(name: str, folder: Path, engine: str, database: str) -> Iterator[Easel]:
    """In its production configuration, with logs of production in a file."""
    settings = {"EASEL_THREADS": "", "DATABASE_URL": database, **RATES_THAT_COUNT}
    place = folder / name
    place.mkdir()
    with LiveEasel(place, **settings, EASEL_WORKERS=str(WORKERS)) as live:
        live.manage(
            "connections", "add", "mock", "--engine", "openai", "--base-url", engine,
            "--api-key-env", "KEY", "--model", "mock", "--use-for", "generate",
            KEY="sk-any",
        )  # fmt: skip
        yield Easel(name, live)


@contextmanager
def floor(folder: Path, engine: str) -> Iterator[Contestant]:
    """Under gunicorn as it serves Easel, whose configuration wants settings, and secrets for them."""
    port, place = free_port(), folder / "floor"
    live = LiveEasel(place, EASEL_THREADS="", EASEL_WORKERS=str(WORKERS), PORT=str(port), DATABASE_URL="")
    secrets = {"SECRET_KEY": "bench" * 10, "EASEL_ENCRYPTION_KEYS": "A" * 43 + "="}
    environment = {"MALLOC_ARENA_MAX": "2", **live.environment, **secrets, "BENCH_ENGINE": engine}
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:bench.floor_gunicorn"]
    command = [*gunicorn, "bench.floor:application"]
    with running(command, port=port, log=folder / "floor.log", environment=environment) as pid:
        yield Contestant("floor", f"http://127.0.0.1:{port}", pid)


@contextmanager
def lite(folder: Path, engine: str) -> Iterator[Contestant]:
    with litellm.proxy(folder, engine, WORKERS) as (url, pid):
        contestant = Contestant(
            "litellm", f"{url}/v1/images/generations", pid, {"Authorization": f"Bearer {litellm.KEY}"}
        )
        contestant.body = json.dumps({"model": litellm.MODEL, **BODY})
        yield contestant


def _count_files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))
