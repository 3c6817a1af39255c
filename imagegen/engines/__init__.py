"""Every engine there is. A new one is a file and an entry here: docs/adding-an-engine.md."""

from __future__ import annotations

from imagegen.engines.automatic1111 import Automatic1111
from imagegen.engines.base import Engine
from imagegen.engines.comfyui import ComfyUI
from imagegen.engines.dicebear import DiceBear
from imagegen.engines.gemini import Gemini
from imagegen.engines.openai import OpenAI

ENGINES: dict[str, type[Engine]] = {
    engine.name: engine for engine in (OpenAI, Gemini, ComfyUI, Automatic1111, DiceBear)
}
