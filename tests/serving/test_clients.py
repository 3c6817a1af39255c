"""Clients that misbehave, or only have their ways, hold up nobody else."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection

import pytest

from tests.live import LiveEasel
from tests.serving.engines import SlowEngine, noise

PATIENCE, SLACK = 2, 20.0
"""Seconds after which Easel drops a silent client here, and how much later that may be on a busy machine."""

PACE, WHOLE = 400_000, 12
"""Bytes a second that a client must keep here, and seconds in which a request must have come."""

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
            EASEL_CLIENT_PACE=str(PACE),
            EASEL_REQUEST_TIMEOUT=str(WHOLE),
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


@pytest.fixture(scope="module")
def picture_path(easel: LiveEasel) -> str:
    """A picture of 12 MB."""
    made = easel.post("/api/images/generations", {"prompt": "noise", "size": f"{EDGE}x{EDGE}"})
    assert made.status_code == 200, made.text
    return str(made.json()[0]["url"])


def head(easel: LiveEasel, line: str, *headers: str) -> bytes:
    credentials = f"Authorization: {easel.headers['Authorization']}"
    lines = [f"{line} HTTP/1.1", "Host: 127.0.0.1", credentials, *headers, "", ""]
    return "\r\n".join(lines).encode()


def upload(easel: LiveEasel, data: bytes) -> tuple[bytes, bytes]:
    """Head and body of a request that stores a picture."""
    part = b'Content-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    body = b"--x\r\n" + part + data + b"\r\n--x--\r\n"
    kind = "Content-Type: multipart/form-data; boundary=x"
    return head(easel, "POST /api/v1/files/", kind, f"Content-Length: {len(body)}"), body


def trickle(sock: socket.socket, data: bytes, pace: int, every: float) -> bool:
    """Send `data` at `pace` bytes a second, in pieces. False when the other end hangs up before the end."""
    size = max(int(pace * every), 1)
    for at in range(0, len(data), size):
        started = time.monotonic()
        try:
            sock.sendall(data[at : at + size])
        except OSError:
            return False
        if select.select([sock], [], [], 0)[0]:
            return False
        time.sleep(max(started + every - time.monotonic(), 0))
    return True


def sip(sock: socket.socket, pace: int, every: float, at_most: float = 60.0) -> int:
    """Read at `pace` bytes a second until the end, or for `at_most` seconds; how much came."""
    came, until = 0, time.monotonic() + at_most
    while time.monotonic() < until:
        started, asked = time.monotonic(), max(int(pace * every), 1)
        while asked > 0:
            try:
                piece = sock.recv(asked)
            except ConnectionResetError:
                return came
            if not piece:
                return came
            asked, came = asked - len(piece), came + len(piece)
        time.sleep(max(started + every - time.monotonic(), 0))
    raise AssertionError(f"still being served after {at_most} seconds")


def test_clients_that_say_nothing_hold_up_nobody(easel: LiveEasel, dial: Dial) -> None:
    """There are more of them than threads."""
    held = [dial() for _ in range(500)]
    assert answers_soon(easel)
    assert all(read_all(sock) == b"" for sock in held)


def test_half_sent_requests_hold_up_nobody_and_are_dropped(easel: LiveEasel, dial: Dial) -> None:
    held = [dial() for _ in range(200)]
    for sock in held:
        sock.sendall(HEALTH)
    assert answers_soon(easel)
    assert all(b"200 OK" not in read_all(sock) for sock in held)


def test_a_half_sent_body_is_dropped(easel: LiveEasel, dial: Dial) -> None:
    sock = dial()
    sock.sendall(
        head(easel, "POST /api/images/generations", "Content-Type: application/json", "Content-Length: 1000")
        + b'{"prompt": "'
    )
    assert b"200 OK" not in read_all(sock)
    assert answers_soon(easel)


def test_a_head_that_drips_is_dropped(easel: LiveEasel, dial: Dial) -> None:
    """Each byte comes long before a silent client would be dropped."""
    sock = dial()
    assert not trickle(sock, HEALTH + b"X-Padding: " + b"x" * 300, pace=10, every=0.1)
    assert b"200 OK" not in read_all(sock)


def test_a_body_that_drips_is_dropped(easel: LiveEasel, dial: Dial) -> None:
    sock, (start, body) = dial(), upload(easel, noise(64))
    sock.sendall(start)
    assert not trickle(sock, body[:300], pace=10, every=0.1)
    assert b"201 Created" not in read_all(sock)


def test_a_body_on_a_thin_line_is_read_to_its_end(easel: LiveEasel, dial: Dial) -> None:
    """It takes three times as long as a silent client is borne with."""
    sock, (start, body) = dial(), upload(easel, noise(1024))
    sock.sendall(start)
    assert trickle(sock, body, pace=len(body) // (PATIENCE * 3), every=0.2)
    sock.shutdown(socket.SHUT_WR)
    assert b"201 Created" in read_all(sock)


def test_a_body_that_takes_too_long_in_all_is_dropped(easel: LiveEasel, dial: Dial) -> None:
    """At a pace that would do."""
    sock, (start, body) = dial(), upload(easel, noise(2048))
    sock.sendall(start)
    assert not trickle(sock, body, pace=PACE, every=0.2)
    assert b"201 Created" not in read_all(sock)


def test_clients_that_do_not_read_hold_up_nobody_and_are_dropped(
    easel: LiveEasel, dial: Dial, picture_path: str
) -> None:
    """There are more of them than pooled database connections."""
    held = [dial((socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)) for _ in range(12)]
    for sock in held:
        sock.sendall(head(easel, f"GET {picture_path}"))
    assert answers_soon(easel)
    time.sleep(PATIENCE * 4)
    assert all(len(read_all(sock)) < EDGE * EDGE * 3 for sock in held)


def test_a_client_that_reads_by_the_byte_is_dropped(easel: LiveEasel, dial: Dial, picture_path: str) -> None:
    sock = dial((socket.SOL_SOCKET, socket.SO_RCVBUF, 4096))
    sock.sendall(head(easel, f"GET {picture_path}"))
    for _ in range(PATIENCE * 4 * 10):
        sock.recv(1)
        time.sleep(0.1)
    assert len(read_all(sock)) < EDGE * EDGE * 3


def test_a_client_on_a_thin_line_gets_its_picture(easel: LiveEasel, dial: Dial, picture_path: str) -> None:
    sock = dial((socket.SOL_SOCKET, socket.SO_RCVBUF, 65536))
    sock.sendall(head(easel, f"GET {picture_path}", "Connection: close"))
    assert sip(sock, pace=PACE * 3, every=0.1) > EDGE * EDGE * 3


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
