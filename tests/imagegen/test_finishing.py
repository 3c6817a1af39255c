"""What staff may have done to pictures: a note of who made them, and the native size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import Client
from PIL import Image

from imagegen import picture_metadata, pictures
from imagegen.models import Generation, ImageFile, ImageSettings
from tests.fakes.litellm import KEY, LiteLLM

SOURCE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
TOOL = "{http://ns.adobe.com/xap/1.0/}CreatorTool"
MADE_BY_AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def encode(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    out = BytesIO()
    Image.linear_gradient("L").convert(mode).save(out, kind, **options)
    return out.getvalue()


def read_note(data: bytes) -> dict[str, str]:
    """The attributes of the XMP packet that Pillow, an independent reader, finds."""
    image = Image.open(BytesIO(data))
    image.load()
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    text = xmp.decode() if isinstance(xmp, bytes) else xmp
    packet = re.sub(r"<\?xpacket.*?\?>", "", text).strip("\ufeff \n")
    if not packet:
        return {}
    (description,) = ElementTree.fromstring(packet).iter(
        "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
    )
    return description.attrib


def pixels(data: bytes) -> bytes:
    return Image.open(BytesIO(data)).tobytes()


@pytest.mark.parametrize(
    "data",
    [
        encode("PNG"),
        encode("PNG", "RGBA"),
        encode("JPEG"),
        encode("JPEG", progressive=True),
        picture_metadata.strip_jpeg(encode("JPEG", "CMYK")),  # begins with Adobe's segment, not JFIF's
    ],
)
def test_the_note_leaves_the_pixels_alone(data: bytes) -> None:
    picture = pictures.prepare(data)
    noted = pictures.with_provenance(picture, 'Easel: a "model" <x> & ü')
    note = read_note(noted.data)
    assert note[SOURCE] == MADE_BY_AI and note[TOOL] == 'Easel: a "model" <x> & ü'
    assert pixels(noted.data) == pixels(picture.data)
    again = Image.open(BytesIO(noted.data))
    again.verify()
    assert pictures.prepare(noted.data).data == picture.data


def test_a_format_without_a_place_stays_as_it_is() -> None:
    picture = pictures.prepare(encode("WEBP"))
    assert pictures.with_provenance(picture, "Easel") is picture


@pytest.fixture
def server(select: Any) -> Iterator[LiteLLM]:
    with LiteLLM() as server:
        select(
            "up", "openai", "generate", "portrait", base_url=server.url, key=KEY,
            default_model="grok-imagine-image", trusted_origins=[server.files.url],
        )  # fmt: skip
        yield server


def switch(name: str) -> None:
    assert ImageSettings.objects.update(**{name: True}) == 1


def generate(api: Client) -> ImageFile:
    body = {"prompt": "a secret lake", "size": "300x200"}
    response = api.post("/api/images/generations", body, content_type="application/json")
    assert response.status_code == 200, response.content
    return ImageFile.objects.get()


def portray(api: Client) -> ImageFile:
    body = {"prompt": "a secret face"}
    response = api.post("/api/mind/profile/generatePortrait", body, content_type="application/json")
    assert response.status_code == 200, response.content
    return ImageFile.objects.get()


def stored(file: ImageFile) -> bytes:
    with file.file.open("rb") as content:
        data: bytes = content.read()
    assert len(data) == file.size
    return data


class TestProvenance:
    @pytest.mark.parametrize("make", [generate, portray])
    def test_is_written_where_it_is_switched_on(self, api: Client, server: LiteLLM, make: Any) -> None:
        switch("write_provenance")
        data = stored(make(api))
        note = read_note(data)
        row = Generation.objects.get()
        assert note[SOURCE] == MADE_BY_AI
        assert note[TOOL] == f"Easel: openai grok-imagine-image, generation {row.pk}"
        assert b"secret" not in data and row.prompt.startswith("a secret")

    @pytest.mark.parametrize("make", [generate, portray])
    def test_is_not_written_otherwise(self, api: Client, server: LiteLLM, make: Any) -> None:
        assert read_note(stored(make(api))) == {}


class TestNativeSize:
    def test_is_kept_where_that_is_switched_on(self, api: Client, server: LiteLLM) -> None:
        switch("keep_native")
        file = generate(api)
        assert (file.width, file.height) == (file.native_width, file.native_height) == (1254, 836)
        assert Image.open(BytesIO(stored(file))).size == (1254, 836)

    def test_is_not_a_portraits(self, api: Client, server: LiteLLM) -> None:
        switch("keep_native")
        file = portray(api)
        assert (file.width, file.height) == (512, 512) != (file.native_width, file.native_height)
