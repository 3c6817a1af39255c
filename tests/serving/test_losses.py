"""One `Idempotency-Key`, several processes, deaths between: the engine is asked once, for it costs money."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import requests

from tests.live import LiveEasel, tree
from tests.serving.engines import SlowEngine

SECONDS = 3.0
FAMILIES = {"images": "/api/images/generations", "portraits": "/api/mind/profile/generatePortrait"}
AT_ONCE = 10


@dataclass
class Place:
    """Two servers of one process each, on the same data, and the engine that both ask."""

    servers: list[LiveEasel]
    engine: SlowEngine
    token: str

    def ask(self, server: int, path: str, key: str, prompt: str = "a lake") -> requests.Response | None:
        """None where the connection was cut."""
        headers = {"Idempotency-Key": key, "Authorization": f"Bearer {self.token}"}
        try:
            return self.servers[server].post(path, {"prompt": prompt}, headers=headers)
        except requests.ConnectionError:
            return None

    def ask_and_go(self, server: int, path: str, key: str) -> None:
        """Send a request, wait until the engine works on it, and reset the connection."""
        body = json.dumps({"prompt": "a lake"}).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.token}\r\n"
            f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", self.servers[server].port)) as sock:
            sock.sendall(head.encode() + body)
            self.engine.wait_for(1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def kill_worker(self, server: int) -> None:
        (worker,) = tree(self.servers[server].process.pid)[2:]
        os.kill(worker, signal.SIGKILL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("easel")
    with (
        SlowEngine(SECONDS) as engine,
        LiveEasel(folder, EASEL_WORKERS="1") as first,
        LiveEasel(folder, first, EASEL_WORKERS="1") as second,
    ):
        engine.serve(first)
        yield Place([first, second], engine, first.headers["Authorization"].removeprefix("Bearer "))


@pytest.fixture(params=FAMILIES)
def path(request: pytest.FixtureRequest, place: Place) -> str:
    place.engine.requests.clear()
    return FAMILIES[request.param]


def test_of_many_at_once_in_two_processes_one_asks_the_engine(place: Place, path: str) -> None:
    key = f"at once {path}".replace(" ", "-")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda number: place.ask(number % 2, path, key), range(AT_ONCE)))
    statuses = Counter(answer.status_code for answer in answers if answer is not None)
    assert set(statuses) == {200, 409} and statuses.total() == AT_ONCE
    assert all(answer.headers["Retry-After"] for answer in answers if answer and answer.status_code == 409)
    assert place.engine.begun == 1
    again = [place.ask(number, path, key) for number in (0, 1)]
    made = next(answer for answer in answers if answer is not None and answer.status_code == 200)
    assert [answer.json() for answer in again if answer is not None] == [made.json()] * 2
    other = [place.ask(number, path, key, "another lake") for number in (0, 1)]
    assert [answer.status_code for answer in other if answer is not None] == [422] * 2
    assert place.engine.begun == 1


def test_a_repeat_after_the_worker_was_killed_asks_nobody_again(place: Place, path: str) -> None:
    key = f"killed-{path}"
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(place.ask, 0, path, key)
        place.engine.wait_for(1)
        place.kill_worker(0)
        assert first.result(60) is None, "it was to be cut"
    early = place.ask(1, path, key)
    assert early is not None and early.status_code == 409 and early.headers["Retry-After"]
    place.servers[1].let_deadlines_pass()
    for server in (1, 0, 1):
        late = place.ask(server, path, key)
        assert late is not None and late.status_code == 500
        body = late.json()
        assert "interrupted" in (body.get("code"), body.get("details"))
    assert place.engine.begun == 1
    anew = place.ask(0, path, f"{key}-2")
    assert anew is not None and anew.status_code == 200


def test_a_picture_whose_person_has_gone_is_kept_for_him(place: Place, path: str) -> None:
    key = f"gone-{path}"
    files = len(place.servers[1].get("/api/v1/files/").json()["results"])
    place.ask_and_go(0, path, key)
    until = time.monotonic() + 60
    while (again := place.ask(1, path, key)) is not None and again.status_code == 409:
        assert time.monotonic() < until, "it is not recorded"
        time.sleep(0.2)
    assert again is not None and again.status_code == 200
    assert len(place.servers[1].get("/api/v1/files/").json()["results"]) == files + 1
    assert place.engine.begun == 1
