"""Bytes from outside -> a checked picture: known format, within limits, the asked size, no metadata.

What bytes claim to be does not count. Pixels are decoded only to resize, convert or turn them; otherwise
metadata is cut out of the file as it is (a full decode of a megapixel costs 23 ms, a check 0.5 ms).
"""

from __future__ import annotations

import hashlib
import struct
import warnings
from dataclasses import dataclass, field, replace
from io import BytesIO

from django.utils.functional import cached_property
from PIL import Image, ImageCms, ImageOps

from imagegen import picture_metadata
from imagegen.engines.sizes import Size

FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}
EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
MAX_PIXELS = 64_000_000
THUMBNAIL_EDGE = 320
_ORIENTATION, _UPRIGHT = 0x0112, 1
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SAVE: dict[str, dict[str, object]] = {
    "PNG": {"compress_level": 4},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95, "method": 2},
}

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # MAX_PIXELS is lower


class NotAPicture(ValueError):
    """The bytes are no picture we take; the message says why, for people."""


@dataclass(frozen=True)
class Picture:
    """An encoded picture that is safe to store. `native` is its size as the engine made it."""

    data: bytes = field(repr=False)
    content_type: str
    size: Size
    native: Size

    @property
    def extension(self) -> str:
        return EXTENSIONS[self.content_type]

    @cached_property
    def sha256(self) -> str:
        """Of `data`, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


def prepare(
    data: bytes,
    *,
    size: Size | None = None,
    rgb_png: bool = False,
    max_pixels: int = MAX_PIXELS,
    thorough: bool = False,
) -> Picture:
    """Check `data`, bring it to exactly `size` where one is given, and strip its metadata.

    A picture of another shape is scaled to cover and cut at its centre. `rgb_png` makes an RGB PNG of
    whatever comes (transparency on white). GIF and moving pictures become still. `thorough` decodes every
    pixel, so that nothing passes that another decoder would choke on.

    Raises NotAPicture.
    """
    image = _open(data, max_pixels)
    kind = image.format or ""
    try:
        orientation = _orientation(image)
        native = Size(image.height, image.width) if orientation >= 5 else Size(image.width, image.height)
        as_it_is = (
            not rgb_png
            and kind in picture_metadata.STRIP
            and (size is None or size == native)
            and getattr(image, "n_frames", 1) == 1
            and orientation == _UPRIGHT
        )
        if as_it_is:
            if thorough:
                image.load()
            elif kind != "PNG":  # its checksums tell, when it is stripped
                _decode_cheaply(image)
            kept = picture_metadata.STRIP[kind](data)
            return Picture(kept, FORMATS[kind], native, native)
        return _rewrite(image, orientation, native, size=size, rgb_png=rgb_png)
    except NotAPicture:
        raise
    except Exception as error:
        raise NotAPicture("The picture is damaged.") from error


def with_provenance(picture: Picture, tool: str) -> Picture:
    """The picture with a note that an AI made it with `tool`, where its format has a place for one."""
    note = picture_metadata.NOTE.get(picture.content_type)
    if note is None:
        return picture
    return replace(picture, data=note(picture.data, picture_metadata.provenance(tool)))


def make_thumbnail(data: bytes) -> bytes:
    """A WebP of a stored picture, its longest edge THUMBNAIL_EDGE pixels at most. Raises NotAPicture."""
    image = _open(data, MAX_PIXELS)
    try:
        box = (THUMBNAIL_EDGE, THUMBNAIL_EDGE)
        image.draft("RGB", (2 * THUMBNAIL_EDGE, 2 * THUMBNAIL_EDGE))
        pixels = _to_srgb(image)
        pixels = pixels.convert("RGBA" if pixels.has_transparency_data else "RGB")
        pixels.thumbnail(box, Image.Resampling.LANCZOS)
        pixels.info = {}
        out = BytesIO()
        pixels.save(out, "WEBP", quality=80, method=4)
    except Exception as error:
        raise NotAPicture("The picture is damaged.") from error
    return out.getvalue()


def _open(data: bytes, max_pixels: int) -> Image.Image:
    """The header only. Raises NotAPicture for another format, more pixels than we take, or a file made
    to keep a decoder busy."""
    if picture_metadata.is_laborious(data):
        raise NotAPicture("The picture is made of too many parts.")
    try:
        image = Image.open(BytesIO(data), formats=list(FORMATS))
    except Image.DecompressionBombError:
        raise _too_large(max_pixels) from None
    except Exception as error:
        raise NotAPicture("Not a PNG, JPEG, WebP or GIF picture.") from error
    if image.width * image.height > max_pixels:
        raise _too_large(max_pixels)
    return image


def _too_large(max_pixels: int) -> NotAPicture:
    return NotAPicture(f"The picture has more than {max_pixels // 1_000_000} megapixels.")


def _decode_cheaply(image: Image.Image) -> None:
    """Find a cut or corrupt file: JPEG at an eighth of its size, others whole."""
    if image.format == "JPEG":
        image.draft("L", (image.width // 8 or 1, image.height // 8 or 1))
    image.load()


def _orientation(image: Image.Image) -> int:
    """EXIF's, 1 to 8; from 5 on the picture lies on its side. Unreadable EXIF says nothing.

    Pillow decodes a whole PNG in search of EXIF behind its pixels, where browsers do not look either.
    """
    if image.format == "PNG" and "exif" not in image.info:
        return _UPRIGHT
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except (SyntaxError, ValueError, TypeError, LookupError, OSError, struct.error):
        return _UPRIGHT
    return orientation if orientation in _TURNS else _UPRIGHT


def _rewrite(
    image: Image.Image, orientation: int, native: Size, *, size: Size | None, rgb_png: bool
) -> Picture:
    kind = "PNG" if rgb_png or image.format not in picture_metadata.STRIP else image.format
    if size and image.format == "JPEG":
        image.draft("RGB", (max(size), max(size)))  # a smaller scale that still covers, whichever way up
    pixels = _to_srgb(image)
    if orientation != _UPRIGHT:
        pixels = pixels.transpose(_TURNS[orientation])
    if rgb_png:
        pixels = _flatten(pixels)
    elif pixels.mode not in ("RGB", "RGBA"):
        pixels = pixels.convert("RGBA" if pixels.has_transparency_data and kind != "JPEG" else "RGB")
    if size and Size(*pixels.size) != size:
        pixels = ImageOps.fit(pixels, size, Image.Resampling.LANCZOS)
    pixels.info = {}
    out = BytesIO()
    pixels.save(out, kind, **_SAVE[kind])
    return Picture(out.getvalue(), FORMATS[kind], Size(*pixels.size), native)


def _to_srgb(image: Image.Image) -> Image.Image:
    """Pixels in sRGB, since the profile goes with the metadata."""
    if image.mode.startswith("I"):  # 16 bits a pixel: Pillow would clip instead of scaling
        return image.point(lambda value: value / 256).convert("L")
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("P", "RGB"):  # profiles know no palettes, and lose a colour key
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if not profile or image.mode not in ("RGB", "RGBA", "L", "CMYK"):
        return image
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode=_srgb_mode(image.mode)
        )
    except (ImageCms.PyCMSError, OSError):
        return image  # a broken profile says nothing about the pixels
    return converted or image


def _srgb_mode(mode: str) -> str:
    return "RGBA" if mode == "RGBA" else "RGB"


def _flatten(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")
