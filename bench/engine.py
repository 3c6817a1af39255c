"""A mock engine: speaks as OpenAI's image API does, and costs next to nothing.

`python -m bench.engine PORT SECONDS` answers every POST after SECONDS with the same 1.45 MB PNG, in base64.
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

EDGE, SHADES = 1024, 13  # 13 shades of noise in three channels deflate to 1.45 MB
PIECE = 256 * 1024


def picture() -> bytes:
    """The same PNG every time."""
    noise = random.Random(1).randbytes(EDGE * EDGE * 3)  # noqa: S311 - not for secrets
    shades = bytes(100 + k % SHADES for k in range(256))
    out = io.BytesIO()
    Image.frombytes("RGB", (EDGE, EDGE), noise.translate(shades)).save(out, "PNG", compress_level=6)
    return out.getvalue()


def answer() -> bytes:
    """Status line to last byte."""
    body = json.dumps({"created": 1, "data": [{"b64_json": base64.b64encode(picture()).decode()}]}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def serve(port: int, seconds: float) -> None:
    whole = memoryview(answer())

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"content-length:")[2].split(b"\r\n")[0].strip()
                await reader.readexactly(int(length or b"0"))
                await asyncio.sleep(seconds)
                for start in range(0, len(whole), PIECE):
                    writer.write(whole[start : start + PIECE])
                    await writer.drain()
                if b"connection: close" in head:
                    break
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", port, backlog=2048)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
