"""Clients that ask for pictures, in a process of their own.

`python -m bench.clients URL TOKEN CLIENTS REQUESTS` has CLIENTS ask REQUESTS times in all, each over one
connection that is kept, and prints JSON: seconds, failures by what was answered, latencies in seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

BODY = json.dumps({"prompt": "A lake at dawn", "size": "1024x1024"}).encode()
PATIENCE = 180


class Load:
    """What is left to ask, and what came of it."""

    def __init__(self, url: str, token: str, requests: int) -> None:
        parts = urlsplit(url)
        self.host, self.port, self.left = parts.hostname, parts.port, requests
        self.request = (
            f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
        ).encode() + BODY
        self.latencies: list[float] = []
        self.failures: Counter[str] = Counter()

    async def client(self) -> None:
        reader: asyncio.StreamReader | None = None
        writer: asyncio.StreamWriter | None = None
        while self.left > 0:
            self.left -= 1
            started = time.perf_counter()
            try:
                if reader is None or writer is None:
                    reader, writer = await asyncio.open_connection(self.host, self.port)
                status, close = await asyncio.wait_for(self.ask(reader, writer), PATIENCE)
            except (OSError, EOFError) as error:
                status, close = type(error).__name__, True
            self.latencies.append(time.perf_counter() - started)
            if status != "200":
                self.failures[status] += 1
            if close and writer is not None:
                writer.close()
                reader = writer = None

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, bool]:
        writer.write(self.request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].split("\r\n")[0])
        await reader.readexactly(length)
        return head.split(" ", 2)[1], "connection: close" in head


async def drive(url: str, token: str, clients: int, requests: int) -> dict[str, object]:
    load = Load(url, token, requests)
    started = time.perf_counter()
    await asyncio.gather(*(load.client() for _ in range(clients)))
    return {
        "seconds": time.perf_counter() - started,
        "failures": dict(load.failures),
        "latencies": load.latencies,
    }


if __name__ == "__main__":
    url, token, clients, requests = sys.argv[1:]
    print(json.dumps(asyncio.run(drive(url, token, int(clients), int(requests)))))  # noqa: T201
