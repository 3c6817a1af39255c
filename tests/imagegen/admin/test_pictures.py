"""Generations and files in the admin: linked to each other and to people, seen by few, changed by nobody."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from imagegen.models import Generation, ImageFile

FILES, GENERATIONS = "/admin/imagegen/imagefile/", "/admin/imagegen/generation/"
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture
def file(api: Client) -> ImageFile:
    body = {
        "prompt": "a very private lake",
        "size": "64x64",
        "metadata": {"chat_id": "chat-7", "message_id": "message-9"},
    }
    assert api.post("/api/images/generations", body, content_type="application/json").status_code == 200
    return ImageFile.objects.get()


@pytest.fixture
def staff(outsider: User) -> User:
    User.objects.filter(pk=outsider.pk).update(is_staff=True)
    return outsider


def pages(file: ImageFile) -> list[str]:
    return [
        FILES, f"{FILES}{file.pk}/change/", GENERATIONS, f"{GENERATIONS}{file.generation_id}/change/",
        f"{FILES}?generation={file.generation_id}",
    ]  # fmt: skip


def test_person_chat_message_and_generation_of_a_picture(
    client: Client, superuser: User, file: ImageFile
) -> None:
    client.force_login(superuser, backend=BACKEND)
    for page in (FILES, f"{FILES}{file.pk}/change/"):
        text = client.get(page).content.decode()
        for shown in ("member", "chat-7", "message-9", f"{GENERATIONS}{file.generation_id}/change/"):
            assert shown in text, (page, shown)
        assert f"/api/v1/files/{file.pk}/content" in text
        assert file.file.name not in text
    text = client.get(f"{GENERATIONS}{file.generation_id}/change/").content.decode()
    assert "a very private lake" in text and f"{FILES}?generation={file.generation_id}" in text
    assert client.get(f"/api/v1/files/{file.pk}/thumbnail").status_code == 200


def test_staff_without_the_permission_see_nothing(client: Client, staff: User, file: ImageFile) -> None:
    for codename in ("view_imagefile", "change_imagefile", "view_generation", "change_generation"):
        staff.user_permissions.add(Permission.objects.get(codename=codename))
    client.force_login(staff, backend=BACKEND)
    for page in pages(file):
        response = client.get(page)
        assert response.status_code == 403 and "private" not in response.content.decode()
    assert "imagefile" not in client.get("/admin/").content.decode()


def test_holders_of_the_permission_see_and_change_nothing(
    client: Client, staff: User, file: ImageFile
) -> None:
    staff.user_permissions.add(Permission.objects.get(codename="view_others_pictures"))
    client.force_login(staff, backend=BACKEND)
    for page in pages(file):
        assert client.get(page).status_code == 200, page
    for page in (f"{FILES}{file.pk}/", f"{GENERATIONS}{file.generation_id}/"):
        assert client.post(f"{page}change/", {"prompt": "other"}).status_code == 403
        assert client.post(f"{page}delete/", {"post": "yes"}).status_code == 403
    assert client.get(f"{FILES}add/").status_code == 403
    assert Generation.objects.get().prompt == "a very private lake"


def test_nobody_else(client_for: Any, member: User, file: ImageFile) -> None:
    for user in (None, member):
        client = client_for(None)
        if user:
            client.force_login(user, backend=BACKEND)
        for page in pages(file):
            assert client.get(page).status_code == 302
