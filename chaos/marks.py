"""Pictures that carry a number in their pixels: it survives scaling, another encoding and lost metadata."""

from __future__ import annotations

import random
import zlib
from functools import cache
from io import BytesIO

from PIL import Image

GRID = 8
DARK, LIGHT, NOISE = 60, 195, 24
NUMBER_BITS = 40
CHECK_BITS = GRID * GRID - NUMBER_BITS


class Unmarked(ValueError):
    """No number of ours is in these pixels."""


def encode(number: int, edge: int) -> bytes:
    """A square PNG of `edge` pixels with `number` (below 2**40) as 8x8 light and dark fields, under noise."""
    bits = (number << CHECK_BITS) | _check(number)
    fields = bytes(LIGHT if bits >> k & 1 else DARK for k in range(GRID * GRID))
    pixels = Image.frombytes("L", (GRID, GRID), fields).resize((edge, edge), Image.Resampling.NEAREST)
    noisy = Image.frombytes("L", (edge, edge), bytes(map(int.__add__, pixels.tobytes(), _noise(edge))))
    out = BytesIO()
    Image.merge("RGB", (noisy, pixels, noisy)).save(out, "PNG", compress_level=1)
    return out.getvalue()


def decode(data: bytes) -> int:
    """The number in a picture of any size. Raises Unmarked."""
    try:
        small = Image.open(BytesIO(data)).convert("L").resize((GRID, GRID), Image.Resampling.BOX)
    except Exception as error:
        raise Unmarked(f"not a picture: {error}") from error
    bits = sum(1 << k for k, value in enumerate(small.tobytes()) if value > (DARK + LIGHT + NOISE) // 2)
    number = bits >> CHECK_BITS
    if bits & (1 << CHECK_BITS) - 1 != _check(number):
        raise Unmarked("the check bits are wrong")
    return number


@cache
def _noise(edge: int) -> bytes:
    shades = bytes(k % NOISE for k in range(256))
    return random.Random(edge).randbytes(edge * edge).translate(shades)


def _check(number: int) -> int:
    return zlib.crc32(number.to_bytes(8)) & (1 << CHECK_BITS) - 1
