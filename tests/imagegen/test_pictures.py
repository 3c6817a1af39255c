import struct
import zlib
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from imagegen.engines.sizes import Size
from imagegen.pictures import MAX_PIXELS, NotAPicture, Picture, prepare

pytestmark = pytest.mark.filterwarnings("ignore:Corrupt EXIF data")

FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/png"}
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def decode(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def halves(width: int = 64, height: int = 32, mode: str = "RGB") -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image.convert(mode)


def speckled(width: int = 48, height: int = 40, seed: int = 7) -> Image.Image:
    """Hard to compress, so that a file is mostly pixels."""
    values = bytearray()
    for _ in range(width * height * 3):
        seed = (seed * 1103515245 + 12345) % 2**31
        values.append(seed >> 16 & 255)
    return Image.frombytes("RGB", (width, height), bytes(values))


def is_near(pixel, colour, by: int = 12) -> bool:
    return all(abs(one - other) <= by for one, other in zip(pixel[:3], colour, strict=True))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, pixels: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG with any bytes for pixels, and checksums that are right."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


# Every format, every way through


@pytest.mark.parametrize("kind", FORMATS)
def test_as_it_is(kind):
    picture = prepare(encode(halves(), kind))
    assert (picture.content_type, picture.size, picture.native) == (FORMATS[kind], (64, 32), (64, 32))
    image = decode(picture.data)
    assert image.get_format_mimetype() == picture.content_type
    assert image.size == (64, 32)
    assert is_near(image.convert("RGB").getpixel((5, 5)), RED)
    assert is_near(image.convert("RGB").getpixel((60, 30)), BLUE)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [Size(32, 16), Size(128, 64), Size(16, 16), Size(64, 33), Size(1, 1)])
def test_resized(kind, size):
    picture = prepare(encode(halves(), kind), size=size)
    assert (picture.content_type, picture.size, picture.native) == (FORMATS[kind], size, (64, 32))
    assert decode(picture.data).size == size


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [None, Size(20, 20)])
def test_rgb_png(kind, size):
    picture = prepare(encode(halves(), kind), size=size, rgb_png=True)
    image = decode(picture.data)
    assert (picture.content_type, picture.extension) == ("image/png", "png")
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", size or (64, 32))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_what_needs_no_change_keeps_every_pixel(kind):
    data = encode(speckled(), kind)
    for size in (None, Size(48, 40)):
        assert decode(prepare(data, size=size).data).tobytes() == decode(data).tobytes()


def test_another_shape_is_cut_at_its_centre():
    image = Image.new("RGB", (90, 30), RED)
    image.paste(GREEN, (30, 0, 60, 30))
    square = decode(prepare(encode(image), size=Size(30, 30)).data)
    assert {square.getpixel((x, y)) for x in (0, 15, 29) for y in (0, 29)} == {GREEN}


def test_a_large_jpeg_is_scaled_down_from_all_of_it():
    image = decode(prepare(encode(halves(1600, 800), "JPEG"), size=Size(100, 50)).data)
    assert is_near(image.getpixel((2, 25)), RED) and is_near(image.getpixel((97, 25)), BLUE)


# Orientation

EXIF_TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What undoes each orientation: a picture so turned, and so marked, is upright."""


def oriented(kind: str, orientation: int) -> bytes:
    upright = Image.new("RGB", (64, 32), RED)
    upright.paste(BLUE, (32, 0, 64, 16))
    upright.paste(GREEN, (0, 16, 32, 32))
    turn = EXIF_TURNS[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(upright if turn is None else upright.transpose(turn), kind, exif=exif)


@pytest.mark.parametrize("orientation", EXIF_TURNS)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("size", [None, Size(64, 32), Size(16, 8)])
def test_orientation_becomes_pixels(kind, orientation, size):
    picture = prepare(oriented(kind, orientation), size=size)
    image = decode(picture.data)
    wanted = size or Size(64, 32)
    assert (picture.native, picture.size, image.size) == ((64, 32), wanted, wanted)
    assert image.getexif().get(0x0112) is None
    image = image.convert("RGB").resize((64, 32), Image.Resampling.NEAREST)
    corners = [image.getpixel(at) for at in ((6, 4), (58, 4), (6, 28), (58, 28))]
    assert all(map(is_near, corners, (RED, BLUE, GREEN, RED), [90] * 4))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(value):
    exif = Image.Exif()
    exif[0x0112] = value
    assert prepare(encode(halves(), "JPEG", exif=exif)).size == (64, 32)


@settings(deadline=None)
@given(junk=st.binary(max_size=80))
def test_broken_exif_is_no_broken_picture(junk):
    for kind in ("JPEG", "PNG", "WEBP"):
        data = encode(halves(), kind, exif=b"Exif\0\0II*\0\x08\0\0\0" + junk)
        assert max(prepare(data).size) == 64


# Colours


def profile_of(profile) -> bytes:
    return ImageCms.ImageCmsProfile(profile).tobytes()


def wide_profile(gamma: float = 1.0) -> bytes:
    """An RGB matrix profile with sRGB's primaries and a straight tone curve."""
    srgb = bytearray(profile_of(ImageCms.createProfile("sRGB")))
    count = struct.unpack_from(">I", srgb, 128)[0]
    curve = struct.pack(">4sIIH", b"curv", 0, 1, round(gamma * 256)) + b"\0\0"
    offset = len(srgb)
    for index in range(count):
        at = 132 + 12 * index
        if srgb[at : at + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            struct.pack_into(">II", srgb, at + 4, offset, len(curve))
    srgb += curve
    struct.pack_into(">I", srgb, 0, len(srgb))
    return bytes(srgb)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("JPEG", "RGB"), ("WEBP", "RGB"), ("WEBP", "RGBA")],
)
def test_pixels_become_srgb(kind, mode):
    """Half of linear light is 188 in sRGB."""
    grey = Image.new("RGBA", (32, 32), (128, 128, 128, 128)).convert(mode)
    data = encode(grey, kind, icc_profile=wide_profile())
    image = decode(prepare(data, size=Size(16, 16)).data)
    assert "icc_profile" not in image.info
    assert is_near(image.convert("RGB").getpixel((8, 8)), (188, 188, 188), by=4)
    if mode == "RGBA" and kind == "PNG":
        assert image.getpixel((8, 8))[3] == 128


def test_colour_key_and_profile_together():
    image = Image.new("RGB", (8, 8), (10, 20, 30))
    data = encode(image, transparency=(10, 20, 30), icc_profile=wide_profile())
    assert decode(prepare(data, size=Size(4, 4)).data).convert("RGBA").getpixel((1, 1))[3] == 0
    assert decode(prepare(data, rgb_png=True).data).getpixel((1, 1)) == WHITE


def test_a_profile_stays_with_pixels_that_stay():
    profile = wide_profile()
    for kind in ("PNG", "JPEG", "WEBP"):
        kept = decode(prepare(encode(halves(), kind, icc_profile=profile)).data)
        assert kept.info["icc_profile"] == profile


@pytest.mark.parametrize("profile", [b"no profile", profile_of(ImageCms.createProfile("LAB"))])
def test_a_profile_that_does_not_fit_says_nothing(profile):
    data = encode(halves(), icc_profile=profile)
    assert decode(prepare(data, size=Size(32, 16)).data).getpixel((1, 1)) == RED


@pytest.mark.parametrize("transparency", [None, 30000])
def test_sixteen_bits_of_grey(transparency):
    row = b"\0" + struct.pack(">4H", 0, 0x4000, 0x8000, 0xFFFF)
    data = png(4, 1, zlib.compress(row), depth=16, colour=0)
    if transparency is not None:
        at = data.index(b"IDAT") - 4
        data = data[:at] + chunk(b"tRNS", struct.pack(">H", transparency)) + data[at:]
    image = decode(prepare(data, rgb_png=True).data)
    assert [image.getpixel((x, 0)) for x in range(4)] == [(v,) * 3 for v in (0, 64, 128, 255)]
    assert decode(prepare(data).data).tobytes() == decode(data).tobytes()


def test_sixteen_bits_of_colour():
    row = b"\0" + struct.pack(">6H", 0xFFFF, 0, 0, 0, 0x8000, 0xFFFF)
    image = decode(prepare(png(2, 1, zlib.compress(row), depth=16, colour=2), rgb_png=True).data)
    assert [image.getpixel((x, 0)) for x in range(2)] == [RED, (0, 128, 255)]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "I;16"])
@pytest.mark.parametrize("size", [None, Size(16, 8)])
@pytest.mark.parametrize("rgb_png", [False, True])
def test_every_mode_of_png(mode, size, rgb_png):
    image = Image.new("I;16", (64, 32), 40_000) if mode == "I;16" else halves().convert(mode)
    if mode == "PA":
        image = image.convert("RGBA").convert("P")
    picture = prepare(encode(image), size=size, rgb_png=rgb_png)
    made = decode(picture.data)
    assert made.size == (size or (64, 32))
    assert made.mode == "RGB" or not rgb_png


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparency_is_kept_and_becomes_white_in_rgb(kind):
    image = Image.new("RGBA", (32, 32), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 16, 32))
    data = encode(image, kind, lossless=True)
    small = decode(prepare(data, size=Size(16, 16)).data)
    assert small.mode == "RGBA"
    assert (small.getpixel((1, 8))[3], small.getpixel((14, 8))[3]) == (255, 0)
    flat = decode(prepare(data, rgb_png=True).data)
    assert (flat.getpixel((1, 8)), flat.getpixel((30, 8))) == (BLUE, WHITE)


def test_a_transparent_palette():
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (4, 0, 8, 8))
    for kind in ("PNG", "GIF"):
        data = encode(image, kind, transparency=0)
        assert decode(prepare(data, rgb_png=True).data).getpixel((1, 1)) == WHITE
        assert decode(prepare(data, size=Size(4, 4)).data).convert("RGBA").getpixel((0, 0))[3] == 0


def test_grey_with_alpha():
    data = encode(Image.new("LA", (8, 8), (0, 0)))
    assert decode(prepare(data, rgb_png=True).data).getpixel((1, 1)) == WHITE
    assert decode(prepare(data, size=Size(4, 4)).data).mode == "RGBA"


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 100, "subsampling": 0}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_every_kind_of_jpeg(mode, options):
    data = encode(halves().convert(mode), "JPEG", **options)
    assert decode(prepare(data).data).tobytes() == decode(data).tobytes()
    small = decode(prepare(data, size=Size(32, 16)).data)
    assert (small.mode, small.format) == ("RGB", "JPEG")
    flat = decode(prepare(data, rgb_png=True).data)
    if mode == "L":
        assert flat.getpixel((2, 2)) == (76, 76, 76)
    else:
        assert is_near(flat.getpixel((2, 2)), RED)


# What moves stands still


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("size", [None, Size(16, 8)])
def test_a_moving_picture_becomes_its_first_frame(kind, size):
    second = Image.new("RGB", (64, 32), GREEN)
    data = encode(halves(), kind, save_all=True, append_images=[second], duration=100)
    picture = prepare(data, size=size)
    image = decode(picture.data)
    assert picture.content_type == FORMATS[kind]
    assert getattr(image, "n_frames", 1) == 1
    assert is_near(image.convert("RGB").getpixel((1, 1)), RED)


def test_a_stereo_jpeg_is_one_picture():
    data = encode(halves(), "MPO", save_all=True, append_images=[halves()])
    picture = prepare(data)
    assert decode(picture.data).size == picture.size == (64, 32)
    assert getattr(decode(picture.data), "n_frames", 1) == 1


# What is refused


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"RIFF\0\0\0\0WEBP",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<?xml version='1.0'?><svg/>",
        b"<html><img src=x></html>",
        b"PK\x03\x04",
        b"%PDF-1.4",
        encode(halves(), "BMP"),
        encode(halves(), "TIFF"),
        encode(halves(), "ICO"),
        encode(halves(), "PPM"),
        encode(halves(), "TGA"),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    ],
)
@pytest.mark.parametrize("rgb_png", [False, True])
def test_nothing_else_is_a_picture(data, rgb_png):
    with pytest.raises(NotAPicture):
        prepare(data, rgb_png=rgb_png)


WAYS = [{}, {"size": Size(20, 20)}, {"rgb_png": True}]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_cut_short(kind, way, share):
    data = encode(speckled(), kind)
    with pytest.raises(NotAPicture):
        prepare(data[: int(len(data) * share)], **way)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_gif_cut_short(share):
    data = encode(speckled(), "GIF")
    with pytest.raises(NotAPicture):
        prepare(data[: int(len(data) * share)])


@pytest.mark.parametrize("way", WAYS)
def test_a_png_with_a_changed_byte(way):
    data = bytearray(encode(speckled()))
    data[len(data) // 2] ^= 1
    with pytest.raises(NotAPicture):
        prepare(bytes(data), **way)


@pytest.mark.parametrize("thorough", [False, True])
def test_a_png_with_a_checksum_that_is_wrong(thorough):
    """Even where the pixels are as they should be."""
    data = bytearray(encode(speckled()))
    data[data.index(b"IEND") - 5] ^= 1
    with pytest.raises(NotAPicture):
        prepare(bytes(data), thorough=thorough)


BAD_PIXELS = {
    "not deflated": b"\0" * 40,
    "deflated, then junk": zlib.compress(b"\0" * 30)[:8] + b"\xff" * 20,
    "nothing": b"",
    "too little": zlib.compress(b"\0" * 25),
}


@pytest.mark.parametrize("pixels", BAD_PIXELS.values(), ids=BAD_PIXELS)
@pytest.mark.parametrize("way", [{"size": Size(20, 20)}, {"rgb_png": True}, {"thorough": True}])
def test_pixels_that_do_not_inflate_under_a_right_checksum(pixels, way):
    with pytest.raises(NotAPicture):
        prepare(png(5, 5, pixels), **way)


@pytest.mark.parametrize("rgb_png", [False, True])
def test_two_hundred_megapixels_in_a_few_bytes(rgb_png):
    data = png(20_000, 10_000, zlib.compress(b"\0" * 1000))
    with pytest.raises(NotAPicture, match="megapixels"):
        prepare(data, rgb_png=rgb_png)


def test_just_too_many_pixels():
    with pytest.raises(NotAPicture, match="64 megapixels"):
        prepare(png(MAX_PIXELS // 1000 + 1, 1000, zlib.compress(b"\0")))


def test_a_text_bomb_in_a_png():
    data = encode(halves())
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 100_000_000))
    at = data.index(b"IDAT") - 4
    with pytest.raises(NotAPicture):
        prepare(data[:at] + bomb + data[at:])


# Whatever comes

ORIGINALS = {
    "PNG": encode(speckled(24, 20)),
    "palette PNG": encode(speckled(24, 20).convert("P"), transparency=3),
    "JPEG": encode(speckled(24, 20), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
    "progressive JPEG": encode(speckled(24, 20), "JPEG", progressive=True),
    "WEBP": encode(speckled(24, 20), "WEBP"),
    "lossless WEBP": encode(speckled(24, 20), "WEBP", lossless=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
    "GIF": encode(speckled(24, 20), "GIF"),
}


@pytest.mark.parametrize("original", ORIGINALS.values(), ids=ORIGINALS)
@pytest.mark.parametrize("way", WAYS, ids=["as it is", "resized", "rgb_png"])
@settings(deadline=None)
@given(st.data())
def test_mutated_files_give_a_picture_or_are_none(original, way, data):
    mutated = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        replacement = data.draw(st.binary(max_size=6))
        mutated[at : at + data.draw(st.integers(0, 6))] = replacement
        if not mutated:
            break
    try:
        picture = prepare(bytes(mutated), **way)
    except NotAPicture:
        return
    assert decode(picture.data).size == picture.size


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_noise_is_none(data):
    for head in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\x40\0\0\0WEBPVP8 "):
        try:
            picture = prepare(head + data)
        except NotAPicture:
            continue
        assert decode(picture.data).size == picture.size


def test_a_picture_does_not_print_its_bytes():
    assert "PNG" not in repr(prepare(encode(halves())))
    assert isinstance(prepare(encode(halves())), Picture)
