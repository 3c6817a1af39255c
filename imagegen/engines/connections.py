"""Connections that end on time.

A socket's own timeout starts anew with every read, so a server that sends one byte a second holds a call
for ever. Here each read and write gets what is left until one point in time, and that ends the whole
call: headers, body and handshake alike, without a watchdog thread per call.
"""

from __future__ import annotations

import functools
import socket
import ssl
import time
from collections.abc import Iterator
from http.client import HTTPResponse, IncompleteRead
from typing import Any

import certifi
from urllib3.connection import HTTPConnection

from imagegen.engines.addresses import Target, addresses

PIECE = 256 * 1024
CONNECT = 10.0
"""Seconds for one address to accept a connection; then the host's next address is tried."""


class TimedSocket(socket.socket):
    """A socket of which every operation ends by `deadline_at` (`time.monotonic()`)."""

    deadline_at: float

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(remaining(self.deadline_at))
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(remaining(self.deadline_at))
        return super().send(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(remaining(self.deadline_at))
        super().sendall(*args, **kwargs)


class TimedTLSSocket(TimedSocket, ssl.SSLSocket):
    """The same, encrypted."""


class TimedConnection(HTTPConnection):
    """One HTTP/1.1 connection to `target`, for one request."""

    def __init__(self, target: Target, *, deadline_at: float, public_only: bool) -> None:
        super().__init__(target.host, target.port)
        self.target, self.deadline_at, self.public_only = target, deadline_at, public_only
        self.raw: HTTPResponse | None = None

    def connect(self) -> None:
        """Raises Forbidden, or OSError: of those TimeoutError at the deadline, ssl.SSLError for TLS."""
        plain = dial(self.target, deadline_at=self.deadline_at, public_only=self.public_only)
        self.timed = secure(plain, self.target.host) if self.target.scheme == "https" else plain
        self.sock = self.timed

    def response_class(self, *args: Any, **kwargs: Any) -> HTTPResponse:  # type: ignore[override]
        """What http.client makes of an answer, and urllib3 then wraps."""
        self.raw = HTTPResponse(*args, **kwargs)
        return self.raw

    def end(self) -> None:
        """Close it, and the answer with it: that outlives a connection which its server closes."""
        self.close()
        if self.raw is not None:
            self.raw.close()

    def body(self) -> Iterator[memoryview]:
        """The body of an answer that says how long it is, as it comes from the wire. Each piece lies where
        the one before it lay: to be used before the next is taken.

        Raises OSError, and IncompleteRead where it ends early.
        """
        assert self.raw is not None, "there is an answer"  # noqa: S101
        left = self.raw.length or 0
        space = memoryview(bytearray(min(left, PIECE)))
        plain = not isinstance(self.timed, ssl.SSLSocket)
        got = self.raw.fp.readinto1(space) if left else 0  # what came with the headers
        while left:
            if not got:
                raise IncompleteRead(b"", left)
            yield space[:got]
            left -= got
            if left:
                wanted = min(left, PIECE)
                if plain:  # wake up for much at a time; of TLS nobody knows how much is on the wire
                    self.timed.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wanted)
                got = self.timed.recv_into(space[:wanted])


def remaining(deadline_at: float) -> float:
    """Seconds left. Raises TimeoutError when there are none."""
    left = deadline_at - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline passed")
    return left


def dial(target: Target, *, deadline_at: float, public_only: bool) -> TimedSocket:
    """Connect to the first of the host's addresses that answers. Raises Forbidden, OSError."""
    found = addresses(target, public_only=public_only, timeout=remaining(deadline_at))
    failure: OSError = OSError("the host has no address")
    for address in found:
        sock = TimedSocket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
        sock.deadline_at = deadline_at
        try:
            sock.settimeout(min(remaining(deadline_at), CONNECT))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def secure(plain: TimedSocket, host: str) -> TimedTLSSocket:
    """TLS over a connected socket; the certificate must be valid for `host`. Raises OSError."""
    sock = _tls().wrap_socket(plain, server_hostname=host.rstrip("."), do_handshake_on_connect=False)
    assert isinstance(sock, TimedTLSSocket)  # noqa: S101 - what sslsocket_class promises
    sock.deadline_at = plain.deadline_at
    try:
        sock.settimeout(remaining(sock.deadline_at))
        sock.do_handshake()
    except OSError:
        sock.close()
        raise
    return sock


@functools.cache
def _tls() -> ssl.SSLContext:
    """One context per process: reading the certificates takes 30 ms. The system's own are trusted, and
    Mozilla's beside them, for images that come without any."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = TimedTLSSocket
    return context
