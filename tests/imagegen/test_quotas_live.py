"""Fifty requests at once against a quota of ten, from two servers on one database, half in each family."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import requests

from tests.fakes.server import Request, Response
from tests.live import PASSWORD, LiveEasel
from tests.services import NotInstalled, PostgreSQL
from tests.serving.engines import SlowEngine

ASKED, QUOTA = 50, 10
GENERATE, PORTRAIT = "/api/images/generations", "/api/mind/profile/generatePortrait"
LIMITS = {
    "pictures_per_day": str(QUOTA),
    "pictures_per_month": str(QUOTA),
    "money_per_month": "0.40",
    "generations_at_once": str(QUOTA),
}
PRICE = "0.04"
SET_UP = f"""
from django.contrib.auth.models import User
from django.core.management import call_command
for dimension, limit in {LIMITS!r}.items():
    User.objects.create_user(dimension, password={PASSWORD!r})
    call_command("grant", dimension, "--create", "--user", dimension)
    call_command("quotas", "set", dimension, "--" + dimension.replace("_", "-"), limit)
call_command("connections", "update", "slow", "--price", "{PRICE}")
"""
DAWDLE = """
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END';
CREATE TRIGGER dawdle BEFORE INSERT ON imagegen_generation FOR EACH ROW EXECUTE FUNCTION dawdle();
"""
"""Long enough between counting and writing for others to count too, if they may."""


class Patient(SlowEngine):
    """Lets nobody go before all others have been refused."""

    def __init__(self) -> None:
        super().__init__(0)
        self.rest_refused = threading.Event()

    def reply(self, request: Request) -> Response:
        self.rest_refused.wait(30)
        return self.answer


@dataclass
class Place:
    """Two servers of one process each, and the engine that both ask."""

    servers: list[LiveEasel]
    engine: Patient

    def ask_at_once(self, username: str) -> list[requests.Response]:
        """Every other request goes to the other server; at both, every other is for a portrait."""
        login = {"username": username, "password": PASSWORD}
        token = self.servers[0].post("/api/auth/token", login).json()["access"]
        refused, all_in = threading.Semaphore(0), threading.Barrier(ASKED)

        def ask(number: int) -> requests.Response:
            path, body = (GENERATE, {"size": "64x64"}) if number // 2 % 2 else (PORTRAIT, {})
            all_in.wait(30)
            answer = self.servers[number % 2].post(
                path, {"prompt": "a"} | body, headers={"Authorization": f"Bearer {token}"}
            )
            if answer.status_code != 200:
                refused.release()
            return answer

        with ThreadPoolExecutor(ASKED) as pool:
            asked = [pool.submit(ask, number) for number in range(ASKED)]
            all(refused.acquire(timeout=20) for _ in range(ASKED - QUOTA))
            self.engine.rest_refused.set()
            return [one.result() for one in asked]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The server that the tests run on, or one for the occasion."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    try:
        with PostgreSQL() as server:
            yield server.url
    except NotInstalled as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    url = request.getfixturevalue("postgresql") if request.param == "postgresql" else ""
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as running:
        engine = running.enter_context(Patient())
        first = running.enter_context(LiveEasel(folder, DATABASE_URL=url, EASEL_WORKERS="1"))
        second = running.enter_context(LiveEasel(folder, first, EASEL_WORKERS="1"))
        engine.serve(first)
        first.manage("shell", "-c", SET_UP)
        if url:
            with psycopg.connect(first.environment["DATABASE_URL"]) as connected:
                connected.execute(DAWDLE)
        yield Place([first, second], engine)


@pytest.mark.parametrize("dimension", LIMITS)
def test_exactly_ten_of_fifty(place: Place, dimension: str) -> None:
    place.engine.requests.clear()
    place.engine.rest_refused.clear()
    answers = place.ask_at_once(dimension)
    made = [answer for answer in answers if answer.status_code == 200]
    assert len(made) == len(place.engine.requests) == QUOTA
    for number, answer in enumerate(answers):
        if answer not in made:
            check_refusal(answer, dimension, "error" if number // 2 % 2 == 0 else "detail")
    check_books(place, dimension)


def check_refusal(answer: requests.Response, dimension: str, field: str) -> None:
    """A sentence, and how many seconds until it helps to ask again."""
    sentence = answer.json()[field]
    assert answer.status_code == 429, answer.text
    assert sentence.startswith(f"This would exceed your quota of {dimension.replace('_', ' ')}, which is ")
    wait = timedelta(seconds=int(answer.headers["Retry-After"]))
    if dimension == "generations_at_once":
        assert sentence.endswith("10 running. Please try again when one has ended.")
        assert wait == timedelta(seconds=5)
        return
    said = re.search(r"It resets on (\S+) at 00:00 UTC\.$", sentence)
    assert said, sentence
    resets_at = datetime.fromisoformat(f"{said[1]}T00:00+00:00")
    assert abs(datetime.now(UTC) + wait - resets_at) < timedelta(minutes=1)
    assert dimension == "pictures_per_day" or resets_at.day == 1


def check_books(place: Place, dimension: str) -> None:
    """What is stored, what the user is told and what ops are told agree, on both servers."""
    stored = f"ImageFile.objects.filter(owner__username={dimension!r}).count()"
    first = place.servers[0]
    assert first.manage("shell", "-c", f"from imagegen.models import *; print({stored})").split()[-1] == "10"
    for server in place.servers:
        usage = told(server, dimension)
        limit = float(LIMITS[dimension])
        used = 0 if dimension == "generations_at_once" else limit
        assert (float(usage["limit"]), float(usage["used"])) == (limit, used)
    report = first.manage("usage", "--since", "2020-01-01", "--csv").splitlines()
    assert f"{dimension},50,10,0,40,0.400000" in report


def told(server: LiveEasel, username: str) -> dict[str, Any]:
    login = {"username": username, "password": PASSWORD}
    token = server.post("/api/auth/token", login).json()["access"]
    answer = requests.get(
        f"{server.url}/api/usage", headers={"Authorization": f"Bearer {token}"}, timeout=60
    ).json()
    found: dict[str, Any] = answer[username]
    return found
