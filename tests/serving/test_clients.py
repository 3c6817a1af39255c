"""Clients that misbehave, or only have their ways, hold up nobody else."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection

import pytest

from tests.live import LiveEasel
from tests.serving.engines import SlowEngine, noise

PATIENCE, SLACK = 1, 20.0
"""Seconds after which Easel drops a silent client here, and how much later that may be on a busy machine."""

EDGE = 2048
Dial = Callable[..., socket.socket]

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def easel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveEasel]:
    with (
        SlowEngine(0, noise(EDGE)) as engine,
        LiveEasel(
            tmp_path_factory.mktemp("easel"),
            EASEL_THREADS="160",
            EASEL_SOCKET_TIMEOUT=str(PATIENCE),
            EASEL_DATABASE_POOL="2",
        ) as easel,
    ):
        engine.serve(easel)
        yield easel


@pytest.fixture
def dial(easel: LiveEasel) -> Iterator[Dial]:
    with ExitStack() as sockets:

        def dial(*options: tuple[int, int, int]) -> socket.socket:
            sock = sockets.enter_context(socket.socket())
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(PATIENCE + SLACK)
            sock.connect(("127.0.0.1", easel.port))
            return sock

        yield dial


def read_all(sock: socket.socket) -> bytes:
    """What comes until the other end hangs up, in whichever way."""
    data = b""
    try:
        while piece := sock.recv(1 << 16):
            data += piece
    except ConnectionResetError:
        pass
    return data


def answers_soon(easel: LiveEasel) -> bool:
    started = time.monotonic()
    assert easel.get("/readyz").status_code == 200
    assert easel.get("/api/v1/files/").status_code == 200
    return time.monotonic() - started < 5


def test_half_sent_requests_hold_up_nobody_and_are_dropped(easel: LiveEasel, dial: Dial) -> None:
    held = [dial() for _ in range(200)]
    for sock in held:
        sock.sendall(HEALTH)
    assert answers_soon(easel)
    assert all(b"200 OK" not in read_all(sock) for sock in held)


def test_a_half_sent_body_is_dropped(easel: LiveEasel, dial: Dial) -> None:
    sock = dial()
    head = (
        "POST /api/images/generations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: {easel.headers['Authorization']}\r\nContent-Length: 1000\r\n\r\n"
    )
    sock.sendall(head.encode() + b'{"prompt": "')
    assert b"200 OK" not in read_all(sock)
    assert answers_soon(easel)


def test_clients_that_do_not_read_hold_up_nobody_and_are_dropped(easel: LiveEasel, dial: Dial) -> None:
    """There are more of them than pooled database connections."""
    made = easel.post("/api/images/generations", {"prompt": "noise", "size": f"{EDGE}x{EDGE}"})
    assert made.status_code == 200, made.text
    path, size = made.json()[0]["url"], EDGE * EDGE * 3
    head = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {easel.headers['Authorization']}\r\n\r\n"
    )
    held = [dial((socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)) for _ in range(12)]
    for sock in held:
        sock.sendall(head.encode())
    assert answers_soon(easel)
    time.sleep(PATIENCE * 7)  # each write that is half done has the time anew, and there may be a few
    assert all(len(read_all(sock)) < size for sock in held)


def test_a_hundred_kept_connections(easel: LiveEasel) -> None:
    kept = [HTTPConnection("127.0.0.1", easel.port, timeout=PATIENCE + SLACK) for _ in range(100)]
    for _ in range(3):
        for connection in kept:
            connection.request("GET", "/healthz")
        for connection in kept:
            answer = connection.getresponse()
            assert (answer.status, answer.read(), answer.will_close) == (200, b'{"status": "ok"}', False)
    for connection in kept:
        connection.close()


def test_clients_that_want_the_connection_closed_and_linger(easel: LiveEasel, dial: Dial) -> None:
    """gunicorn 26.0 to 27.0.1 waits for each of them, two seconds long, in the loop that serves all."""
    for _ in range(20):
        dial().sendall(HEALTH + b"Connection: close\r\n\r\n")
    assert answers_soon(easel)
