"""Clients that ask the same thing again and again, in a process of their own.

`python -m bench.clients < load.json` (the fields of `Load`) prints JSON: seconds, failures by what was
answered, latencies in seconds. Each client keeps its connection and throws away what it reads.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PATIENCE = 180
PIECE = 256 * 1024


@dataclass(frozen=True)
class Load:
    """`clients` ask `requests` times in all. Anything but the status `expect` is a failure."""

    url: str
    clients: int
    requests: int
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    expect: int = 200

    @property
    def text(self) -> bytes:
        parts = urlsplit(self.url)
        headers = {"Host": parts.netloc, **self.headers}
        if self.body:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(self.body.encode()))}
        lines = [f"{self.method} {parts.path or '/'} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join([*lines, "", self.body]).encode()


class Clients:
    """What is left to ask, and what came of it."""

    def __init__(self, load: Load) -> None:
        self.load, self.text, self.left = load, load.text, load.requests
        self.latencies: list[float] = []
        self.failures: Counter[str] = Counter()

    async def client(self) -> None:
        reader: asyncio.StreamReader | None = None
        writer: asyncio.StreamWriter | None = None
        parts = urlsplit(self.load.url)
        while self.left > 0:
            self.left -= 1
            started = time.perf_counter()
            try:
                if reader is None or writer is None:
                    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=PIECE)
                status, close = await asyncio.wait_for(self.ask(reader, writer), PATIENCE)
            except (OSError, EOFError) as error:
                status, close = type(error).__name__, True
            self.latencies.append(time.perf_counter() - started)
            if status != str(self.load.expect):
                self.failures[status] += 1
            if close and writer is not None:
                writer.close()
                reader = writer = None

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, bool]:
        writer.write(self.text)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = head.split(" ", 2)[1]
        left = 0 if status == "304" else int(head.partition("content-length:")[2].split("\r\n")[0])
        while left:
            piece = await reader.read(min(left, PIECE))
            if not piece:
                raise EOFError
            left -= len(piece)
        return status, "connection: close" in head


async def drive(load: Load) -> dict[str, object]:
    clients = Clients(load)
    started = time.perf_counter()
    await asyncio.gather(*(clients.client() for _ in range(load.clients)))
    return {
        "seconds": time.perf_counter() - started,
        "failures": dict(clients.failures),
        "latencies": clients.latencies,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(drive(Load(**json.load(sys.stdin))))))  # noqa: T201
