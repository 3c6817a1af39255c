"""A real HTTP server on a free port, for fakes to stand on, and the faults that servers have.

    with Echo() as server:
        server.fault = cut_in_body
        ...

`server.requests` holds what came in. While `server.fault` is set, requests that `faulty()` picks are
answered by it: it is given the right answer and may send that, another, half of it, or nothing.
"""

from __future__ import annotations

import gzip
import io
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from PIL import Image


@dataclass(frozen=True)
class Request:
    """What came in. `headers` have lower-case names."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Response:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        return cls(
            status, json.dumps(value).encode(), {"content-type": "application/json", **(headers or {})}
        )


class Wire:
    """The server's end of one connection."""

    def __init__(self, handler: BaseHTTPRequestHandler, stopping: threading.Event) -> None:
        self._handler, self.stopping = handler, stopping

    def send(self, response: Response) -> None:
        self.write(self.head(response) + response.body)

    def head(self, response: Response) -> bytes:
        headers = {"content-length": str(len(response.body)), **response.headers}
        lines = [
            f"HTTP/1.1 {response.status} Status",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def write(self, data: bytes) -> None:
        self._handler.wfile.write(data)
        self._handler.wfile.flush()

    def drip(self, data: bytes, every: float = 0.1) -> None:
        """One byte at a time, until the client or the server has had enough."""
        for k in range(len(data)):
            if self.stopping.wait(every):
                return
            self.write(data[k : k + 1])


Fault = Callable[[Wire, Response], None]


class FakeServer:
    """Subclasses implement `reply`. A context manager: the server runs inside the `with` block."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.fault: Fault | None = None
        self._stopping = threading.Event()

    def reply(self, request: Request) -> Response:
        raise NotImplementedError

    def faulty(self, request: Request) -> bool:
        """Which requests the fault strikes."""
        return True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                self.close_connection = True
                if self.raw_requestline and self.parse_request():
                    fake._handle(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # clients hang up on purpose here

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        request = Request(
            method=handler.command,
            path=url.path,
            query=parse_qs(url.query),
            headers={name.lower(): value for name, value in handler.headers.items()},
            body=handler.rfile.read(int(handler.headers.get("content-length") or 0)),
        )
        self.requests.append(request)
        wire = Wire(handler, self._stopping)
        response = self.reply(request)
        if self.fault and self.faulty(request):
            self.fault(wire, response)
        else:
            wire.send(response)


class Echo(FakeServer):
    """Answers every request with its path and a megabyte beside it."""

    def reply(self, request: Request) -> Response:
        return Response.json({"path": request.path, "padding": "x" * 1_000_000})


def picture(width: int = 1024, height: int = 1024, format: str = "PNG", colour: str = "firebrick") -> bytes:
    """A real picture of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, format)
    return buffer.getvalue()


# Faults. Those that need to know what is asked for are made by a function.


def slow_headers(wire: Wire, response: Response) -> None:
    wire.drip(wire.head(replace(response, headers={**response.headers, "x-padding": "x" * 600})))


def slow_body(wire: Wire, response: Response) -> None:
    body = response.body.ljust(600)
    wire.write(wire.head(replace(response, body=body)))
    wire.drip(body)


def silent(wire: Wire, response: Response) -> None:
    wire.stopping.wait(60)


def cut_before_headers(wire: Wire, response: Response) -> None:
    pass


def cut_in_headers(wire: Wire, response: Response) -> None:
    wire.write(wire.head(response)[:25])


def cut_in_body(wire: Wire, response: Response) -> None:
    wire.write(wire.head(response) + response.body[: len(response.body) // 2])


def cut_in_chunks(wire: Wire, response: Response) -> None:
    half = response.body[: len(response.body) // 2]
    head = f"HTTP/1.1 {response.status} Status\r\ntransfer-encoding: chunked\r\n\r\n"
    wire.write(head.encode() + b"%x\r\n%b\r\n" % (len(half), half))


def not_http(wire: Wire, response: Response) -> None:
    wire.write(b"220 mail.example ready\r\n")


def broken_json(wire: Wire, response: Response) -> None:
    wire.send(replace(response, body=response.body[: len(response.body) // 2]))


def wrong_shape(wire: Wire, response: Response) -> None:
    wire.send(Response.json({"data": {"pictures": [7]}, "images": None, "outputs": 3}))


def error_500(wire: Wire, response: Response) -> None:
    wire.send(Response.json({"error": {"message": "Internal error at 10.1.2.3"}}, 500))


def error_html(wire: Wire, response: Response) -> None:
    wire.send(Response(502, b"<html><h1>502 Bad Gateway</h1></html>", {"content-type": "text/html"}))


def too_large(wire: Wire, response: Response) -> None:
    """Says nothing of its length and never ends by itself."""
    wire.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
    while not wire.stopping.is_set():
        wire.write(b" " * 65536)


def gzip_bomb(wire: Wire, response: Response) -> None:
    wire.send(Response(200, _bomb(), {"content-encoding": "gzip"}))


@cache
def _bomb() -> bytes:
    """Some hundred kilobytes that unpack to a hundred megabytes."""
    return gzip.compress(bytes(100_000_000), compresslevel=1)


def rate_limited(**headers: str) -> Fault:
    """429 with these headers: `rate_limited(retry_after="7")`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda wire, response: wire.send(Response.json({"error": {"message": "slow down"}}, 429, named))


def status(code: int, body: bytes = b"", **headers: str) -> Fault:
    """Another answer altogether."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda wire, response: wire.send(Response(code, body, named))


def redirect(to: str) -> Fault:
    return status(302, location=to)
