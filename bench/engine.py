"""A mock engine: speaks as OpenAI's image API does, and costs next to nothing.

`python -m bench.engine PORT` answers every POST with the same 1.5 MB PNG, in base64: at once, or after the
seconds that `POST /seconds/5` has set.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import random
import sys
from contextlib import suppress

from PIL import Image

EDGE, SHADES = 1024, 8  # 8 shades of noise in three channels deflate to 1.5 MB
PIECE = 256 * 1024


def picture() -> bytes:
    """The same PNG every time."""
    noise = random.Random(1).randbytes(EDGE * EDGE * 3)  # noqa: S311 - not for secrets
    shades = bytes(100 + k % SHADES for k in range(256))
    out = io.BytesIO()
    Image.frombytes("RGB", (EDGE, EDGE), noise.translate(shades)).save(out, "PNG", compress_level=6)
    return out.getvalue()


def http(body: bytes) -> memoryview:
    """Status line to last byte."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return memoryview(head.encode() + body)


class MockEngine:
    def __init__(self) -> None:
        self.seconds = 0.0
        drawn = base64.b64encode(picture()).decode()
        self.pictures = http(json.dumps({"created": 1, "data": [{"b64_json": drawn}]}).encode())

    async def answer(self, path: str) -> memoryview:
        if path.startswith("/seconds/"):
            self.seconds = float(path.rpartition("/")[2])
            return http(b"{}")
        await asyncio.sleep(self.seconds)
        return self.pictures

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = head.lower().partition("content-length:")[2].split("\r\n")[0].strip()
                await reader.readexactly(int(length or "0"))
                whole = await self.answer(head.split(" ", 2)[1])
                for start in range(0, len(whole), PIECE):
                    writer.write(whole[start : start + PIECE])
                    await writer.drain()
                if "connection: close" in head.lower():
                    break
        writer.close()


async def serve(port: int) -> None:
    server = await asyncio.start_server(MockEngine().handle, "127.0.0.1", port, backlog=2048)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
