"""Raw requests to a real server: what a client library would never send."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from tests.live import LiveEasel

CHUNKED = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"


@pytest.fixture(scope="module")
def easel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveEasel]:
    with LiveEasel(tmp_path_factory.mktemp("easel"), EASEL_WORKERS="1") as server:
        yield server


def send(easel: LiveEasel, request: str, *, close: bool = True) -> tuple[int, str, str]:
    """Status, headers and body, as far as they come."""
    line, _, rest = request.partition("\r\n")
    ending = "Connection: close\r\n" if close else ""
    with socket.create_connection(("127.0.0.1", easel.port), timeout=10) as wire:
        wire.sendall(f"{line}\r\nHost: 127.0.0.1:{easel.port}\r\n{ending}{rest}".encode("latin-1"))
        answer = b""
        while piece := wire.recv(65536):
            answer += piece
    head, _, body = answer.decode("latin-1").partition("\r\n\r\n")
    return int(head.split()[1]), head, body


@pytest.mark.parametrize("path", ["/healthz", "/api/docs", "/nothing", "/api/auth/session", "/admin/login/"])
def test_an_answer_to_head_has_no_body_to_be_taken_for_the_next_answer(easel, path):
    _, head, body = send(easel, f"HEAD {path} HTTP/1.1\r\n\r\n")
    assert "Content-Length" in head
    assert body == ""


@pytest.mark.parametrize("chunks", ["zz\r\nabc\r\n0\r\n\r\n", "3\r\nabcdef\r\n0\r\n\r\n", "-1\r\n\r\n"])
def test_broken_chunks_are_the_callers_fault(easel, chunks):
    status, _, body = send(easel, f"POST /api/auth/token HTTP/1.1\r\n{CHUNKED}\r\n{chunks}")
    assert status == 400
    assert json.loads(body)["code"] == "parse_error"


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: 0x4\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length: 4\r\n folded\r\n",
    ],
)
def test_a_body_that_ends_in_two_places_is_refused(easel, framing):
    status, head, _ = send(easel, f"POST /api/auth/token HTTP/1.1\r\n{framing}\r\nabcd", close=False)
    assert status in (400, 501)
    assert "Connection: close" in head


@pytest.mark.parametrize("header", ["SCRIPT_NAME: /x", "PATH_INFO: /healthz", "REMOTE_USER: admin"])
def test_a_header_names_neither_a_path_nor_a_user(easel, header):
    assert send(easel, f"GET /x/healthz HTTP/1.1\r\n{header}\r\n\r\n")[0] == 404
    assert send(easel, f"GET /api/auth/session HTTP/1.1\r\n{header}\r\n\r\n")[0] in (401, 404)


def test_a_body_of_nobody_is_not_waited_for(easel):
    request = (
        "POST /api/images/generations HTTP/1.1\r\nContent-Type: application/json\r\n"
        "Content-Length: 60000000\r\n\r\n"
    )
    assert send(easel, request)[0] == 401


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /<script>alert(1)</script> HTTP/1.1",
        "GET / HTTP/9.9<script>alert(1)</script>",
        "<script>alert(1)</script> / HTTP/1.1",
        "GET /?a=<script>alert(1)</script> HTTP/1.1\r\nBad<script>: x",
        "GET / HTTP/1.1\r\nTransfer-Encoding: <script>alert(1)</script>",
        "TRACE /<script> HTTP/1.1\r\nCookie: connect.sid=a-secret-of-somebodys",
        "GET / HTTP/1.1\r\nX: " + "a" * 20_000,
    ],
)
def test_what_cannot_be_understood_is_not_repeated(easel, request_line):
    """By gunicorn, that is: it answers these itself, or hands them on."""
    status, head, body = send(easel, f"{request_line}\r\n\r\n")
    assert 400 <= status < 600 and status != 500
    assert "<script>" not in head + body and "a-secret-of-somebodys" not in head + body
    assert "Traceback" not in body and "/site-packages/" not in body


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1@evil.example", "evil.example:80#", "[::1"])
def test_another_host_is_refused(easel, host):
    with socket.create_connection(("127.0.0.1", easel.port), timeout=10) as wire:
        wire.sendall(f"GET /api/v1/files/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := wire.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 400") and b"evil" not in answer
