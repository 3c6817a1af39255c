"""What the contract test needs to know of each engine: a fake of its server, and how to reach it.

A new engine is held to the contract as soon as it is in ENGINES: without an entry here, the test fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes import automatic1111, comfyui, gemini, hosted
from tests.fakes.server import FakeServer


@dataclass(frozen=True)
class Case:
    """One engine and its fake.

    Attributes:
        server: makes the fake, which wants `key`.
        pictures: for a fake that sends its pictures apart, makes faults strike those answers instead.
        connection: further fields of the connection.
        edits: whether it edits.
    """

    server: Callable[[], FakeServer]
    key: str
    model: str
    pictures: Callable[[Any], None] = lambda server: None
    connection: dict[str, Any] = field(default_factory=dict)
    edits: bool = True


def _strike_views(server: comfyui.ComfyUI) -> None:
    server.struck = "/view"


CASES = {
    "openai": Case(hosted.OpenAIAPI, hosted.KEY, "gpt-image-2"),
    "gemini": Case(gemini.GeminiAPI, gemini.KEY, "gemini-3.1-flash-image"),
    "automatic1111": Case(
        lambda: automatic1111.Automatic1111(auth="staff:a1111-password"), "staff:a1111-password", ""
    ),
    "comfyui": Case(
        lambda: comfyui.ComfyUI(key="comfy-key-0123456789"),
        "comfy-key-0123456789",
        "sd15-random.safetensors",
        pictures=_strike_views,
    ),
}
