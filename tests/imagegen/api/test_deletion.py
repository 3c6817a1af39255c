"""Deleting files over HTTP: row, bytes and thumbnail; one's own alone. On a folder and at S3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.test import Client

from imagegen import storage as service
from imagegen.models import ImageFile
from tests.imagegen.api.test_files import LIST
from tests.stored import stored_names

pytestmark = pytest.mark.usefixtures("storage")

Make = Callable[..., ImageFile]


@pytest.fixture
def make(db: None) -> Make:
    """A stored file with a thumbnail."""

    def make(owner: User, **fields: str) -> ImageFile:
        described = {"name": "a.png", "content_type": "image/png", "sha256": "0" * 64}
        sizes = dict.fromkeys(("width", "height", "native_width", "native_height", "size"), 5)
        row = ImageFile(owner=owner, **described, **sizes, **fields)
        row.file.save("a.png", ContentFile(b"12345"), save=False)
        row.thumbnail.save("a.thumbnail.webp", ContentFile(b"1"), save=False)
        row.save()
        return row

    return make


@pytest.fixture
def delete(django_capture_on_commit_callbacks: Any) -> Callable[..., int]:
    """Delete as a client; what happens on commit happens."""

    def delete(client: Client, path: str, **kwargs: Any) -> int:
        with django_capture_on_commit_callbacks(execute=True):
            response = client.delete(path, **kwargs)
        if response.status_code == 204:
            assert response.content == b""
        else:
            assert {"detail", "code"} <= set(response.json())
        return int(response.status_code)

    return delete


def names(*files: ImageFile) -> list[str]:
    return sorted(name for file in files for name in (file.file.name, file.thumbnail.name))


def test_row_bytes_and_thumbnail_go(api: Client, member: User, make: Make, delete: Any) -> None:
    gone, kept = make(member), make(member)
    assert delete(api, f"{LIST}{gone.pk}") == 204
    assert list(ImageFile.objects.all()) == [kept] and stored_names() == names(kept)
    assert delete(api, f"{LIST}{gone.pk}") == 404


def test_a_chat_or_a_message_of_it(api: Client, member: User, other: User, make: Make, delete: Any) -> None:
    make(member, chat_id="c", message_id="1")
    second, elsewhere = make(member, chat_id="c", message_id="2"), make(member, chat_id="d")
    anothers = make(other, chat_id="c")
    assert delete(api, f"{LIST}?chat_id=c&message_id=1") == 204
    assert stored_names() == names(second, elsewhere, anothers)
    assert delete(api, f"{LIST}?chat_id=c") == 204
    assert set(ImageFile.objects.all()) == {elsewhere, anothers}
    assert stored_names() == names(elsewhere, anothers)
    assert delete(api, f"{LIST}?chat_id=c") == 204


@pytest.mark.parametrize("query", ["", "?chat_id=", "?message_id=", "?chat_id=%00", "?chatid=c"])
def test_without_a_filter_nothing_goes(
    api: Client, member: User, make: Make, delete: Any, query: str
) -> None:
    make(member, chat_id="c")
    assert delete(api, f"{LIST}{query}") == 400
    assert ImageFile.objects.count() == 1


def test_nobody_else_may(client_for: Any, member: User, other: User, make: Make, delete: Any) -> None:
    """Who may see others' pictures may not delete them."""
    file = make(member, chat_id="c")
    other.user_permissions.add(Permission.objects.get(codename="view_others_pictures"))
    assert delete(client_for(other), f"{LIST}{file.pk}") == 404
    assert delete(client_for(other), f"{LIST}?chat_id=c") == 204
    for path in (f"{LIST}{file.pk}", f"{LIST}?chat_id=c", LIST):
        assert delete(client_for(None), path) == 401
    assert ImageFile.objects.get() == file and stored_names() == names(file)


def test_the_cookie_alone_is_not_enough(client_for: Any, member: User, make: Make, delete: Any) -> None:
    file = make(member, chat_id="c")
    client = client_for(None)
    client.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
    client.cookies["csrftoken"] = token = "t" * 32
    for path in (f"{LIST}{file.pk}", f"{LIST}?chat_id=c"):
        assert delete(client, path) == 403
        headers = {"x-csrftoken": token, "origin": "https://evil.example"}
        assert delete(client, path, headers=headers) == 403
    assert delete(client, f"{LIST}{file.pk}", headers={"x-csrftoken": token}) == 204


def test_an_owner_who_may_no_longer_make_pictures_may_delete_them(
    api: Client, member: User, make: Make, delete: Any
) -> None:
    file = make(member)
    member.groups.clear()
    assert delete(api, f"{LIST}{file.pk}") == 204


def test_bytes_that_cannot_go_do_not_keep_the_row(
    api: Client, member: User, make: Make, delete: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make(member)

    def refuse(name: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(default_storage._wrapped, "delete", refuse)
    assert delete(api, f"{LIST}{file.pk}") == 204
    assert not ImageFile.objects.exists() and api.get(f"{LIST}{file.pk}/content").status_code == 404


def test_bytes_stay_while_the_row_may(
    member: User, make: Make, django_capture_on_commit_callbacks: Any
) -> None:
    file = make(member)
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        try:
            with transaction.atomic():
                assert service.delete_files(ImageFile.objects.all()) == 1
                raise RuntimeError("rolled back")
        except RuntimeError:
            pass
    assert not callbacks
    assert ImageFile.objects.get() == file and stored_names() == names(file)


def test_many_go_a_few_at_a_time(
    member: User, make: Make, delete: Any, api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "DELETED_AT_ONCE", 2)
    for _ in range(5):
        make(member, chat_id="c")
    assert delete(api, f"{LIST}?chat_id=c") == 204
    assert stored_names() == [] and not ImageFile.objects.exists()
