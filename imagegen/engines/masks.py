"""Sources of an edit as engines look at them, and which part of a picture a mask means.

People send masks of two kinds, and all engines read them alike: where there is transparency, the
transparent part changes, as in OpenAI's API; where there is none, the white part does.
"""

from __future__ import annotations

import io

from PIL import Image, ImageChops

from imagegen.engines.errors import Unsupported

OPAQUE = 255


def open_source(data: bytes) -> Image.Image:
    """The header only. Raises Unsupported for what is no PNG, JPEG, WebP or GIF."""
    try:
        return Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP", "GIF"])
    except (OSError, Image.DecompressionBombError) as error:
        raise Unsupported("A source is no picture that can be read.") from error


def where_changed(mask: bytes) -> Image.Image:
    """A grey picture of the mask's size: white where the picture is to change, black where it is kept.

    Raises Unsupported for what is no picture.
    """
    try:
        with open_source(mask) as image:
            alpha = image.convert("RGBA").getchannel("A")
            if alpha.getextrema()[0] == OPAQUE:
                return image.convert("L")
            return ImageChops.invert(alpha)
    except OSError as error:
        raise Unsupported("The mask is no picture that can be read.") from error
