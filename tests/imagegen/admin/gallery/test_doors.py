"""Who may see what, by direct address."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from imagegen.models import Generation, ImageFile
from tests.imagegen.admin.conftest import BACKEND
from tests.imagegen.admin.gallery.conftest import (
    DELETE,
    FILES,
    GENERATIONS,
    SEE,
    Staff,
    asked,
    made,
    picture_of,
    shown,
)

SECRET = "a very private lake"


def doors(file: ImageFile) -> list[str]:
    """Each leads to one row."""
    return [
        f"{GENERATIONS}{file.generation_id}/change/",
        f"{FILES}{file.pk}/change/",
        f"{FILES}{file.pk}/content/",
        f"{FILES}{file.pk}/thumbnail/",
    ]


@pytest.fixture
def file(member: User) -> ImageFile:
    return made(member, chat_id="chat-7", message_id="message-9", trace_id="ab" * 16)


def test_nobody_and_who_is_not_staff_is_asked_to_log_in(
    client: Client, member: User, file: ImageFile
) -> None:
    for user in (None, member):
        if user:
            client.force_login(user, backend=BACKEND)
        for path in [GENERATIONS, FILES, f"{FILES}delete/?chosen={file.pk}", *doors(file)]:
            response = client.get(path)
            assert response.status_code == 302 and "/admin/login/" in response.headers["Location"], path


def test_staff_see_their_own_alone(staff: Staff, outsider: User, file: ImageFile) -> None:
    client = staff("view_imagefile", "view_generation", "change_imagefile", "change_generation")
    own = made(outsider, minutes=5)
    for page, row in ((GENERATIONS, own.generation), (FILES, own)):
        response = client.get(page)
        assert shown(response) == [row]
        assert "member" not in response.content.decode()
    for path in doors(file):
        assert client.get(path).status_code == 404, path
    for path in doors(own):
        assert client.get(path).status_code == 200, path


@pytest.mark.parametrize(
    "query",
    [
        "person=member",
        "group=Image+creators",
        "chat=chat-7",
        "trace=" + "ab" * 16,
        "prompt=private",
        "connection=studio",
    ],
)
def test_no_filter_leads_to_others(staff: Staff, member: User, file: ImageFile, query: str) -> None:
    asked(User.objects.get(username="outsider"), prompt="one of my own", connection_name="elsewhere")
    for page in (GENERATIONS, FILES):
        response = staff().get(f"{page}?{query}")
        assert file not in shown(response) and file.generation not in shown(response)
        text = response.content.decode()
        assert SECRET not in text and str(file.pk) not in text and str(file.generation_id) not in text
        assert "There is nobody of the name" not in text


def test_choices_of_filters_tell_nothing_of_others(staff: Staff, select: Any) -> None:
    select("secret-lab", "openai").allowed_groups.add(Group.objects.create(name="Secret group"))
    for page in (GENERATIONS, FILES):
        text = staff().get(page).content.decode()
        assert "secret-lab" not in text and "Secret group" not in text and "built-in" not in text
        text = staff("image_generation").get(page).content.decode()
        assert "secret-lab" not in text and "Secret group" not in text and "built-in" in text
        text = staff(SEE).get(page).content.decode()
        assert "secret-lab" not in text and "Secret group" in text
        assert "secret-lab" in staff("view_engineconnection").get(page).content.decode()


def test_holders_of_the_permission_see_everybodys(viewer: Client, file: ImageFile) -> None:
    for page, row in ((GENERATIONS, file.generation), (FILES, file)):
        assert shown(viewer.get(page)) == [row]
    for path in doors(file):
        assert viewer.get(path).status_code == 200, path


def test_links_lead_from_person_to_generation_to_files_and_back(viewer: Client, file: ImageFile) -> None:
    generation = f"{GENERATIONS}{file.generation_id}/change/"
    text = viewer.get(generation).content.decode()
    for link in (
        f"{GENERATIONS}?person=member",
        f"{FILES}?person=member",
        f"{FILES}{file.pk}/change/",
        "?chat=chat-7",
    ):
        assert link in text, link
    assert SECRET in text and "message-9" in text and "ab" * 16 in text
    text = viewer.get(f"{FILES}{file.pk}/change/").content.decode()
    for link in (generation, f"{GENERATIONS}?person=member", f"{FILES}{file.pk}/content/"):
        assert link in text, link
    assert file.file.name not in text


def test_what_has_expired_is_linked_from_nowhere(viewer: Client, file: ImageFile) -> None:
    gone = picture_of(file.generation or asked(None), 1)
    ImageFile.objects.filter(pk=gone.pk).update(expires_at=timezone.now())
    for page in (GENERATIONS, FILES, *doors(file)[:2]):
        text = viewer.get(page).content.decode()
        assert str(file.pk) in text and str(gone.pk) not in text, page


def test_a_detail_for_staff_is_for_those_who_see_all(staff: Staff, outsider: User, member: User) -> None:
    for user in (outsider, member):
        asked(
            user,
            status="failed",
            error_code="engine_timeout",
            error_message="It took too long.",
            error_detail="at gpu-1",
        )
    own, other = (Generation.objects.get(user=user) for user in (outsider, member))
    text = staff().get(f"{GENERATIONS}{own.pk}/change/").content.decode()
    assert "It took too long." in text and "at gpu-1" not in text
    assert "at gpu-1" in staff(SEE).get(f"{GENERATIONS}{other.pk}/change/").content.decode()


@pytest.mark.parametrize("path", ["add/", "{pk}/", "{pk}/history/", "{pk}/delete/", "{pk}/password/"])
def test_no_door_of_djangos_own_is_left(admin_pages: Client, file: ImageFile, path: str) -> None:
    for page, pk in ((GENERATIONS, file.generation_id), (FILES, file.pk)):
        assert admin_pages.get(page + path.format(pk=pk)).status_code == 404


def test_no_autocompletion(viewer: Client, file: ImageFile) -> None:
    for model, field in (("imagefile", "generation"), ("generation", "connection"), ("imagefile", "owner")):
        query = {"app_label": "imagegen", "model_name": model, "field_name": field, "term": "a"}
        assert viewer.get("/admin/autocomplete/", query).status_code in (403, 404)


def test_nothing_is_changed_by_posting(viewer: Client, file: ImageFile) -> None:
    for path in [GENERATIONS, FILES, *doors(file)]:
        viewer.post(path, {"prompt": "other", "_save": "1"})
    assert Generation.objects.get().prompt == SECRET and ImageFile.objects.count() == 1


@pytest.mark.parametrize("name", ["1", "%00", "..", "x" * 300, "f3b0c2d4-1111-4222-8333-944445555666"])
def test_guesses_are_404(admin_pages: Client, name: str) -> None:
    for page in (GENERATIONS, FILES):
        for rest in ("change/", "content/", "thumbnail/"):
            assert admin_pages.get(f"{page}{name}/{rest}").status_code == 404


def test_bytes_come_with_their_own_policy_and_are_kept_by_the_browser(
    viewer: Client, file: ImageFile
) -> None:
    response = viewer.get(f"{FILES}{file.pk}/content/")
    assert b"".join(response).startswith(b"\x89PNG")  # type: ignore[arg-type]
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert (
        "immutable" in response.headers["Cache-Control"]
        and "no-store" not in response.headers["Cache-Control"]
    )
    thumbnail = viewer.get(f"{FILES}{file.pk}/thumbnail/")
    assert thumbnail.headers["Content-Type"] == "image/webp"
    assert (
        viewer.get(f"{FILES}{file.pk}/content/?download=1")
        .headers["Content-Disposition"]
        .startswith("attachment")
    )


def test_staff_may_open_the_gallery_from_the_sidebar(staff: Staff) -> None:
    text = staff().get("/admin/").content.decode()
    assert GENERATIONS in text and FILES in text


def test_deletion_is_shown_to_those_who_may(staff: Staff, file: ImageFile) -> None:
    for page in (GENERATIONS, FILES, *doors(file)[:2]):
        assert "delete/" not in staff(SEE).get(page).content.decode()
        assert "delete/" in staff(SEE, DELETE).get(page).content.decode()


def test_an_account_leads_to_what_it_made(staff: Staff, member: User) -> None:
    User.objects.filter(pk=member.pk).update(username="a+b@example.org")
    page = f"/admin/auth/user/{member.pk}/change/"
    for path in (GENERATIONS, FILES):
        link = f"{path}?person=a%2Bb%40example.org"
        assert link in staff("view_user", SEE).get(page).content.decode()
        assert link not in staff("view_user").get(page).content.decode()
        assert staff(SEE).get(link).context["form"].cleaned_data["person"] == member
