"""Workflows for plain checkpoints, for connections that have none of their own. Their maps are guessed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import orjson

from imagegen.engines.base import Workflow
from imagegen.engines.comfyui.workflows import Template

TXT2IMG, IMG2IMG, INPAINT = "txt2img", "img2img", "inpaint"


@cache
def starter(name: str) -> Template:
    """`txt2img`, `img2img`, or `inpaint`, which is img2img with a mask."""
    file = Path(__file__).with_name(f"{name}.json")
    return Template(Workflow(orjson.loads(file.read_bytes())))
