"""One request and its answer on the wire. What goes wrong there comes out as an EngineError."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

import orjson
from opentelemetry import trace
from urllib3.exceptions import DecodeError, HTTPError, ReadTimeoutError
from urllib3.filepost import choose_boundary, iter_field_objects
from urllib3.response import HTTPResponse

from imagegen.engines.addresses import Forbidden, Target
from imagegen.engines.connections import TimedConnection
from imagegen.engines.errors import BadEngineResponse, EngineError, EngineTimeout, EngineUnavailable
from imagegen.engines.replies import Scrub

USER_AGENT = "Easel"
PIECE = 64 * 1024

tracer = trace.get_tracer(__name__)


@dataclass(frozen=True)
class Body:
    """What a request carries: bytes, or pieces of it that are sent one after the other, uncopied."""

    data: bytes | tuple[bytes, ...] = field(repr=False)
    content_type: str

    @classmethod
    def json(cls, value: Any) -> Body:
        return cls(orjson.dumps(value), "application/json")

    @classmethod
    def form(cls, fields: Iterable[tuple[str, str | tuple[str, bytes, str]]]) -> Body:
        """multipart/form-data: `(name, text)` or `(name, (file name, bytes, content type))`, in order."""
        boundary, pieces = choose_boundary(), []
        for part in iter_field_objects(list(fields)):
            text = part.data.encode() if isinstance(part.data, str) else part.data
            pieces += [f"--{boundary}\r\n{part.render_headers()}".encode(), text, b"\r\n"]
        pieces.append(f"--{boundary}--\r\n".encode())
        return cls(tuple(pieces), f"multipart/form-data; boundary={boundary}")

    def __len__(self) -> int:
        return len(self.data) if isinstance(self.data, bytes) else sum(map(len, self.data))


class Incoming:
    """Status and headers of an answer, and its body as it comes in."""

    def __init__(
        self, response: HTTPResponse, wire: TimedConnection, *, deadline_at: float, scrub: Scrub
    ) -> None:
        self.status, self.headers = response.status, response.headers
        self._response, self._wire, self._deadline_at, self._scrub = response, wire, deadline_at, scrub

    @property
    def length(self) -> int | None:
        """Bytes of the body, where its headers tell."""
        return None if "content-encoding" in self.headers else self._response.length_remaining

    def pieces(self, limit: int) -> Iterator[bytes | memoryview]:
        """The body, decompressed, in small pieces. Each is to be used before the next is taken.

        Raises BadEngineResponse past `limit` bytes, EngineUnavailable and EngineTimeout.
        """
        too_large = BadEngineResponse(detail=f"more than {limit} bytes", may_have_charged=True)
        if (self._response.length_remaining or 0) > limit:
            raise too_large
        size = 0
        for piece in self._stream():
            size += len(piece)
            if size > limit:
                raise too_large
            yield piece
        if size == 0 and self._response.length_remaining is None and not self._response.chunked:
            # Headers that were cut off look like headers that promise nothing.
            raise EngineUnavailable(detail="connection lost in the headers", may_have_charged=True)

    def beginning(self, limit: int) -> bytes:
        """The first `limit` bytes of the body, or as many as come: half a reason is better than none."""
        body = b""
        with suppress(EngineError):
            for piece in self._stream():
                body += piece
                if len(body) >= limit:
                    break
        return body[:limit]

    def _stream(self) -> Iterator[bytes | memoryview]:
        with _faults(self._deadline_at, sent=True, scrub=self._scrub):
            if self.length is None:
                yield from self._response.stream(PIECE, decode_content=True)
            else:
                yield from self._wire.body()


@contextmanager
def ask(
    method: str,
    target: Target,
    *,
    headers: Mapping[str, str],
    body: Body | None = None,
    deadline_at: float,
    public_only: bool = False,
    scrub: Scrub,
    connection: str,
) -> Iterator[Incoming]:
    """Send one request and hand over the answer, headers read, body still to come."""
    attributes = {"easel.connection": connection, "http.request.method": method}
    wire = TimedConnection(target, deadline_at=deadline_at, public_only=public_only)
    with tracer.start_as_current_span(
        f"engine {method}", kind=trace.SpanKind.CLIENT, attributes=attributes
    ) as span:
        try:
            with _faults(deadline_at, sent=False, scrub=scrub):
                wire.connect()
            with _faults(deadline_at, sent=True, scrub=scrub):
                response = _send(wire, method, target, headers, body)
            span.set_attribute("http.response.status_code", response.status)
            yield Incoming(response, wire, deadline_at=deadline_at, scrub=scrub)
        finally:
            wire.end()


def _send(
    wire: TimedConnection, method: str, target: Target, headers: Mapping[str, str], body: Body | None
) -> HTTPResponse:
    sent = {
        "Host": target.authority,
        "User-Agent": USER_AGENT,
        "Accept-Encoding": "identity",
        "Connection": "close",
        **headers,
    }
    if body is not None:
        sent |= {"Content-Type": body.content_type, "Content-Length": str(len(body))}
    # A server may refuse and hang up before it has read everything: its reason can still be read.
    with suppress(BrokenPipeError, ConnectionResetError):
        data = body.data if body else None
        wire.request(method, target.uri, body=data, headers=sent, preload_content=False)
    return wire.getresponse()


@contextmanager
def _faults(deadline_at: float, *, sent: bool, scrub: Scrub) -> Iterator[None]:
    """What goes wrong on the wire, as an EngineError; `sent` tells whether the request may have arrived.

    Without its cause, which repeats what the server sent, and which spans and logs would write out.
    """
    try:
        yield
    except Forbidden as error:
        raise BadEngineResponse(detail=scrub(f"not followed: {error}")) from None
    except DecodeError:
        raise BadEngineResponse(detail="the answer's compression is broken", may_have_charged=True) from None
    except (OSError, HTTPException, HTTPError) as error:
        stage = "connection lost" if sent else "cannot connect"
        detail = scrub(f"{stage}: {type(error).__name__}: {error}")
        late = isinstance(error, TimeoutError | ReadTimeoutError) and (
            sent or time.monotonic() > deadline_at - 0.05
        )
        kind = EngineTimeout if late else EngineUnavailable
        raise kind(detail=detail, may_have_charged=sent) from None
