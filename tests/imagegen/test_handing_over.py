"""Pictures that nginx or S3 sends: only to whom they belong, only where that is set up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.test import Client

from imagegen.models import ImageFile
from tests.conftest import use_storage

PATHS = ["content", "thumbnail"]


@pytest.fixture
def make(api: Client) -> Any:
    def make() -> ImageFile:
        body = {"prompt": "a lake", "size": "64x64"}
        assert api.post("/api/images/generations", body, content_type="application/json").status_code == 200
        return ImageFile.objects.get()

    return make


@pytest.mark.parametrize("what", PATHS)
class TestNginx:
    THROUGH = {"x-accel-location": "/_files/"}

    @pytest.fixture
    def file(self, make: Any, settings: Any, tmp_path: Path) -> ImageFile:
        use_storage(settings, f"file://{tmp_path}")
        settings.EASEL_ACCEL_REDIRECT = "/_files/"
        settings.EASEL_TRUSTED_PROXIES = ["127.0.0.1"]
        file: ImageFile = make()
        return file

    def test_is_told_where(self, api: Client, file: ImageFile, what: str) -> None:
        for ask in (api.get, api.head):
            response = ask(f"/api/v1/files/{file.pk}/{what}", headers=self.THROUGH)
            file.refresh_from_db()
            stored = file.thumbnail if what == "thumbnail" else file.file
            assert response.status_code == 200 and response.content == b""
            assert response.headers["X-Accel-Redirect"] == f"/_files/{stored.name}"
            assert response.headers["Content-Type"] == ("image/webp" if what == "thumbnail" else "image/png")
            assert response.headers["Cache-Control"].startswith("private")
            assert response.headers["Content-Disposition"].startswith("inline")
            assert "ETag" in response.headers

    def test_nobody_else_is(self, api: Client, file: ImageFile, what: str, settings: Any) -> None:
        """No header of nginx's, a wrong one, or one from a stranger: the picture itself."""
        for headers, peer in (
            ({}, "127.0.0.1"),
            ({"x-accel-location": "/other/"}, "127.0.0.1"),
            (self.THROUGH, "192.0.2.7"),
        ):
            response = api.get(f"/api/v1/files/{file.pk}/{what}", headers=headers, REMOTE_ADDR=peer)
            assert response.status_code == 200 and "X-Accel-Redirect" not in response.headers
            data = b"".join(response.streaming_content) if response.streaming else response.content
            assert data[:4] in (b"\x89PNG", b"RIFF")

    def test_the_permission_comes_first(
        self, client_for: Any, other: User, file: ImageFile, what: str
    ) -> None:
        for user, status in ((other, 404), (None, 401)):
            response = client_for(user).get(f"/api/v1/files/{file.pk}/{what}", headers=self.THROUGH)
            assert response.status_code == status and "X-Accel-Redirect" not in response.headers

    def test_what_needs_no_bytes_is_answered_here(self, api: Client, file: ImageFile, what: str) -> None:
        path = f"/api/v1/files/{file.pk}/{what}"
        etag = api.get(path).headers["ETag"]
        response = api.get(path, headers={**self.THROUGH, "if-none-match": etag})
        assert response.status_code == 304 and "X-Accel-Redirect" not in response.headers
        if what == "content":
            response = api.get(path, headers={**self.THROUGH, "range": f"bytes={file.size}-"})
            assert response.status_code == 416 and "X-Accel-Redirect" not in response.headers


@pytest.mark.parametrize("what", PATHS)
class TestS3:
    @pytest.fixture
    def file(self, make: Any, settings: Any, s3: str) -> ImageFile:
        use_storage(settings, s3)
        settings.EASEL_S3_PRESIGNED = 60
        file: ImageFile = make()
        return file

    def test_a_redirect_that_anybody_may_follow(self, api: Client, file: ImageFile, what: str) -> None:
        response = api.get(f"/api/v1/files/{file.pk}/{what}?download=1")
        assert response.status_code == 302
        assert response.headers["Cache-Control"] == "private, no-store"
        assert "ETag" not in response.headers
        assert "X-Amz-Expires=60" in response.headers["Location"]
        got = requests.get(response.headers["Location"], timeout=10)
        assert got.status_code == 200 and got.content[:4] in (b"\x89PNG", b"RIFF")
        assert got.headers["Content-Type"] == ("image/webp" if what == "thumbnail" else "image/png")
        kind = "inline" if what == "thumbnail" else "attachment"
        assert got.headers["Content-Disposition"].startswith(kind)

    def test_the_permission_comes_first(
        self, client_for: Any, other: User, file: ImageFile, what: str
    ) -> None:
        for user, status in ((other, 404), (None, 401)):
            response = client_for(user).get(f"/api/v1/files/{file.pk}/{what}")
            assert response.status_code == status and "Location" not in response.headers

    def test_what_needs_no_bytes_is_answered_here(self, api: Client, file: ImageFile, what: str) -> None:
        response = api.head(f"/api/v1/files/{file.pk}/{what}")
        assert response.status_code == 200
        etag = response.headers["ETag"]
        path = f"/api/v1/files/{file.pk}/{what}"
        assert api.get(path, headers={"if-none-match": etag}).status_code == 304

    def test_not_in_the_admin_whose_pages_show_no_pictures_from_elsewhere(
        self, superuser: User, file: ImageFile, what: str
    ) -> None:
        staff = Client()
        staff.force_login(superuser, backend="django.contrib.auth.backends.ModelBackend")
        assert staff.get(f"/admin/imagegen/imagefile/{file.pk}/{what}/").status_code == 200

    def test_not_unless_it_is_set(self, api: Client, file: ImageFile, what: str, settings: Any) -> None:
        settings.EASEL_S3_PRESIGNED = 0
        assert api.get(f"/api/v1/files/{file.pk}/{what}").status_code == 200
