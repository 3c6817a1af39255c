"""Thumbnails over HTTP: made once, whoever asks at the same time. On a folder and at S3."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from PIL import Image

from imagegen import pictures
from imagegen.models import ImageFile
from tests.imagegen.api.test_files import thumbnail
from tests.stored import stored_names

pytestmark = pytest.mark.usefixtures("storage")


@pytest.fixture
def file(api: Client) -> ImageFile:
    body = {"prompt": "a lake", "size": "960x640"}
    assert api.post("/api/images/generations", body, content_type="application/json").status_code == 200
    return ImageFile.objects.get()


def test_a_small_webp(api: Client, file: ImageFile) -> None:
    response = api.get(thumbnail(file))
    image = Image.open(BytesIO(response.content))
    assert (image.format, image.size) == ("WEBP", (320, 213))
    assert response.headers["Content-Type"] == "image/webp"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert response.headers["Content-Disposition"].startswith("inline")
    assert int(response.headers["Content-Length"]) == len(response.content)


def test_validators_and_head(api: Client, file: ImageFile) -> None:
    head = api.head(thumbnail(file))
    assert head.status_code == 200 and not head.content
    response = api.get(thumbnail(file))
    assert head.headers["Content-Length"] == response.headers["Content-Length"]
    etag = response.headers["ETag"]
    assert etag != f'"{file.sha256}"'
    again = api.get(thumbnail(file), headers={"if-none-match": etag})
    assert again.status_code == 304 and not again.content


def test_it_lies_beside_the_picture_and_is_made_once(
    api: Client, file: ImageFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = api.get(thumbnail(file)).content
    file.refresh_from_db()
    assert stored_names() == sorted([file.file.name, file.thumbnail.name])
    assert file.thumbnail.name.rpartition("/")[0] == file.file.name.rpartition("/")[0]
    monkeypatch.setattr(pictures, "make_thumbnail", None)
    assert api.get(thumbnail(file)).content == first


def test_of_two_at_once_one_is_kept(api: Client, file: ImageFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second comes while the first is being made, and is through before it."""
    make = pictures.make_thumbnail

    def slowly(data: bytes) -> bytes:
        monkeypatch.setattr(pictures, "make_thumbnail", make)
        assert api.get(thumbnail(file)).status_code == 200
        return make(data)

    monkeypatch.setattr(pictures, "make_thumbnail", slowly)
    assert api.get(thumbnail(file)).status_code == 200
    file.refresh_from_db()
    assert stored_names() == sorted([file.file.name, file.thumbnail.name])


def test_where_the_storage_is_full_it_is_sent_and_not_kept(
    api: Client, file: ImageFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(default_storage, "save", full)
        sent = api.get(thumbnail(file))
    assert (sent.status_code, sent.headers["Content-Type"]) == (200, "image/webp")
    assert Image.open(BytesIO(sent.content)).size[0] <= 320
    file.refresh_from_db()
    assert not file.thumbnail and stored_names() == [file.file.name]
    assert api.get(thumbnail(file)).content == sent.content


def test_a_file_that_goes_meanwhile_leaves_nothing(
    api: Client,
    file: ImageFile,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    make = pictures.make_thumbnail

    def slowly(data: bytes) -> bytes:
        with django_capture_on_commit_callbacks(execute=True):
            assert api.delete(f"/api/v1/files/{file.pk}").status_code == 204
        return make(data)

    monkeypatch.setattr(pictures, "make_thumbnail", slowly)
    assert api.get(thumbnail(file)).status_code == 404
    assert stored_names() == []


@pytest.mark.parametrize(
    ("mode", "size", "made"),
    [
        ("RGB", (100, 50), (100, 50)),
        ("RGBA", (640, 640), (320, 320)),
        ("P", (400, 100), (320, 80)),
        ("L", (50, 3200), (5, 320)),
        ("1", (3200, 1), (320, 1)),
    ],
)
def test_of_any_picture(mode: str, size: tuple[int, int], made: tuple[int, int]) -> None:
    for kind in ("PNG", "WEBP", "JPEG"):
        if kind == "JPEG" and mode in ("RGBA", "P"):
            continue
        out = BytesIO()
        Image.new(mode, size).save(out, kind)
        image = Image.open(BytesIO(pictures.make_thumbnail(out.getvalue())))
        assert (image.format, image.size) == ("WEBP", made), kind


def test_transparency_stays() -> None:
    out = BytesIO()
    Image.new("RGBA", (640, 640), (255, 0, 0, 0)).save(out, "PNG")
    image = Image.open(BytesIO(pictures.make_thumbnail(out.getvalue())))
    assert image.mode == "RGBA" and image.getextrema()[3] == (0, 0)
