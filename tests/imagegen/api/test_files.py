"""The files API over HTTP: list, metadata, content. All of it on a folder and at S3."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.test.utils import override_script_prefix
from django.utils import timezone

from imagegen.api.serializers import content_url
from imagegen.models import ImageFile

pytestmark = pytest.mark.usefixtures("storage")

LIST = "/api/v1/files/"


@pytest.fixture
def file(api: Client) -> ImageFile:
    body = {"prompt": "a lake", "size": "96x64", "metadata": {"chat_id": "c", "message_id": "m"}}
    assert api.post("/api/images/generations", body, content_type="application/json").status_code == 200
    return ImageFile.objects.get()


def content(file: ImageFile) -> str:
    return f"{LIST}{file.pk}/content"


def thumbnail(file: ImageFile) -> str:
    return f"{LIST}{file.pk}/thumbnail"


def test_a_picture_is_where_the_application_is() -> None:
    picture = ImageFile()
    for prefix in ("/", "/easel/", "/"):
        with override_script_prefix(prefix):
            assert content_url(picture) == f"{prefix.rstrip('/')}{content(picture)}"


class TestMetadata:
    def test_all_that_is_told(self, api: Client, file: ImageFile) -> None:
        body = api.get(f"{LIST}{file.pk}").json()
        assert body["id"] == str(file.pk) and body["url"] == content(file)
        assert (body["width"], body["height"], body["size"]) == (96, 64, file.size)
        assert len(body["sha256"]) == 64
        assert (body["prompt"], body["engine"], body["model"]) == ("a lake", "dicebear", "auto")
        assert (body["chat_id"], body["message_id"]) == ("c", "m")
        assert body["links"] == {
            "self": f"{LIST}{file.pk}",
            "content": content(file),
            "thumbnail": thumbnail(file),
        }

    def test_never_where_it_lies(self, api: Client, file: ImageFile, settings: Any) -> None:
        text = api.get(f"{LIST}{file.pk}").content.decode() + api.get(LIST).content.decode()
        assert file.file.name not in text and str(settings.DATA_DIR) not in text


class TestContent:
    def test_headers(self, api: Client, file: ImageFile) -> None:
        response = api.get(content(file))
        assert response.headers["Content-Type"] == "image/png"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Disposition"].startswith("inline")
        assert response.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        assert response.headers["ETag"] == f'"{file.sha256}"'
        assert int(response.headers["Content-Length"]) == file.size
        assert len(b"".join(response.streaming_content)) == file.size

    def test_head(self, api: Client, file: ImageFile) -> None:
        response = api.head(content(file))
        assert response.status_code == 200
        assert int(response.headers["Content-Length"]) == file.size

    def test_not_modified(self, api: Client, file: ImageFile) -> None:
        response = api.get(content(file), headers={"if-none-match": f'"{file.sha256}"'})
        assert response.status_code == 304 and not response.content

    def test_a_range(self, api: Client, file: ImageFile) -> None:
        whole = b"".join(api.get(content(file)).streaming_content)
        response = api.get(content(file), headers={"range": "bytes=1-3"})
        assert response.status_code == 206
        assert b"".join(response.streaming_content) == whole[1:4]
        assert response.headers["Content-Range"] == f"bytes 1-3/{file.size}"

    def test_several_ranges_are_the_whole(self, api: Client, file: ImageFile) -> None:
        response = api.get(content(file), headers={"range": "bytes=0-1,3-4"})
        assert response.status_code == 200
        assert len(b"".join(response.streaming_content)) == file.size

    def test_a_range_of_what_it_was(self, api: Client, file: ImageFile) -> None:
        for validator, status in {f'"{file.sha256}"': 206, '"older"': 200}.items():
            headers = {"range": "bytes=0-1", "if-range": validator}
            assert api.get(content(file), headers=headers).status_code == status

    def test_bytes_that_are_gone(self, api: Client, file: ImageFile) -> None:
        file.file.storage.delete(file.file.name)
        assert api.get(content(file)).status_code == 404
        assert api.get(thumbnail(file)).status_code == 404

    def test_beyond_the_end(self, api: Client, file: ImageFile) -> None:
        response = api.get(content(file), headers={"range": f"bytes={file.size}-"})
        assert response.status_code == 416

    def test_download(self, api: Client, file: ImageFile) -> None:
        disposition = api.get(content(file) + "?download=1").headers["Content-Disposition"]
        assert disposition.startswith("attachment")

    @pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
    def test_other_methods_are_405(self, api: Client, file: ImageFile, method: str) -> None:
        assert getattr(api, method)(content(file)).status_code == 405


class TestWhoMay:
    def paths(self, file: ImageFile) -> list[str]:
        return [f"{LIST}{file.pk}", content(file), thumbnail(file)]

    def test_nobody_is_401(self, client_for: Any, file: ImageFile) -> None:
        for path in [*self.paths(file), LIST]:
            response = client_for(None).get(path)
            assert response.status_code == 401 and "WWW-Authenticate" in response.headers

    def test_somebody_else_is_404(self, client_for: Any, other: User, file: ImageFile) -> None:
        for path in self.paths(file):
            assert client_for(other).get(path).status_code == 404
        assert client_for(other).get(LIST).json()["results"] == []

    def test_who_may_see_others_pictures(self, client_for: Any, other: User, file: ImageFile) -> None:
        other.user_permissions.add(Permission.objects.get(codename="view_others_pictures"))
        for path in self.paths(file):
            assert client_for(other).get(path).status_code == 200
        assert client_for(other).get(LIST).json()["results"] == []

    def test_a_foreign_origin_with_the_cookie(self, client_for: Any, member: User, file: ImageFile) -> None:
        client = client_for(None)
        client.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
        for path in [*self.paths(file), LIST]:
            assert client.get(path).status_code == 200
            assert client.get(path, headers={"origin": "https://evil.example"}).status_code == 403

    def test_an_owner_without_the_permission_keeps_what_is_theirs(
        self, api: Client, member: User, file: ImageFile
    ) -> None:
        member.groups.clear()
        assert api.get(content(file)).status_code == 200

    @pytest.mark.parametrize(
        "name",
        ["f3b0c2d4-1111-4222-8333-944445555666", "1", "..", "%2e%2e%2fx", "a%00b", "0" * 40, "{id}", "%0a"],
    )
    def test_a_guess_is_404(self, api: Client, file: ImageFile, name: str) -> None:
        for ask, path in (
            (api.get, f"{LIST}{name}"),
            (api.delete, f"{LIST}{name}"),
            (api.get, f"{LIST}{name}/content"),
            (api.get, f"{LIST}{name}/thumbnail"),
        ):
            response = ask(path)
            assert response.status_code == 404
            assert set(response.json()) == {"detail", "code"}

    def test_expired_is_gone(self, api: Client, file: ImageFile) -> None:
        ImageFile.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        for path in self.paths(file):
            assert api.get(path).status_code == 404
        assert api.get(LIST).json()["results"] == []


class TestList:
    @pytest.fixture
    def many(self, file: ImageFile, member: User) -> list[str]:
        """120 files that share a few times of creation, newest first."""
        base = timezone.now() - timedelta(hours=1)
        rows = []
        for n in range(119):
            fields = {f.name: getattr(file, f.name) for f in ImageFile._meta.concrete_fields}
            fields |= {"id": uuid.uuid4(), "position": n + 1, "created_at": base + timedelta(seconds=n // 30)}
            rows.append(ImageFile(**fields, **{}))
        ImageFile.objects.bulk_create(rows)
        return [
            str(pk) for pk in ImageFile.objects.order_by("-created_at", "-id").values_list("pk", flat=True)
        ]

    def test_pages_by_cursor_hold_each_file_once(self, api: Client, many: list[str]) -> None:
        seen, url = [], LIST
        while url:
            body = api.get(url).json()
            assert set(body) == {"results", "next"}
            seen += [entry["id"] for entry in body["results"]]
            url = body["next"]
        assert sorted(seen) == sorted(many) and len(set(seen)) == 120
        assert seen[0] == many[0]

    def test_a_page_costs_two_queries(
        self, api: Client, many: list[str], django_assert_num_queries: Any
    ) -> None:
        """User; page."""
        with django_assert_num_queries(2):
            api.get(LIST)

    def test_by_chat_and_message(self, api: Client, file: ImageFile) -> None:
        for query, found in {
            "chat_id=c": 1,
            "chat_id=c&message_id=m": 1,
            "chat_id=c&message_id=x": 0,
            "chat_id=x": 0,
            "message_id=m": 1,
        }.items():
            assert len(api.get(f"{LIST}?{query}").json()["results"]) == found, query

    @pytest.mark.parametrize("query", ["chat_id=%00", "message_id=" + "x" * 256, "cursor=nonsense"])
    def test_bad_queries_are_400(self, api: Client, file: ImageFile, query: str) -> None:
        response = api.get(f"{LIST}?{query}")
        assert response.status_code == 400 and response.json()["errors"]
