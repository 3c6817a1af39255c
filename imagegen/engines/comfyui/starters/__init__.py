"""Workflows for plain checkpoints, for connections that have none of their own. Their maps are guessed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from imagegen.engines.base import EDIT, GENERATE, Workflow
from imagegen.engines.comfyui.workflows import Template

TXT2IMG, IMG2IMG, INPAINT = "txt2img", "img2img", "inpaint"


STARTERS = {
    GENERATE: {TXT2IMG: "Text to picture"},
    EDIT: {INPAINT: "Picture to picture, with a mask", IMG2IMG: "Picture to picture"},
}
"""Operation -> name -> what staff read."""


def starter_graph(name: str) -> Mapping[str, Any]:
    return starter(name).graph


@cache
def starter(name: str) -> Template:
    """`txt2img`, `img2img`, or `inpaint`, which is img2img with a mask."""
    file = Path(__file__).with_name(f"{name}.json")
    return Template(Workflow(orjson.loads(file.read_bytes())))
