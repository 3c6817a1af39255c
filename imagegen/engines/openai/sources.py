"""Source pictures and masks, as `…/images/edits` wants them: pure, and all pixel work of this engine.

Multipart at OpenAI, Azure and compatible servers: the field `image` for one picture, `image[]` for each of
several, `mask`, and every other field a string. JSON at xAI, which refuses multipart: `image` or `images`
with data URIs. Sources: the openai package's type definitions, tests/fakes/recordings, docs.x.ai.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pybase64
from PIL import Image, ImageChops

from imagegen.engines.errors import Unsupported
from imagegen.engines.masks import OPAQUE, open_source, where_changed

SUFFIXES = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif"}

HALF = 128

FormField = tuple[str, str | tuple[str, bytes, str]]


@dataclass(frozen=True)
class Source:
    """An encoded picture; `format` is Pillow's name for it."""

    data: bytes = field(repr=False)
    format: str

    @property
    def content_type(self) -> str:
        return f"image/{self.format.lower()}"

    def part(self, name: str, stem: str) -> FormField:
        return name, (f"{stem}.{SUFFIXES[self.format]}", self.data, self.content_type)

    def data_uri(self) -> str:
        return f"data:{self.content_type};base64,{pybase64.b64encode_as_string(self.data)}"


def read_source(data: bytes, formats: Collection[str]) -> Source:
    """The picture as it is where its format is among `formats`; else as JPEG, or PNG where it has
    transparency or JPEG is not taken either. Raises Unsupported for what is no picture.
    """
    image = open_source(data)
    format = image.format or ""
    if format in formats:
        return Source(data, format)
    if image.has_transparency_data or "JPEG" not in formats:
        mode = "RGBA" if image.has_transparency_data else "RGB"
        return Source(_encoded(image.convert(mode), "PNG"), "PNG")
    return Source(_encoded(image.convert("RGB"), "JPEG", quality=95, subsampling=0), "JPEG")


def read_mask(mask: bytes, first: bytes) -> Source:
    """A mask as the API reads it: an RGBA PNG of the first picture's size, transparent where the picture
    may change.

    Half and more counts as whole: what the API does with values in between is not said. The mask's
    colours say nothing and are left out, so that it stays far below the 4 MB that are taken.

    Raises Unsupported for another size and for what is no picture.
    """
    image = open_source(mask)
    if image.size != open_source(first).size:
        raise Unsupported("The mask must have the size of the first picture.")
    kept = ImageChops.invert(where_changed(mask))
    black = Image.new("L", image.size)
    kept = kept.point(lambda value: OPAQUE if value >= HALF else 0)
    return Source(_encoded(Image.merge("RGBA", (black, black, black, kept)), "PNG"), "PNG")


def form(payload: Mapping[str, Any], images: Sequence[Source], mask: Source | None) -> list[FormField]:
    """The parts of an edit at all hosts but xAI, in order."""
    name = "image" if len(images) == 1 else "image[]"
    parts: list[FormField] = [*_strings(payload)]
    parts += [image.part(name, "image") for image in images]
    if mask is not None:
        parts.append(mask.part("mask", "mask"))
    return parts


def xai_sources(images: Sequence[Source]) -> dict[str, Any]:
    """What an edit at xAI has beside the fields of a generation."""
    entries = [{"url": image.data_uri(), "type": "image_url"} for image in images]
    return {"image": entries[0]} if len(entries) == 1 else {"images": entries}


def _strings(payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Form fields: `svg[model]` for what is nested, `true` and `false`, and nothing for null."""
    for name, value in payload.items():
        match value:
            case None:
                continue
            case bool():
                yield name, str(value).lower()
            case Mapping():
                yield from _strings({f"{name}[{key}]": inner for key, inner in value.items()})
            case list():
                yield from ((field, text) for item in value for field, text in _strings({f"{name}[]": item}))
            case _:
                yield name, str(value)


def _encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()
