"""Pictures that are something else too, and things that are no pictures: sent, edited, from engines."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pybase64
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from imagegen.models import EngineConnection, ImageFile
from tests.fakes.server import FakeServer, Request, Response, picture

PAYLOAD = b"<html><script>alert(document.domain)</script></html>"
FILES = "/api/v1/files/"


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("payload.html", PAYLOAD)
    return out.getvalue()


def after(kind: str, payload: bytes) -> bytes:
    return picture(64, 64, kind) + payload


def in_a_comment(payload: bytes) -> bytes:
    """A JPEG that holds it before its pixels."""
    data = picture(64, 64, "JPEG")
    return data[:2] + b"\xff\xfe" + (len(payload) + 2).to_bytes(2, "big") + payload + data[2:]


def gif_that_is_a_script() -> bytes:
    """Width and height spell a comment: GIF89a/*…*/=1;alert(1)."""
    data = bytearray(picture(64, 64, "GIF"))
    data[6:8] = b"/*"
    return bytes(data) + b"*/=1;" + PAYLOAD


POLYGLOTS = {
    "a PNG and a page": after("PNG", PAYLOAD),
    "a JPEG and an archive": after("JPEG", archive()),
    "a JPEG with a page in it": in_a_comment(PAYLOAD),
    "a GIF and a page": after("GIF", b"/*" + PAYLOAD),
    "a WebP and an archive": after("WEBP", archive()),
}
NO_PICTURES = {
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    "SVG with a prologue": b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><svg>&x;</svg>",
    "gzipped SVG": pybase64.b64decode("H4sIAAAAAAAC/7MpLkvTAQB0UBdmBgAAAA=="),
    "a page": PAYLOAD,
    "a page that begins like a GIF": b"GIF89a/*" + PAYLOAD,
    "a page that begins like a PNG": b"\x89PNG\r\n\x1a\n" + PAYLOAD,
    "an archive": archive(),
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "a PDF": b"%PDF-1.7\n",
    "MVG": b"push graphic-context\nfill 'url(http://127.0.0.1/)'\npop graphic-context\n",
    "TIFF": picture(64, 64, "TIFF"),
    "BMP": picture(64, 64, "BMP"),
    "ICO": picture(64, 64, "ICO"),
    "JPEG 2000": picture(64, 64, "JPEG2000"),
    "nothing": b"",
}


def send(api: Client, data: bytes, name: str = "a.png", kind: str = "image/png") -> Any:
    return api.post(FILES, {"file": SimpleUploadedFile(name, data, content_type=kind)})


def assert_harmless(api: Client, path: str) -> None:
    """The picture alone is left, of a type that browsers neither guess nor run."""
    answer = api.get(path)
    stored = b"".join(answer.streaming_content)
    for trace in (b"<html", b"<script", b"alert", b"PK\x03\x04", b"payload"):
        assert trace not in stored
    assert answer.headers["Content-Type"] in ("image/png", "image/jpeg", "image/webp")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize("what", POLYGLOTS)
def test_of_what_is_uploaded_the_picture_is_left(api: Client, what: str) -> None:
    answer = send(api, POLYGLOTS[what], "a.html", "text/html")
    assert answer.status_code == 201, answer.content
    assert not answer.json()["name"].endswith(".html")
    assert_harmless(api, f"{FILES}{answer.json()['id']}/content")


def test_a_picture_whose_size_spells_a_script_is_refused_or_remade(api: Client) -> None:
    answer = send(api, gif_that_is_a_script())
    if answer.status_code == 201:
        assert_harmless(api, f"{FILES}{answer.json()['id']}/content")
    else:
        assert answer.status_code == 400 and not ImageFile.objects.exists()


@pytest.mark.parametrize("what", NO_PICTURES)
def test_what_is_no_picture_is_not_stored(api: Client, what: str) -> None:
    answer = send(api, NO_PICTURES[what], "a.svg", "image/svg+xml")
    assert answer.status_code == 400 and list(answer.json()["errors"]) == ["file"]
    assert not ImageFile.objects.exists()


class Engine(FakeServer):
    """Speaks as OpenAI does, and answers `data` whatever it is."""

    data = b""

    def reply(self, request: Request) -> Response:
        return Response.json({"data": [{"b64_json": pybase64.b64encode(self.data).decode()}]})


@pytest.fixture
def engine(select: Callable[..., EngineConnection]) -> Any:
    with Engine() as running:
        select(
            "ours", "openai", "generate", "edit", "portrait",
            base_url=running.url, default_model="gpt-image-1", key="sk-1",
        )  # fmt: skip
        yield running


def ask(api: Client, path: str, **body: Any) -> Any:
    return api.post(path, json.dumps({"prompt": "A cat", **body}), content_type="application/json")


@pytest.mark.parametrize("what", POLYGLOTS)
def test_of_an_engines_answer_too(api: Client, engine: Engine, what: str) -> None:
    engine.data = POLYGLOTS[what]
    answer = ask(api, "/api/images/generations", size="64x64")
    assert answer.status_code == 200, answer.content
    assert_harmless(api, answer.json()[0]["url"])


@pytest.mark.parametrize("what", NO_PICTURES)
def test_an_engine_that_sends_no_picture_has_failed(api: Client, engine: Engine, what: str) -> None:
    engine.data = NO_PICTURES[what]
    answer = ask(api, "/api/images/generations")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_engine_response")
    portrait = ask(api, "/api/mind/profile/generatePortrait")
    assert portrait.status_code == 500
    assert not ImageFile.objects.exists()


@pytest.mark.parametrize("what", NO_PICTURES)
def test_nor_is_it_a_source(api: Client, engine: Engine, what: str) -> None:
    for claim in ("image/png", "image/svg+xml"):
        source = f"data:{claim};base64,{pybase64.b64encode(NO_PICTURES[what]).decode()}"
        answer = ask(api, "/api/images/edit", image=source)
        assert answer.status_code == 400 and list(answer.json()["errors"]) == ["image"]
    assert not engine.requests


@pytest.mark.parametrize("what", POLYGLOTS)
def test_nor_do_engines_see_more_than_the_picture(api: Client, engine: Engine, what: str) -> None:
    engine.data = picture(64, 64)
    source = f"data:;base64,{pybase64.b64encode(POLYGLOTS[what]).decode()}"
    answer = ask(api, "/api/images/edit", image=source, size="64x64")
    assert answer.status_code == 200, answer.content
    (request,) = (request for request in engine.requests if request.method == "POST")
    for trace in (b"<html", b"<script", b"PK\x03\x04"):
        assert trace not in request.body
