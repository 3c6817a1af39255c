import io

import pytest
from PIL import Image

from imagegen.engines.errors import Unsupported
from imagegen.engines.openai.sources import form, read_mask, read_source, xai_sources
from tests.fakes.server import picture

ALL = frozenset({"PNG", "JPEG", "WEBP"})
WITHOUT_WEBP = ALL - {"WEBP"}
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def encoded(image, format="PNG", **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def halves(mode, left, right, size=(64, 32)):
    image = Image.new(mode, size, right)
    image.paste(left, (0, 0, size[0] // 2, size[1]))
    return image


PALETTE = halves("RGB", BLACK, WHITE).quantize(2)


def opened(source):
    image = Image.open(io.BytesIO(source.data))
    assert image.format == source.format
    return image


class TestSource:
    @pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
    def test_what_is_taken_stays_as_it_is(self, format):
        data = picture(64, 32, format)
        source = read_source(data, ALL)
        assert source.data is data
        assert source.content_type == f"image/{format.lower()}"

    @pytest.mark.parametrize(
        ("format", "mode", "colour", "formats", "becomes"),
        [
            ("WEBP", "RGB", "red", WITHOUT_WEBP, "JPEG"),
            ("WEBP", "RGBA", (255, 0, 0, 9), WITHOUT_WEBP, "PNG"),
            ("GIF", "P", 1, ALL, "JPEG"),
            ("JPEG", "RGB", "red", {"PNG"}, "PNG"),
            ("JPEG", "CMYK", 0, {"PNG"}, "PNG"),
            ("WEBP", "RGBA", (255, 0, 0, 9), {"PNG"}, "PNG"),
        ],
    )
    def test_other_formats_are_converted(self, format, mode, colour, formats, becomes):
        data = encoded(Image.new(mode, (64, 32), colour), format)
        image = opened(read_source(data, formats))
        assert (image.format, image.size) == (becomes, (64, 32))
        assert image.mode == ("RGBA" if mode == "RGBA" else "RGB")

    @pytest.mark.parametrize("data", [b"", b"hello", b"<svg/>"])
    def test_no_picture(self, data):
        with pytest.raises(Unsupported):
            read_source(data, ALL)


class TestMask:
    """The left half is what changes, in whatever way a mask says so."""

    @pytest.mark.parametrize(
        "mask",
        [
            encoded(halves("L", 255, 0)),
            encoded(halves("1", 1, 0)),
            encoded(halves("RGB", WHITE, BLACK)),
            encoded(halves("RGB", WHITE, BLACK), "JPEG", quality=60),
            encoded(halves("RGB", WHITE, BLACK), "WEBP"),
            encoded(halves("RGB", WHITE, BLACK).quantize(4), "GIF"),
            encoded(halves("RGBA", (*WHITE, 255), (*BLACK, 255))),
            encoded(halves("I;16", 65535, 0)),
            encoded(halves("RGBA", (9, 9, 9, 0), (200, 30, 30, 255))),
            encoded(halves("RGBA", (*BLACK, 0), (*WHITE, 255))),
            encoded(halves("RGBA", (*BLACK, 100), (*WHITE, 200))),
            encoded(halves("LA", (0, 0), (0, 255))),
            encoded(halves("RGBA", (*WHITE, 0), (*WHITE, 255)), "WEBP", lossless=True),
            encoded(PALETTE, transparency=PALETTE.getpixel((0, 0))),
        ],
        ids=str,
    )
    def test_becomes_transparent_where_the_picture_changes(self, mask):
        image = opened(read_mask(mask, picture(64, 32)))
        assert (image.format, image.mode, image.size) == ("PNG", "RGBA", (64, 32))
        alpha = image.getchannel("A")
        assert alpha.crop((0, 0, 30, 32)).getextrema() == (0, 0)
        assert alpha.crop((34, 0, 64, 32)).getextrema() == (255, 255)

    def test_stays_small_whatever_its_colours(self):
        """Forty megapixels of a photograph with a hole, of which 4 MB may be sent."""
        noisy = Image.effect_noise((1024, 1024), 90).convert("RGBA")
        noisy.putalpha(halves("L", 0, 255, noisy.size))
        mask = encoded(noisy)
        assert len(mask) > 600_000
        assert len(read_mask(mask, picture(1024, 1024)).data) < 40_000

    def test_another_size(self):
        with pytest.raises(Unsupported) as caught:
            read_mask(picture(32, 64), picture(64, 32))
        assert "size of the first picture" in caught.value.message


class TestForm:
    def test_one_picture_and_several(self):
        png, jpeg = read_source(picture(8, 8), ALL), read_source(picture(8, 8, "JPEG"), ALL)
        assert form({}, [jpeg], None) == [("image", ("image.jpg", jpeg.data, "image/jpeg"))]
        assert form({"n": 1}, [jpeg, png], png) == [
            ("n", "1"),
            ("image[]", ("image.jpg", jpeg.data, "image/jpeg")),
            ("image[]", ("image.png", png.data, "image/png")),
            ("mask", ("mask.png", png.data, "image/png")),
        ]

    def test_every_field_is_a_string(self):
        given = {"a": None, "b": True, "c": 0.5, "svg": {"model": "x", "deep": {"er": 1}}, "l": [1, "2"]}
        assert form(given, [], None) == [
            ("b", "true"),
            ("c", "0.5"),
            ("svg[model]", "x"),
            ("svg[deep][er]", "1"),
            ("l[]", "1"),
            ("l[]", "2"),
        ]

    def test_data_uris_for_xai(self):
        png = read_source(picture(1, 1), ALL)
        entry = {"url": png.data_uri(), "type": "image_url"}
        assert entry["url"].startswith("data:image/png;base64,iVBOR")
        assert xai_sources([png]) == {"image": entry}
        assert xai_sources([png, png]) == {"images": [entry, entry]}
