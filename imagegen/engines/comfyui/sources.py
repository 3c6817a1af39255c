"""Source pictures and masks, as ComfyUI's nodes want them."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

from PIL import Image

from imagegen.engines.errors import Unsupported
from imagegen.engines.masks import open_source, where_changed
from imagegen.engines.sizes import Size

CONTENT_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}


@dataclass(frozen=True)
class Sources:
    """What an edit starts from, by the names under which the server keeps it."""

    images: tuple[str, ...] = ()
    mask: str = ""


NOTHING = Sources()


@dataclass(frozen=True)
class Upload:
    """An encoded picture on its way to the server."""

    data: bytes = field(repr=False)
    suffix: str
    content_type: str


def upload(data: bytes) -> Upload:
    """Raises Unsupported for what is none of the formats that a source may have."""
    with open_source(data) as image:
        format = image.format or ""
    if format not in CONTENT_TYPES:
        raise Unsupported("A source picture has a format that this engine does not take.")
    return Upload(data, f".{format.lower()}", CONTENT_TYPES[format])


def size_of(data: bytes) -> Size:
    """Read from the header alone. Raises Unsupported."""
    with open_source(data) as image:
        return Size(*image.size)


def mask(data: bytes) -> Upload:
    """A mask that every way of reading one understands: where the picture is to change it is white and
    transparent, elsewhere black and opaque. LoadImageMask reads one channel, red or alpha; LoadImage
    takes the transparency.

    Raises Unsupported for what is no picture.
    """
    return _png(where_changed(data))


def whole(size: Size) -> Upload:
    """The mask that changes all of a picture."""
    return _png(Image.new("L", size, 255))


def _png(changing: Image.Image) -> Upload:
    keeping = changing.point(lambda value: 255 - value)
    buffer = io.BytesIO()
    Image.merge("RGBA", (changing, changing, changing, keeping)).save(buffer, "PNG", compress_level=1)
    return Upload(buffer.getvalue(), ".png", "image/png")
