"""An engine that takes its time, for tests of what happens meanwhile."""

from __future__ import annotations

import base64
import random
import time
from io import BytesIO

import requests
from PIL import Image

from tests.fakes.server import FakeServer, Request, Response, picture
from tests.live import LiveEasel

CUT = "cut"


class SlowEngine(FakeServer):
    """Speaks as OpenAI does. `begun` counts who has asked."""

    def __init__(self, seconds: float, data: bytes = b"") -> None:
        super().__init__()
        self.seconds = seconds
        encoded = base64.b64encode(data or picture(64, 64)).decode()
        self.answer = Response.json({"data": [{"b64_json": encoded}]})

    @property
    def begun(self) -> int:
        return len(self.requests)

    def reply(self, request: Request) -> Response:
        self._stopping.wait(self.seconds)
        return self.answer

    def serve(self, easel: LiveEasel) -> None:
        """Become the engine that makes this Easel's pictures."""
        easel.manage(
            "connections", "add", "slow", "--engine", "openai", "--base-url", self.url,
            "--api-key-env", "KEY", "--model", "sd", "--use-for", "generate,portrait",
            KEY="sk-any",
        )  # fmt: skip

    def wait_for(self, requests: int) -> None:
        until = time.monotonic() + 30
        while self.begun < requests:
            assert time.monotonic() < until, f"{self.begun} of {requests} requests came in"
            time.sleep(0.05)


def noise(edge: int) -> bytes:
    """A PNG that does not compress: three bytes a pixel."""
    out = BytesIO()
    pixels = random.Random(1).randbytes(edge * edge * 3)
    Image.frombytes("RGB", (edge, edge), pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def ask(easel: LiveEasel) -> int | str:
    """The status, or that the connection was cut."""
    try:
        return easel.post("/api/images/generations", {"prompt": "a lake", "size": "64x64"}).status_code
    except requests.ConnectionError:
        return CUT
