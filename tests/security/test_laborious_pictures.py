"""Small files that would keep a decoder busy for minutes."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image

from imagegen.picture_metadata import MOST_CHUNKS, MOST_SCANS
from imagegen.pictures import NotAPicture, prepare


def progressive() -> bytes:
    out = BytesIO()
    Image.effect_noise((64, 64), 60).convert("RGB").save(out, "JPEG", progressive=True)
    return out.getvalue()


def test_a_jpeg_of_thousands_of_scans() -> None:
    data = progressive()
    start = data.index(b"\xff\xda")
    scan = data[start : data.index(b"\xff\xda", start + 2)]
    with pytest.raises(NotAPicture, match="too many parts"):
        prepare(data[:start] + scan * (MOST_SCANS + 1) + data[start:])
    assert prepare(data).size == (64, 64)


def test_a_png_of_a_hundred_thousand_chunks() -> None:
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    data = out.getvalue()
    end = data.index(b"IDAT") - 4
    empty = struct.pack(">I4sI", 0, b"tEXt", zlib.crc32(b"tEXt"))
    with pytest.raises(NotAPicture, match="too many parts"):
        prepare(data[:end] + empty * (MOST_CHUNKS + 1) + data[end:])
    assert prepare(data[:end] + empty * 10 + data[end:]).size == (8, 8)
