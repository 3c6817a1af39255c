"""Uploads over HTTP: what is taken, what is left of it, who may. On a folder and at S3."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from imagegen import sources, uploads
from imagegen.models import ImageFile
from tests.imagegen.api.test_files import LIST
from tests.stored import stored_names

pytestmark = pytest.mark.usefixtures("storage")

ORIENTATION, SERIAL_NUMBER = 0x0112, 0xA431


def encode(kind: str = "PNG", size: tuple[int, int] = (60, 40), **options: Any) -> bytes:
    """Red above, blue below."""
    image = Image.new("RGB", size, "red")
    image.paste("blue", (0, size[1] // 2, *size))
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def send(client: Client, data: bytes, name: str = "a.png", claim: str = "image/png", **headers: str) -> Any:
    return client.post(LIST, {"file": SimpleUploadedFile(name, data, claim)}, headers=headers)


def opened(file: ImageFile) -> Image.Image:
    with file.file.open("rb") as stored:
        image = Image.open(BytesIO(stored.read()))
        image.load()
    return image


@pytest.mark.parametrize(
    ("kind", "told", "extension"),
    [
        ("PNG", "image/png", "png"),
        ("JPEG", "image/jpeg", "jpg"),
        ("WEBP", "image/webp", "webp"),
        ("GIF", "image/png", "png"),
    ],
)
def test_what_it_is_is_in_its_bytes(api: Client, kind: str, told: str, extension: str) -> None:
    response = send(api, encode(kind), name="page.html", claim="text/html")
    assert response.status_code == 201, response.content
    body = response.json()
    assert (body["content_type"], body["name"]) == (told, f"page.{extension}")
    assert (body["width"], body["height"]) == (body["native_width"], body["native_height"]) == (60, 40)
    assert (body["prompt"], body["engine"], body["generation"]) == ("", "", None)
    assert api.get(body["links"]["self"]).json() == body
    file = ImageFile.objects.get()
    assert opened(file).size == (60, 40)
    assert stored_names() == [file.file.name]


def test_it_is_turned_upright_and_says_nothing_of_its_camera(api: Client) -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[SERIAL_NUMBER] = 6, "SN-12345"
    assert b"SN-12345" in encode("JPEG", exif=exif)
    body = send(api, encode("JPEG", exif=exif)).json()
    assert (body["width"], body["height"]) == (40, 60)
    file = ImageFile.objects.get()
    image = opened(file)
    left, right = image.getpixel((5, 30)), image.getpixel((35, 30))
    assert left[2] > 200 > left[0] and right[0] > 200 > right[2]
    assert not image.getexif() and b"SN-12345" not in file.file.open().read()


def test_it_can_be_edited(api: Client, member: User) -> None:
    body = send(api, encode()).json()
    (source,) = sources.read_sources(images=[body["id"]], mask=None, user=member).images
    assert Image.open(BytesIO(source)).size == (60, 40)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("holiday photo.JPG", "holiday photo.png"),
        ("Überblick ✓.png", "Überblick ✓.png"),
        ("../../etc/passwd", "passwd.png"),
        ("C:\\\\Users\\\\me\\\\x.png", "x.png"),
        ("a\u202egnp.exe", "agnp.png"),
        ("a\x1b[31m.png", "a[31m.png"),
        (".png", "png.png"),
        ("...", "picture.png"),
        ("x" * 300 + ".png", "x" * 100 + ".png"),
    ],
)
def test_a_name_is_for_people_only(api: Client, name: str, shown: str) -> None:
    assert uploads.display_name(name, "png") == shown
    response = send(api, encode(), name=name)
    if response.status_code == 201:  # Django itself takes a part whose name is no name for no file
        file = ImageFile.objects.get()
        assert "/" not in file.name and file.name.isprintable() and file.name.endswith(".png")
        assert file.file.name.rpartition("/")[2].startswith(f"upload-{file.pk}-")
        content = api.get(f"{LIST}{file.pk}/content?download=1")
        assert content.headers["Content-Disposition"].startswith("attachment; filename")


class TestRefused:
    @pytest.mark.parametrize(
        "data",
        [
            b"<html><script>alert(1)</script>",
            b"\x89PNG\r\n\x1a\n",
            encode()[:-40],
            encode("BMP"),
            b"%PDF-1.7",
        ],
    )
    def test_no_picture(self, api: Client, data: bytes) -> None:
        response = send(api, data)
        assert response.status_code == 400
        assert list(response.json()["errors"]) == ["file"]
        assert stored_names() == [] and not ImageFile.objects.exists()

    def test_nothing(self, api: Client) -> None:
        for body in ({}, {"other": "x"}, {"file": "not a file"}, {"file": SimpleUploadedFile("a.png", b"")}):
            response = api.post(LIST, body)
            assert response.status_code == 400 and list(response.json()["errors"]) == ["file"]

    def test_two(self, api: Client) -> None:
        both = [SimpleUploadedFile(name, encode()) for name in ("a.png", "b.png")]
        response = api.post(LIST, {"file": both})
        assert response.status_code == 400 and list(response.json()["errors"]) == ["file"]

    def test_too_many_pixels(self, api: Client) -> None:
        response = send(api, encode(size=(8000, 5001)))
        assert response.status_code == 400 and "40 megapixels" in response.json()["detail"]

    def test_too_many_bytes(self, api: Client) -> None:
        response = send(api, encode() + bytes(uploads.MAX_BYTES))
        assert response.status_code == 413 and response.json()["code"] == "too_large"

    def test_a_body_that_is_too_large_is_not_read(self, api: Client) -> None:
        response = api.post(LIST, {"file": SimpleUploadedFile("a.png", bytes(21 * 1024**2))})
        assert response.status_code == 413 and "20 MB" in response.json()["detail"]

    @pytest.mark.parametrize("claim", ["application/json", "image/png", "text/plain", ""])
    def test_another_content_type(self, api: Client, claim: str) -> None:
        assert api.generic("POST", LIST, encode(), content_type=claim).status_code == 415

    @pytest.mark.parametrize(
        ("claim", "body"),
        [
            ("multipart/form-data", b"x"),
            ("multipart/form-data; boundary=b", b"--b\r\nContent-Disp"),
            ("multipart/form-data; boundary=b", b"--b\r\n" * 2000),
            ("multipart/form-data; boundary=b", b"".join(
                b'--b\r\nContent-Disposition: form-data; name="f%d"\r\n\r\n1\r\n' % k for k in range(1500)
            )),
        ],
    )  # fmt: skip
    def test_a_broken_form(self, api: Client, claim: str, body: bytes) -> None:
        response = api.generic("POST", LIST, body, content_type=claim)
        assert response.status_code == 400
        assert set(response.json()) >= {"detail", "code"}


class TestWhoMay:
    def test_nobody(self, client_for: Any) -> None:
        response = send(client_for(None), encode())
        assert response.status_code == 401 and "WWW-Authenticate" in response.headers

    def test_without_the_permission(self, client_for: Any, outsider: User) -> None:
        assert send(client_for(outsider), encode()).status_code == 403
        assert send(client_for(outsider), b"nonsense").status_code == 403

    def test_with_the_cookie(self, client_for: Any, member: User) -> None:
        client = client_for(None)
        client.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
        client.cookies["csrftoken"] = token = "t" * 32
        assert send(client, encode()).status_code == 403
        assert send(client, encode(), **{"x-csrftoken": token}).status_code == 201
        foreign = {"x-csrftoken": token, "origin": "https://evil.example"}
        assert send(client, encode(), **foreign).status_code == 403
        assert ImageFile.objects.get().owner == member
