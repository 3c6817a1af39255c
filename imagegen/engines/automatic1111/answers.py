"""Answers of `txt2img` and `img2img`: `{"images": [base64], "parameters", "info": "<JSON>"}`.

`parameters` is the request again; `info` says what was really run. The servers put something else in the
place of what they do not know, and answer 200: the two are compared here. Source: the recordings.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pybase64
from PIL import Image

from imagegen.engines.errors import BadEngineResponse
from imagegen.engines.replies import load
from imagegen.engines.sizes import Size
from imagegen.landing import Slot

KEPT = ("sd_model_name", "sd_model_hash", "sampler_name", "steps", "cfg_scale", "version")

_HASH = re.compile(r" \[([0-9a-f]+)\]$")
_EXTENSION = re.compile(r"\.(safetensors|sft|ckpt|pth?|gguf|bin)$")


@dataclass(frozen=True)
class Made:
    """One picture, as it was encoded, and its seed where the server tells."""

    data: bytes
    seed: int | None


@dataclass(frozen=True)
class Reading:
    """An answer: its pictures without grids and without what extensions add, and both sides of it."""

    made: list[Made]
    asked: dict[str, Any]
    info: dict[str, Any]

    @property
    def expected(self) -> int:
        """How many pictures were asked for. An interrupted job has fewer, and nothing else marks it."""
        counts = (self.asked.get(name) for name in ("batch_size", "n_iter"))
        return math.prod(count for count in counts if isinstance(count, int))

    def facts(self) -> dict[str, Any]:
        return {name: self.info[name] for name in KEPT if self.info.get(name) is not None}

    def substituted(self, picture: bytes) -> dict[str, dict[str, str]]:
        """What was run or delivered instead of what was asked: field -> {asked, used}."""
        pairs = {
            "model": self._model(),
            "sampler_name": self._sampler(),
            "size": self._size(picture),
        }
        return {name: {"asked": pair[0], "used": pair[1]} for name, pair in pairs.items() if pair}

    def _model(self) -> tuple[str, str] | None:
        settings = self.asked.get("override_settings")
        asked = settings.get("sd_model_checkpoint") if isinstance(settings, dict) else None
        used, checksum = self.info.get("sd_model_name"), self.info.get("sd_model_hash")
        if not (isinstance(asked, str) and asked and isinstance(used, str) and used):
            return None
        if isinstance(checksum, str) and checksum and _same_checksum(asked, checksum):
            return None
        return None if plain_name(asked) == plain_name(used) else (asked, used)

    def _sampler(self) -> tuple[str, str] | None:
        asked, used = self.asked.get("sampler_name"), self.info.get("sampler_name")
        if not (isinstance(asked, str) and asked and isinstance(used, str) and used):
            return None
        same = f"{asked} ".casefold().startswith(f"{used} ".casefold())  # "DPM++ 2M Karras" runs "DPM++ 2M"
        return None if same or asked == "default" else (asked, used)

    def _size(self, picture: bytes) -> tuple[str, str] | None:
        if self.asked.get("enable_hr"):
            return None  # enlarged on purpose
        width, height = self.asked.get("width"), self.asked.get("height")
        used = size_of(picture)
        if not (isinstance(width, int) and isinstance(height, int) and used):
            return None
        return None if used == (width, height) else (str(Size(width, height)), str(used))


def read(body: Path | Slot) -> Reading:
    """Raises BadEngineResponse when there is no picture in the answer."""
    whole = load(body)
    texts = whole.get("images")
    if not isinstance(texts, list):
        raise _bad(f"no list of images in an answer with {sorted(whole)}"[:200])
    asked = whole.get("parameters")
    reading = Reading([], asked if isinstance(asked, dict) else {}, _info(whole.get("info")))
    first = reading.info.get("index_of_first_image")
    first = first if isinstance(first, int) and 0 < first < len(texts) else 0
    seeds = _seeds(reading)
    texts = texts[first:][: len(seeds) or None]
    for k, text in enumerate(texts):
        if data := _decoded(text):
            reading.made.append(Made(data, seeds[k] if k < len(seeds) else None))
    if not reading.made:
        raise _bad(f"no picture among {len(texts)} in the answer")
    return reading


def plain_name(model: str) -> str:
    """`folder/Name.safetensors [hash]` and `Name` are the same checkpoint: `name`."""
    name = _HASH.sub("", model.strip().casefold())
    return _EXTENSION.sub("", name.replace("\\", "/").rpartition("/")[2])


def size_of(picture: bytes) -> Size | None:
    """From the header; None for what is no picture."""
    try:
        return Size(*Image.open(BytesIO(picture)).size)
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


def _same_checksum(asked: str, checksum: str) -> bool:
    """A checkpoint may be asked for by its hash alone, of 8, 10 or 64 digits."""
    found = _HASH.search(asked.casefold())
    one, other = found[1] if found else asked.casefold(), checksum.casefold()
    return min(len(one), len(other)) >= 8 and (one.startswith(other) or other.startswith(one))


def _seeds(reading: Reading) -> list[int]:
    """One per picture; empty where the server does not tell."""
    listed = reading.info.get("all_seeds")
    return [seed for seed in listed if isinstance(seed, int)] if isinstance(listed, list) else []


def _info(value: Any) -> dict[str, Any]:
    """`info` is JSON within a string; older servers leave it empty."""
    if isinstance(value, dict):
        return value
    try:
        info = orjson.loads(value) if isinstance(value, str) else None
    except orjson.JSONDecodeError:
        return {}
    return info if isinstance(info, dict) else {}


def _decoded(value: Any) -> bytes | None:
    """Older servers put `data:image/png;base64,` before it."""
    if not isinstance(value, str):
        return None
    try:
        return pybase64.b64decode(value[value.find(",") + 1 :], validate=True)
    except ValueError:
        return None


def _bad(detail: str) -> BadEngineResponse:
    return BadEngineResponse(detail=detail, may_have_charged=True)
