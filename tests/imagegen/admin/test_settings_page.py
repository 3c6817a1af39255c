"""Settings, Images: what is offered, what is written down, and when it counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from imagegen.models import EngineConnection, ImageSettings
from imagegen.models.settings import Fallback
from tests.imagegen.admin.conftest import form_of

PAGE = "/admin/imagegen/imagesettings/1/change/"
Select = Callable[..., EngineConnection]


@pytest.fixture
def connections(select: Select) -> dict[str, EngineConnection]:
    """One that can do all, one that cannot edit, one that is off."""
    made = [
        select("hosted", "openai"),
        select("google", "gemini"),
        select("off", "automatic1111", base_url="http://127.0.0.1:9", enabled=False),
    ]
    return {connection.name: connection for connection in made}


def offered(client: Client, field: str) -> dict[str, str]:
    choices = client.get(PAGE).context["adminform"].form.fields[field].choices
    return {str(label).split(" ")[0]: str(label) for value, label in choices if value}


def save(client: Client, **changes: Any) -> Any:
    return client.post(PAGE, form_of(client.get(PAGE)) | changes)


def test_only_what_can_work_is_offered(admin_pages: Client, connections: dict[str, EngineConnection]) -> None:
    assert offered(admin_pages, "generate_connection").keys() == {"built-in", "hosted", "google"}
    assert offered(admin_pages, "edit_connection").keys() == {"hosted", "google"}
    assert offered(admin_pages, "polish_connection").keys() == {"hosted"}
    assert offered(admin_pages, "fallback_1").keys() == {"built-in", "hosted", "google"}
    answer = save(admin_pages, edit_connection=EngineConnection.objects.get(name="built-in").pk)
    assert "edit_connection" in answer.context["adminform"].form.errors


def test_the_selected_one_stays_with_a_word_on_why(
    admin_pages: Client, connections: dict[str, EngineConnection]
) -> None:
    ImageSettings.objects.current()
    ImageSettings.objects.update(edit_connection=connections["off"], polish_connection=connections["google"])
    assert "switched off" in offered(admin_pages, "edit_connection")["off"]
    assert "no chat model" in offered(admin_pages, "polish_connection")["google"]
    assert "off" not in offered(admin_pages, "generate_connection")
    assert save(admin_pages, default_steps=7).status_code == 302
    assert ImageSettings.objects.get().edit_connection == connections["off"]


def test_the_order_of_failover(admin_pages: Client, connections: dict[str, EngineConnection]) -> None:
    hosted, google = connections["hosted"], connections["google"]
    assert save(admin_pages, fallback_2=google.pk, fallback_4=hosted.pk).status_code == 302
    assert list(Fallback.objects.values_list("connection__name", "position")) == [
        ("google", 1),
        ("hosted", 2),
    ]
    twice = save(admin_pages, fallback_3=google.pk)
    assert "google has an earlier place already." in twice.content.decode()
    assert save(admin_pages, fallback_1=hosted.pk, fallback_2=google.pk).status_code == 302
    assert [place.connection.name for place in Fallback.objects.all()] == ["hosted", "google"]
    message = LogEntry.objects.latest("pk").get_change_message()
    assert "first stand-in from google to hosted" in message


def test_a_change_says_who_and_from_what_to_what(
    admin_pages: Client, superuser: User, connections: dict[str, EngineConnection]
) -> None:
    changes = {"generate_connection": connections["hosted"].pk, "default_size": "512x512"}
    assert save(admin_pages, **changes).status_code == 302
    entry = LogEntry.objects.latest("pk")
    assert entry.user == superuser
    assert "makes pictures from built-in to hosted" in entry.get_change_message()
    assert "size from 1024x1024 to 512x512" in entry.get_change_message()
    assert "ago by root" in admin_pages.get(PAGE).content.decode().replace("\n", " ")


def test_it_counts_at_once(
    admin_pages: Client, api: Client, connections: dict[str, EngineConnection]
) -> None:
    """There is no cache of the row: tests/browser/test_story.py shows it at two processes."""
    body = {"prompt": "hills"}
    assert api.post("/api/images/generations", body, content_type="application/json").status_code == 200
    data = {
        name: value for name, value in form_of(admin_pages.get(PAGE)).items() if name != "generation_enabled"
    }
    assert admin_pages.post(PAGE, data).status_code == 302
    assert api.post("/api/images/generations", body, content_type="application/json").status_code == 403


def test_two_people_do_not_undo_each_other(admin_pages: Client) -> None:
    first, second = (form_of(admin_pages.get(PAGE)) | {"default_steps": steps} for steps in (11, 12))
    assert admin_pages.post(PAGE, first).status_code == 302
    assert "Somebody else has saved this" in admin_pages.post(PAGE, second).content.decode()
    assert ImageSettings.objects.get().default_steps == 11


def test_wrong_values_are_refused_in_words(admin_pages: Client) -> None:
    answer = save(admin_pages, default_size="huge", default_steps=0, generate_connection=9999)
    assert answer.context["adminform"].form.errors.keys() == {
        "default_size", "default_steps", "generate_connection",
    }  # fmt: skip


def test_not_without_the_permission(staff: Callable[..., Client]) -> None:
    ImageSettings.objects.current()
    assert Client().get(PAGE).status_code == 302
    assert staff("change_engineconnection").get(PAGE).status_code == 403
    looking = staff("view_imagesettings")
    assert looking.get(PAGE).status_code == 200
    assert looking.post(PAGE, {"default_steps": 3}).status_code == 403
    strict = staff("change_imagesettings", enforce_csrf_checks=True)
    assert strict.post(PAGE, form_of(strict.get(PAGE))).status_code == 403
