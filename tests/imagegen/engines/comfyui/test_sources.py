import io

import pytest
from PIL import Image

from imagegen.engines.comfyui import sources
from imagegen.engines.errors import Unsupported
from imagegen.engines.sizes import Size
from tests.fakes.server import picture
from tests.imagegen.engines.comfyui.case import png

LEFT, RIGHT = (2, 5), (7, 5)
"""One place in each half of a mask of 10x10; its left half is to change."""


def transparent_left(mode):
    mask = Image.new("RGBA", (10, 10), "navy")
    mask.paste((0, 0, 0, 0), (0, 0, 5, 10))
    return png(mask.convert(mode))


def white_left(mode, format="PNG"):
    mask = Image.new("L", (10, 10), 0)
    mask.paste(255, (0, 0, 5, 10))
    buffer = io.BytesIO()
    mask.convert(mode).save(buffer, format, **({"quality": 100} if format == "JPEG" else {}))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "given",
    [
        transparent_left("RGBA"),
        transparent_left("LA"),
        white_left("1"),
        white_left("L"),
        white_left("P"),
        white_left("RGB", "JPEG"),
        white_left("RGBA"),
    ],
)
def test_each_kind_of_mask_reads_the_same_to_each_node(given):
    upload = sources.mask(given)
    made = Image.open(io.BytesIO(upload.data))
    assert (made.mode, made.size, upload.content_type) == ("RGBA", (10, 10), "image/png")
    for place, changes in ((LEFT, 255), (RIGHT, 0)):
        red, _, _, alpha = made.getpixel(place)
        assert abs(red - changes) <= 3  # LoadImageMask, channel red
        assert abs(255 - alpha - changes) <= 3  # LoadImageMask, channel alpha; LoadImage


def test_half_transparent_stays_half():
    mask = Image.new("RGBA", (10, 10), (9, 9, 9, 100))
    made = Image.open(io.BytesIO(sources.mask(png(mask)).data))
    assert made.getpixel((1, 1)) == (155, 155, 155, 100)


def test_a_mask_for_the_whole_picture():
    made = Image.open(io.BytesIO(sources.whole(Size(30, 20)).data))
    assert made.size == (30, 20)
    assert made.getcolors() == [(600, (255, 255, 255, 0))]


@pytest.mark.parametrize(("format", "suffix"), [("PNG", ".png"), ("JPEG", ".jpeg"), ("WEBP", ".webp")])
def test_a_source_goes_up_as_it_is(format, suffix):
    data = picture(30, 20, format)
    upload = sources.upload(data)
    assert (upload.data, upload.suffix, upload.content_type) == (data, suffix, f"image/{format.lower()}")
    assert sources.size_of(data) == Size(30, 20)


@pytest.mark.parametrize("read", [sources.upload, sources.mask, sources.size_of])
@pytest.mark.parametrize("data", [b"", b"not an image", b"\x89PNG\r\n\x1a\n"])
def test_no_picture(read, data):
    with pytest.raises(Unsupported):
        read(data)


def test_half_a_mask():
    with pytest.raises(Unsupported):
        sources.mask(white_left("L")[:60])


def test_another_format():
    with pytest.raises(Unsupported, match="no picture"):
        sources.upload(picture(8, 8, "TIFF"))
