import struct
import zlib
from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from imagegen.picture_metadata import Malformed, strip_jpeg, strip_png, strip_webp

SECRET = b"<script>alert('me')</script>"
EXIF = b"Exif\0\0II*\0\x08\0\0\0\0\0" + SECRET


def encode(kind: str, mode: str = "RGB", **options) -> bytes:
    image = Image.linear_gradient("L").resize((40, 30)).convert(mode)
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def pixels(data: bytes) -> bytes:
    image = Image.open(BytesIO(data))
    image.load()
    return image.tobytes()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def jpeg_segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def after_soi(jpeg: bytes, *segments: bytes) -> bytes:
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def webp_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def with_chunk(webp: bytes, chunk: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(webp) - 8 + len(chunk)) + webp[8:] + chunk


# PNG


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_keeps_its_pixels(mode):
    data = encode("PNG", mode)
    assert pixels(strip_png(data)) == pixels(data)


def test_png_text_and_camera_data_go():
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", SECRET.decode())
    info.add_text("zipped", SECRET.decode(), zip=True)
    info.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    data = encode("PNG", pnginfo=info, exif=EXIF, dpi=(72, 72))
    data = data.replace(b"\0\0\0\0IEND", png_chunk(b"tIME", b"\x07\xea\1\1\1\1\1") + b"\0\0\0\0IEND")
    stripped = strip_png(data)
    assert pixels(stripped) == pixels(data)
    for gone in (SECRET, b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME", b"pHYs"):
        assert gone not in stripped
    assert stripped == strip_png(encode("PNG"))


def test_png_keeps_what_it_takes_to_show_it():
    profile = b"a profile"
    data = encode("PNG", "P", transparency=3, icc_profile=profile)
    image = Image.open(BytesIO(strip_png(data)))
    assert (image.info["transparency"], image.info["icc_profile"]) == (3, profile)


def test_a_png_with_nothing_to_take_off_is_not_copied():
    data = encode("PNG", "P", transparency=3)
    assert strip_png(data) is data
    assert strip_png(data + b"!") is not data


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT", b"tEXt", b"IEND"])
@pytest.mark.parametrize("byte", [4, 8, -1], ids=["kind", "content", "checksum"])
def test_a_png_with_a_damaged_chunk(kind, byte):
    """Whether it would be kept or not."""
    chunks = [*png_chunks(encode("PNG")), png_chunk(b"IEND", b"content")]
    chunks[-2] = png_chunk(b"tEXt", SECRET)
    assert strip_png(as_png(chunks))
    (at,) = (number for number, chunk in enumerate(chunks) if chunk[4:8] == kind)
    damaged = bytearray(chunks[at])
    damaged[byte] ^= 1
    with pytest.raises(Malformed):
        strip_png(as_png([*chunks[:at], bytes(damaged), *chunks[at + 1 :]]))


def as_png(chunks) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def png_chunks(data: bytes) -> list[bytes]:
    chunks, position = [], 8
    while position < len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        chunks.append(data[position:end])
        position = end
    return chunks


HEADER, PIXELS, END = png_chunks(encode("PNG", "L"))
OTHER_HEADER = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 30, 10, 2, 0, 0, 0))
TEXT = png_chunk(b"tEXt", SECRET)
FRAME = png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 40, 30, 0, 0, 1, 10, 0, 0))
FRAMES_PIXELS = png_chunk(b"fdAT", struct.pack(">I", 1) + PIXELS[8:-4])
CHUNKS = [
    HEADER, PIXELS, END, OTHER_HEADER, TEXT, FRAME, FRAMES_PIXELS,
    png_chunk(b"IDAT", b""), png_chunk(b"a_1!", b""), png_chunk(b"gAMA", b"\0\0\xb1\x8f"),
    TEXT[:-1] + b"!", PIXELS[:-1] + b"!", PIXELS[:-1], b"IDAT",
]  # fmt: skip


@settings(deadline=None)
@given(
    chunks=st.permutations([HEADER, PIXELS, END]),
    more=st.lists(st.tuples(st.integers(0, 5), st.sampled_from(CHUNKS))),
)
@example(chunks=[HEADER, END, PIXELS], more=[])
@example(chunks=[PIXELS, HEADER, END], more=[])
@example(chunks=[HEADER, PIXELS, END], more=[(1, FRAME), (2, FRAMES_PIXELS)])
@example(chunks=[OTHER_HEADER, PIXELS, END], more=[(2, HEADER)])
@example(chunks=[HEADER, PIXELS, END], more=[(2, CHUNKS[8])])
def test_what_pillow_takes_for_broken_is_refused(chunks, more):
    """Pillow opens it, checks all that follows, and finds a fault: then so do we."""
    for position, chunk in more:
        chunks.insert(position, chunk)
    data = as_png(chunks)
    try:
        image = Image.open(BytesIO(data), formats=["PNG"])
        strip_png(data)
    except (OSError, ValueError):
        return
    image.verify()


def test_nothing_follows_the_end_of_a_png():
    data = encode("PNG")
    for tail in (b"<html>" + SECRET, b"PK\x03\x04" + SECRET, b"\0" * 100_000):
        assert strip_png(data + tail) == data


@pytest.mark.parametrize("length", [0, 7, 8, 20, 33, 100])
def test_a_png_that_ends_early(length):
    with pytest.raises(Malformed):
        strip_png(encode("PNG")[:length])


def test_a_png_chunk_that_is_longer_than_the_file():
    with pytest.raises(Malformed):
        strip_png(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**32 - 1) + b"IDAT" + b"\0" * 50)


# JPEG


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}])
def test_jpeg_keeps_its_pixels(mode, options):
    data = encode("JPEG", mode, **options)
    assert pixels(strip_jpeg(data)) == pixels(data)


APPS = {
    "EXIF": jpeg_segment(0xE1, EXIF),
    "XMP": jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + SECRET),
    "Photoshop": jpeg_segment(0xED, b"Photoshop 3.0\0" + SECRET),
    "comment": jpeg_segment(0xFE, SECRET),
    "JFIF thumbnail": jpeg_segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\x03\x03" + SECRET[:27]),
    "JFXX thumbnail": jpeg_segment(0xE0, b"JFXX\0\x10" + SECRET),
    "script where JFIF is": jpeg_segment(0xE0, SECRET),
    "further pictures": jpeg_segment(0xE2, b"MPF\0" + SECRET),
    "script where Adobe is": jpeg_segment(0xEE, SECRET),
    "long Adobe": jpeg_segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + SECRET),
    "provenance": jpeg_segment(0xEB, SECRET),
}


@pytest.mark.parametrize("segment", APPS.values(), ids=APPS)
def test_jpeg_metadata_goes(segment):
    plain = encode("JPEG")
    stripped = strip_jpeg(after_soi(plain, segment))
    assert SECRET[:20] not in stripped
    assert stripped == strip_jpeg(plain)
    assert pixels(stripped) == pixels(plain)


def test_jpeg_keeps_what_it_takes_to_show_it():
    profile = b"p" * 70_000  # in two segments
    data = encode("JPEG", icc_profile=profile)
    assert Image.open(BytesIO(strip_jpeg(data))).info["icc_profile"] == profile
    cmyk = encode("JPEG", "CMYK")
    assert b"Adobe" in strip_jpeg(cmyk)


def test_metadata_between_the_scans_of_a_jpeg_goes():
    data = encode("JPEG", progressive=True)
    second_scan = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    tables = data.rindex(b"\xff\xc4", 0, second_scan)
    stripped = strip_jpeg(data[:tables] + jpeg_segment(0xFE, SECRET) + data[tables:])
    assert stripped == strip_jpeg(data)


def test_nothing_follows_the_end_of_a_jpeg():
    data = encode("JPEG")
    assert strip_jpeg(data + b"PK\x03\x04" + SECRET) == strip_jpeg(data)
    assert strip_jpeg(data + data) == strip_jpeg(data)


def test_padding_between_segments_is_allowed():
    data = encode("JPEG")
    assert strip_jpeg(after_soi(data, b"\xff\xff\xff")) == strip_jpeg(data)


@pytest.mark.parametrize("length", [0, 2, 3, 4, 10, 100])
def test_a_jpeg_that_ends_early(length):
    with pytest.raises(Malformed):
        strip_jpeg(encode("JPEG")[:length])


def test_a_jpeg_without_its_end():
    with pytest.raises(Malformed):
        strip_jpeg(encode("JPEG")[:-2])


# WebP


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("exif", [b"", EXIF, EXIF + b"!"])
def test_webp_keeps_its_pixels_and_nothing_else(mode, lossless, exif):
    data = encode("WEBP", mode, lossless=lossless, exif=exif, xmp=SECRET if exif else b"")
    stripped = strip_webp(data)
    assert pixels(stripped) == pixels(data)
    assert SECRET not in stripped
    info = Image.open(BytesIO(stripped)).info
    assert "exif" not in info and "xmp" not in info
    assert int.from_bytes(stripped[4:8], "little") == len(stripped) - 8


def test_webp_keeps_its_profile():
    data = encode("WEBP", icc_profile=b"a profile", exif=EXIF)
    assert Image.open(BytesIO(strip_webp(data))).info["icc_profile"] == b"a profile"


def test_chunks_that_nobody_knows_go():
    data = encode("WEBP", exif=EXIF)
    hidden = with_chunk(data, webp_chunk(b"HTML", SECRET))
    assert pixels(hidden) == pixels(data)
    assert strip_webp(hidden) == strip_webp(data)


def test_nothing_follows_the_end_of_a_webp():
    data = encode("WEBP")
    assert strip_webp(data + b"<html>" + SECRET) == strip_webp(data)


@pytest.mark.parametrize("length", [30, 60])
def test_a_webp_that_ends_early(length):
    with pytest.raises(Malformed):
        strip_webp(encode("WEBP")[:length])


# Whatever comes


@pytest.mark.parametrize("strip", [strip_png, strip_jpeg, strip_webp])
@settings(deadline=None)
@given(data=st.binary(max_size=400))
@example(data=b"RIFF\x0c\0\0\0WEBPVP8X\0\0\0\0")
def test_noise_ends(strip, data):
    with suppress(Malformed):
        assert len(strip(data)) <= len(data) + 12
