"""Deleting pictures in the admin: asked once more, whole, written down, and still counted."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.auth.models import User
from django.test import Client

from imagegen import quotas
from imagegen.models import Generation, ImageFile, Quota
from tests.imagegen.admin.conftest import BACKEND
from tests.imagegen.admin.gallery.conftest import (
    DELETE,
    ERASE,
    FILES,
    GENERATIONS,
    SEE,
    Staff,
    asked,
    made,
    picture_of,
)
from tests.stored import stored_names

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def deleter(staff: Staff) -> Client:
    return staff(SEE, DELETE)


def with_thumbnail(client: Client, file: ImageFile) -> ImageFile:
    assert client.get(f"{FILES}{file.pk}/thumbnail/").status_code == 200
    file.refresh_from_db()
    return file


def delete(client: Client, *rows: Any, path: str = FILES, **more: str) -> Any:
    return client.post(f"{path}delete/", {"chosen": [str(row.pk) for row in rows], **more}, follow=True)


def test_asking_deletes_nothing(deleter: Client, member: User) -> None:
    file = made(member)
    for path, row in ((FILES, file), (GENERATIONS, file.generation)):
        page = deleter.get(f"{path}delete/", {"chosen": str(row.pk)})
        assert "Delete 1 picture?" in page.content.decode()
    assert ImageFile.objects.count() == 1 and not LogEntry.objects.exists()


def test_row_bytes_and_thumbnail_go_together(deleter: Client, member: User) -> None:
    gone, kept = (with_thumbnail(deleter, made(member, minutes=minute)) for minute in (0, 1))
    before = stored_names()
    response = delete(deleter, gone)
    assert "1 picture deleted." in response.content.decode()
    assert list(ImageFile.objects.all()) == [kept]
    assert set(before) - set(stored_names()) == {gone.file.name, gone.thumbnail.name}
    assert deleter.get(f"{FILES}{gone.pk}/change/").status_code == 404


def test_several_and_all_of_a_generation(deleter: Client, member: User) -> None:
    ticked = [made(member, minutes=minute) for minute in range(3)]
    kept = made(member, minutes=9)
    generation = asked(member, minutes=20, pictures_asked=2)
    for position in range(2):
        picture_of(generation, position)
    assert "3 pictures deleted." in delete(deleter, *ticked).content.decode()
    assert "2 pictures deleted." in delete(deleter, generation, path=GENERATIONS).content.decode()
    assert list(ImageFile.objects.all()) == [kept]
    assert "2 are not there any more" in deleter.get(f"{GENERATIONS}{generation.pk}/change/").content.decode()


def test_it_is_written_down_with_who_and_without_what_is_private(
    deleter: Client, outsider: User, member: User
) -> None:
    file = made(member)
    ImageFile.objects.update(name="my private holiday.png")
    delete(deleter, file)
    entry = LogEntry.objects.get()
    assert (entry.user, entry.action_flag, entry.object_id) == (outsider, DELETION, str(file.pk))
    assert entry.content_type.model == "imagefile" and "member" in entry.object_repr
    assert "private" not in entry.object_repr + entry.change_message


def test_what_was_made_still_counts(deleter: Client, member: User, api: Client) -> None:
    body = {"prompt": "a lake", "size": "64x64"}
    assert api.post("/api/images/generations", body, content_type="application/json").status_code == 200
    Generation.objects.update(cost="0.04")
    delete(deleter, ImageFile.objects.get())
    used = quotas.usage(member, Quota())
    assert (used["pictures_per_day"].used, float(used["money_per_month"].used)) == (1, 0.04)
    page = deleter.get(f"{GENERATIONS}{Generation.objects.get().pk}/change/").content.decode()
    assert "Succeeded" in page and "$0.04" in page and "1 is not there any more" in page


def test_the_words_go_where_that_is_wanted_and_allowed(staff: Staff, member: User) -> None:
    file = made(member, parameters={"size": "8x8"}, chat_id="c", cost="0.04")
    delete(staff(SEE, DELETE), file.generation, path=GENERATIONS, words="1")
    assert Generation.objects.get().prompt, "without the permission to"
    client = staff(SEE, DELETE, ERASE)
    response = delete(client, file.generation, path=GENERATIONS, words="1")
    assert "1 prompt erased." in response.content.decode()
    erased = Generation.objects.get()
    assert (erased.prompt, erased.parameters, erased.chat_id) == ("", {}, "")
    assert (str(erased.cost), erased.status, erased.user) == ("0.040000", "succeeded", member)
    assert LogEntry.objects.filter(action_flag=CHANGE).get().content_type.model == "generation"
    assert "It was erased." in client.get(f"{GENERATIONS}{erased.pk}/change/").content.decode()


def test_what_is_under_way_keeps_its_words(staff: Staff, member: User) -> None:
    running = asked(member, status="running", finished_at=None)
    client = staff(SEE, DELETE, ERASE)
    assert delete(client, running, path=GENERATIONS, words="1").status_code == 404
    assert (
        delete(client, running, made(member, minutes=3).generation, path=GENERATIONS, words="1").status_code
        == 200
    )
    running.refresh_from_db()
    assert running.prompt


def test_one_leads_back_to_the_filtered_list_and_nowhere_else(deleter: Client, member: User) -> None:
    for back, there in (
        ("person=member&before=", "?person=member&before="),
        ("//evil.example", "?%2F%2Fevil.example="),
        ("", ""),
    ):
        file = made(member)
        response = deleter.post(f"{FILES}delete/", {"chosen": str(file.pk), "back": back})
        assert response.headers["Location"] == f"{FILES}{there}"


def test_nothing_ticked_is_told(deleter: Client) -> None:
    response = deleter.get(f"{FILES}delete/", {"back": ""}, follow=True)
    assert "Tick what is to be deleted first." in response.content.decode()


@pytest.mark.parametrize("chosen", ["x", "", "1", "\0"])
def test_nonsense_is_404(deleter: Client, chosen: str) -> None:
    for path in (FILES, GENERATIONS):
        assert deleter.post(f"{path}delete/", {"chosen": chosen}).status_code == 404


def test_who_may_not(client: Client, staff: Staff, member: User, outsider: User) -> None:
    file = made(member)
    for path, row in ((FILES, file), (GENERATIONS, file.generation)):
        url, chosen = f"{path}delete/", {"chosen": str(row.pk)}
        assert client.post(url, chosen).status_code == 302, "nobody"
        client.force_login(member, backend=BACKEND)
        assert client.post(url, chosen).status_code == 302, "not staff"
        client.logout()
        for send in ("get", "post"):
            for codenames, status in (((), 403), ((SEE,), 403), ((ERASE, SEE), 403), ((DELETE,), 404)):
                assert getattr(staff(*codenames), send)(url, chosen).status_code == status, codenames
        strict = staff(SEE, DELETE, enforce_csrf_checks=True)
        assert strict.post(url, chosen, headers={"origin": "https://evil.example"}).status_code == 403
        assert strict.post(url, chosen).status_code == 403
    assert ImageFile.objects.get() == file and not LogEntry.objects.exists()
    assert file.file.name in stored_names()


def test_anothers_among_ones_own_stays(staff: Staff, member: User, outsider: User) -> None:
    own, anothers = made(outsider), made(member)
    delete(staff(DELETE), own, anothers)
    assert ImageFile.objects.get() == anothers
    own = made(outsider)
    delete(staff(DELETE, ERASE), own.generation, anothers.generation, path=GENERATIONS, words="1")
    assert ImageFile.objects.get() == anothers and anothers.generation.prompt
    assert Generation.objects.get(user=member).prompt
