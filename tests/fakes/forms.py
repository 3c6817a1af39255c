"""multipart/form-data as a server reads it, and pictures edited the way a form asks for."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from typing import Any, Self

from PIL import Image

from tests.fakes.server import Request

EDITED = (0, 255, 0)
"""What an edit paints: over all of the picture, or where its mask is transparent."""


@dataclass(frozen=True)
class File:
    field: str
    name: str
    content_type: str
    data: bytes

    @property
    def image(self) -> Image.Image:
        """Raises OSError for what is no picture."""
        image = Image.open(io.BytesIO(self.data))
        image.load()
        return image


@dataclass(frozen=True)
class Form:
    """Text fields by name, and files in order."""

    fields: dict[str, str]
    files: list[File]

    @classmethod
    def read(cls, request: Request) -> Self:
        """Raises ValueError for what is no form, or for one that ends too early."""
        boundary = re.fullmatch(
            r"multipart/form-data; boundary=([\w-]+)", request.headers.get("content-type", "")
        )
        if boundary is None:
            raise ValueError("no form")
        empty, *parts, end = (b"\r\n" + request.body).split(b"\r\n--" + boundary[1].encode())
        if empty or end != b"--\r\n":
            raise ValueError("a broken form")
        form = cls({}, [])
        for part in parts:
            head, _, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            name, filename, content_type = (
                found[1] if (found := re.search(pattern, head.decode())) else ""
                for pattern in (r'[; ]name="([^"]*)"', r'filename="([^"]*)"', r"Content-Type: (\S+)")
            )
            if filename:
                form.files.append(File(name, filename, content_type, data))
            else:
                form.fields[name] = data.decode()
        return form

    def named(self, *fields: str) -> list[File]:
        return [file for file in self.files if file.field in fields]

    @property
    def asked(self) -> dict[str, Any]:
        """The fields as a generation has them in its JSON."""
        return {**self.fields, "n": int(self.fields.get("n", "1"))}


def edited(source: Image.Image, mask: Image.Image | None, size: tuple[int, int], format: str = "PNG") -> str:
    """The source in another size, in base64, painted where the mask is transparent."""
    picture = source.convert("RGB").resize(size)
    everywhere = Image.new("L", size)
    kept = everywhere if mask is None else mask.convert("RGBA").getchannel("A").resize(size)
    out = io.BytesIO()
    Image.composite(picture, Image.new("RGB", size, EDITED), kept).save(out, format)
    return base64.b64encode(out.getvalue()).decode()
