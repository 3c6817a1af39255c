"""A mock engine that cuts, stalls and lies, and writes down what it did.

`python -m chaos.engine PORT SEED JOURNAL` speaks as OpenAI's image API does. It answers properly until it
gets SIGUSR1; from then on as `MOODS` has it. A request is known by the `[r…]` in its prompt, the connection
it came by from the first part of its path. Every answer holds pictures that are in no other answer.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import re
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from chaos.journal import PER_CALL
from chaos.marks import encode

LONGEST_STALL = 60.0
TAG = re.compile(rb"\[(r\d+)\]")
SIZE = re.compile(rb'"size"\D{1,8}(\d+)x\d+')
COUNT = re.compile(rb'"n"\D{1,8}(\d+)')

MOODS = {
    "good": 56,
    "chunked": 5,
    "slow body": 4,
    "reset after": 3,
    "cut before": 3,
    "cut in headers": 2,
    "cut in body": 4,
    "stall": 3,
    "stall in body": 2,
    "drip headers": 1,
    "drip body": 1,
    "no picture": 1,
    "policy": 1,
    "broken base64": 2,
    "half a picture": 2,
    "too short": 1,
    "too long": 1,
    "html": 1,
    "429": 3,
    "500": 2,
    "503": 3,
}
"""What may happen, with its weight."""

REFUSALS = {
    "429": ("429 Too Many Requests", "Retry-After: 1\r\n", "slow down"),
    "500": ("500 Internal Server Error", "", "it broke"),
    "503": ("503 Service Unavailable", "", "not now"),
}


class Call:
    """One request that was read to its end."""

    def __init__(self, number: int, path: str, body: bytes, mood: str) -> None:
        tag, size, count = TAG.search(body), SIZE.search(body), COUNT.search(body)
        self.number, self.mood = number, mood
        self.connection = path.split("/")[1]
        self.tag = tag[1].decode() if tag else ""
        self.edge = int(size[1]) if size else 256
        self.pictures = [number * PER_CALL + k for k in range(int(count[1]) if count else 1)]

    def answer(self) -> bytes:
        """The body. `created` tells whoever reads only its beginning which call it answers."""
        return json.dumps({"created": self.number, "data": [self._item(k) for k in self.pictures]}).encode()

    def _item(self, number: int) -> dict[str, str]:
        if self.mood == "no picture":
            return {}
        picture = encode(number, self.edge)
        if self.mood == "half a picture":
            picture = picture[: len(picture) // 2]
        text = base64.b64encode(picture).decode()
        return {"b64_json": f"{text[:2000]}§{text[2000:]}" if self.mood == "broken base64" else text}


class Engine:
    """One journal, one source of chance."""

    def __init__(self, seed: str, journal: Path) -> None:
        self.random = random.Random(f"engine {seed}")
        self.journal = journal.open("a", buffering=1)
        self.calls = 0
        self.rough = False

    def grow_rough(self) -> None:
        self.rough = True

    def write(self, **line: Any) -> None:
        self.journal.write(json.dumps(line) + "\n")

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: *(\d+)", head.lower())
            body = await reader.readexactly(int(length[1]) if length else 0)
            if head.startswith(b"POST"):
                await self._take(head.split(b" ", 2)[1].decode(), body, writer)
            else:
                writer.write(_whole(b'{"data": []}'))
                await writer.drain()
        with suppress(OSError):
            writer.close()

    async def _take(self, path: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        mood = self.random.choices([*MOODS], [*MOODS.values()])[0] if self.rough else "good"
        self.calls += 1
        call = Call(self.calls, path, body, mood)
        self.write(
            call=call.number, tag=call.tag, connection=call.connection, mood=mood,
            pictures=call.pictures, at=time.time(),
        )  # fmt: skip
        end = "gone"
        try:
            await asyncio.sleep(self.random.choice((0.05, 0.2, 0.5, 1, 2.5)) if self.rough else 0.2)
            end = await asyncio.wait_for(self._answer(call, writer), LONGEST_STALL)
        except (OSError, TimeoutError):
            pass
        finally:
            self.write(call=call.number, end=end, at=time.time())

    async def _answer(self, call: Call, writer: asyncio.StreamWriter) -> str:
        """Write what the mood wants; tell how it ended: `whole` where every byte was given away."""
        mood = call.mood
        if mood in REFUSALS:
            status, headers, message = REFUSALS[mood]
            await _send(writer, _whole(json.dumps({"error": {"message": message}}).encode(), status, headers))
            return "refused"
        if mood == "cut before":
            return _reset(writer)
        if mood == "stall":
            return await _wait_until_gone(writer)
        if mood == "html":
            await _send(writer, _whole(b"<html><body>Welcome</body></html>", type="text/html"))
            return "whole"
        if mood == "policy":
            await _send(writer, _whole(b'{"created": %d, "data": []}' % call.number))
            return "whole"
        body = call.answer()
        if mood == "chunked":
            await _send(writer, _chunked(body))
            return "whole"
        promised = len(body) + {"too short": 100, "too long": -100}.get(mood, 0)
        head = _head(promised)
        if mood == "cut in headers":
            await _send(writer, head[: len(head) // 2])
            return _reset(writer) if self.random.random() < 0.5 else "cut"
        if mood == "drip headers":
            return await _drip(writer, head + body)
        if mood == "drip body":
            await _send(writer, head)
            return await _drip(writer, body)
        if mood in ("cut in body", "stall in body"):
            await _send(writer, head + body[: self.random.randrange(len(body))])
            return _reset(writer) if mood == "cut in body" else await _wait_until_gone(writer)
        if mood == "slow body":
            await _send(writer, head)
            for k in range(0, len(body), len(body) // 10 + 1):
                await _send(writer, body[k : k + len(body) // 10 + 1])
                await asyncio.sleep(0.2)
            return "whole"
        await _send(writer, head + body)
        if mood == "reset after":
            _reset(writer)
        return "whole"


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


async def _drip(writer: asyncio.StreamWriter, data: bytes) -> str:
    for k in range(len(data)):
        await _send(writer, data[k : k + 1])
        await asyncio.sleep(0.3)
    return "whole"


async def _wait_until_gone(writer: asyncio.StreamWriter) -> str:
    while not writer.transport.is_closing():
        await asyncio.sleep(0.2)
    return "gone"


def _reset(writer: asyncio.StreamWriter) -> str:
    """Hang up so that what is still on its way is thrown away."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return "cut"


def _head(length: int, status: str = "200 OK", headers: str = "", type: str = "application/json") -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {type}\r\n{headers}Content-Length: {length}\r\n"
        "Connection: close\r\n\r\n"
    ).encode()


def _whole(body: bytes, status: str = "200 OK", headers: str = "", type: str = "application/json") -> bytes:
    return _head(len(body), status, headers, type) + body


def _chunked(body: bytes) -> bytes:
    size = 50_000
    pieces = [body[k : k + size] for k in range(0, len(body), size)]
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


async def serve(port: int, seed: str, journal: Path) -> None:
    engine = Engine(seed, journal)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, engine.grow_rough)
    server = await asyncio.start_server(engine.handle, "127.0.0.1", port, backlog=512, limit=2**16)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
