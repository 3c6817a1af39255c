"""The form of a connection, and what is tried from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from imagegen.admin.engine_fields import ENGINE_FIELDS
from imagegen.engines import ENGINES
from imagegen.models import EngineConnection, Generation, ImageFile, ImageSettings
from tests.fakes.comfyui import ComfyUI
from tests.fakes.server import error_500, silent
from tests.imagegen.admin.conftest import KEY, form_of

ADD = "/admin/imagegen/engineconnection/add/"
ROOT = "/admin/imagegen/engineconnection/"


def page_of(connection: EngineConnection) -> str:
    return f"{ROOT}{connection.pk}/change/"


def entered(client: Client, connection: EngineConnection, **changes: Any) -> dict[str, Any]:
    return form_of(client.get(page_of(connection))) | changes


def everywhere(client: Client, connection: EngineConnection, *bodies: str) -> str:
    """All that a browser or the history was given."""
    history = client.get(f"{ROOT}{connection.pk}/history/").content.decode()
    entries = "".join(str(vars(entry)) for entry in LogEntry.objects.all())
    return "".join((*bodies, history, entries, client.get(page_of(connection)).content.decode()))


def test_every_engine_has_its_fields() -> None:
    assert ENGINE_FIELDS.keys() == ENGINES.keys()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_form_has_the_fields_of_its_engine_and_no_others(admin_pages: Client, engine: str) -> None:
    form = admin_pages.get(f"{ADD}?engine={engine}").context["adminform"].form
    common = {"name", "engine", "enabled", "allowed_groups", "seen"}
    only_read = {"generates_with", "edits_with", "forget_key"}
    assert form.fields.keys() - common == ENGINE_FIELDS[engine].names - only_read


def test_without_scripts_the_fields_follow_when_the_form_comes_back(admin_pages: Client) -> None:
    """The page was opened for another engine, and only its fields were sent."""
    data = form_of(admin_pages.get(ADD)) | {"name": "gpu", "engine": "comfyui"}
    answer = admin_pages.post(ADD, data)
    assert "ComfyUI needs the URL of its server." in answer.content.decode()
    assert "listed_models" not in answer.context["adminform"].form.fields


def test_the_key_stays_goes_and_is_replaced_and_is_never_shown(
    admin_pages: Client, studio: EngineConnection
) -> None:
    url = page_of(studio)
    bodies = [admin_pages.get(url).content.decode()]
    assert "••••••••6789" in bodies[0]
    refused = entered(admin_pages, studio, new_key="another-secret-key-4321", deadline=0)
    bodies.append(admin_pages.post(url, refused).content.decode())
    assert "another-secret" not in bodies[-1], "not sent back after a fault elsewhere"
    for change, key in (({}, KEY), ({"new_key": "another-secret-key-4321"}, "another-secret-key-4321")):
        assert admin_pages.post(url, entered(admin_pages, studio, **change)).status_code == 302
        studio.refresh_from_db()
        assert studio.key == key
    both = entered(admin_pages, studio, new_key=KEY, forget_key="on")
    assert "Either enter a new key or remove" in admin_pages.post(url, both).content.decode()
    assert admin_pages.post(url, entered(admin_pages, studio, forget_key="on")).status_code == 302
    studio.refresh_from_db()
    assert studio.key == ""
    told = everywhere(admin_pages, studio, *bodies)
    assert KEY not in told and "another-secret" not in told and studio.name in told
    assert "the key: another was entered" in told and "the key: it was removed" in told


def test_a_change_is_written_down_from_what_to_what(admin_pages: Client, studio: EngineConnection) -> None:
    data = entered(admin_pages, studio, deadline=77, parameters='{"api_token": "hidden-value"}')
    assert admin_pages.post(page_of(studio), data).status_code == 302
    message = LogEntry.objects.latest("pk").get_change_message()
    assert "deadline from 120 to 77" in message and "the parameters" in message
    assert "hidden-value" not in message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1,\n "b": }', "Line 2, column 7"),
        ('{"a": 1, "a": 2}', "stands twice"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ('{"a": 1e999}', "too large"),
        ('{"a": ' + "9" * 5000 + "}", "too large"),
        ("[" * 50_000, "nested too deeply"),
        ('{"a": ' + "[" * 40 + "]" * 40 + "}", "nested too deeply"),
        ('{"a": "\\u0000"}', "NUL"),
        ('{"a": "\\ud800"}', "surrogates"),
        ("[1]", "must be a JSON object"),
    ],
)
def test_broken_parameters_are_refused_in_words(
    admin_pages: Client, studio: EngineConnection, text: str, told: str
) -> None:
    answer = admin_pages.post(page_of(studio), entered(admin_pages, studio, parameters=text))
    assert answer.status_code == 200 and told in " ".join(
        answer.context["adminform"].form.errors["parameters"]
    )


def test_two_people_do_not_undo_each_other(admin_pages: Client, studio: EngineConnection) -> None:
    first, second = (entered(admin_pages, studio, deadline=deadline) for deadline in (50, 60))
    assert admin_pages.post(page_of(studio), first).status_code == 302
    answer = admin_pages.post(page_of(studio), second)
    assert "Somebody else has saved this" in answer.content.decode()
    studio.refresh_from_db()
    assert studio.deadline == 50


# Test connection, models


def test_a_test_says_what_it_found(admin_pages: Client, studio: EngineConnection, comfyui: ComfyUI) -> None:
    answer = admin_pages.post(f"{ROOT}{studio.pk}/test/", entered(admin_pages, studio)).content.decode()
    assert "It works." in answer and "ComfyUI 0.8.0 on cpu. 2 models." in answer
    assert "sd-tiny-random.safetensors" in answer and "It answered in" in answer
    assert comfyui.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in answer


def test_a_test_takes_what_is_entered_and_saves_nothing(admin_pages: Client, comfyui: ComfyUI) -> None:
    data = form_of(admin_pages.get(f"{ADD}?engine=comfyui")) | {"base_url": comfyui.url, "new_key": KEY}
    answer = admin_pages.post(f"{ROOT}test/", data).content.decode()
    assert "It works." in answer and KEY not in answer
    assert comfyui.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    assert EngineConnection.objects.filter(engine="comfyui").count() == 0


def test_the_stored_key_goes_to_its_own_server_alone(
    admin_pages: Client, studio: EngineConnection, comfyui: ComfyUI
) -> None:
    with ComfyUI() as other:
        data = entered(admin_pages, studio, base_url=other.url)
        for action in ("test", "models"):
            answer = admin_pages.post(f"{ROOT}{studio.pk}/{action}/", data)
            assert answer.status_code == 200
            assert ("The stored key was not sent" in answer.content.decode()) == (action == "test")
        assert other.requests and all("authorization" not in one.headers for one in other.requests)
    studio.refresh_from_db()
    assert studio.base_url == comfyui.url and studio.key == KEY


def test_a_server_that_fails_or_is_another_is_a_sentence(
    admin_pages: Client, studio: EngineConnection, comfyui: ComfyUI
) -> None:
    comfyui.struck, comfyui.fault = ".*", error_500
    answer = admin_pages.post(f"{ROOT}{studio.pk}/test/", entered(admin_pages, studio)).content.decode()
    assert "It does not work. The server at this URL cannot be reached" in answer.replace("</strong>", "")
    data = entered(admin_pages, studio, base_url="ftp://nowhere", deadline="soon")
    answer = admin_pages.post(f"{ROOT}{studio.pk}/test/", data).content.decode()
    assert "Enter an http or https URL" in answer and "Enter a whole number." in answer


def test_what_an_engine_says_is_escaped_and_cut(
    admin_pages: Client, studio: EngineConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["<script>alert(1)</script>.safetensors", *(f"model-{k}" for k in range(5000)), "x" * 100_000]
    monkeypatch.setattr("tests.fakes.comfyui_nodes.CHECKPOINTS", names)
    monkeypatch.setattr(
        "imagegen.engines.comfyui.engine.choices", lambda info, key: names if key == "ckpt_name" else []
    )
    for action in ("test", "models"):
        url = f"{ROOT}{studio.pk}/{action}/"
        answer = admin_pages.post(url, entered(admin_pages, studio)).content.decode()
        assert "&lt;script&gt;" in answer and "<script" not in answer
        assert "model-298" in answer and "model-400" not in answer and len(answer) < 100_000


# Try it


def try_it(client: Client, connection: EngineConnection, prompt: str = "a fox") -> Any:
    return client.post(f"{ROOT}{connection.pk}/try/", {"prompt": prompt})


def test_a_try_is_a_picture_like_any_other_by_this_connection_alone(
    admin_pages: Client, superuser: User, studio: EngineConnection
) -> None:
    """It is selected for nothing, and switched off."""
    EngineConnection.objects.filter(pk=studio.pk).update(enabled=False, price="0.25")
    answer = try_it(admin_pages, studio).content.decode()
    row, file = Generation.objects.get(), ImageFile.objects.get()
    assert (row.user, row.connection, row.status, row.prompt) == (superuser, studio, "succeeded", "a fox")
    assert file.owner == superuser and f"/admin/imagegen/imagefile/{file.pk}/content/" in answer
    assert "1024 × 1024" in answer and "US$ 0.25" in answer
    assert admin_pages.get(f"/api/v1/files/{file.pk}/content").status_code == 200


def test_a_try_that_fails_is_a_sentence_and_a_record(
    admin_pages: Client, studio: EngineConnection, comfyui: ComfyUI
) -> None:
    comfyui.fault = silent
    EngineConnection.objects.filter(pk=studio.pk).update(deadline=1)
    answer = try_it(admin_pages, studio).content.decode()
    assert "No picture was made." in answer and "took too long" in answer
    assert Generation.objects.get().status == "failed"
    for prompt in ("", " ", "x" * 5000):
        assert "No picture was made." in try_it(admin_pages, studio, prompt).content.decode()
    assert Generation.objects.count() == 1


def test_no_try_where_pictures_are_switched_off(admin_pages: Client, studio: EngineConnection) -> None:
    ImageSettings.objects.current()
    ImageSettings.objects.update(generation_enabled=False)
    assert "switched off" in try_it(admin_pages, studio).content.decode()


def test_a_try_needs_the_permission_to_make_pictures(
    staff: Callable[..., Client], studio: EngineConnection, comfyui: ComfyUI
) -> None:
    assert "You may not make pictures." in try_it(staff("change_engineconnection"), studio).content.decode()
    assert not Generation.objects.exists() and not comfyui.requests
    allowed = staff("change_engineconnection", "image_generation")
    assert "easel-picture" in try_it(allowed, studio).content.decode()


# Who may

ACTIONS = ("test/", "{pk}/test/", "{pk}/models/", "models/", "{pk}/try/", "{pk}/workflow/generate/")


@pytest.mark.parametrize("action", ACTIONS)
def test_nobody_else_may(
    client_for: Any, member: User, staff: Callable[..., Client], studio: EngineConnection, comfyui: ComfyUI,
    action: str,
) -> None:  # fmt: skip
    url = ROOT + action.format(pk=studio.pk)
    clients = [Client(), staff("view_engineconnection", "image_generation")]
    of_member = Client()
    of_member.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
    for client, status in zip([*clients, of_member], (302, 403, 302), strict=True):
        assert client.post(url, {"prompt": "a fox"}).status_code == status, url
    assert not comfyui.requests and not Generation.objects.exists()


@pytest.mark.parametrize("action", ACTIONS)
def test_a_foreign_page_cannot(
    superuser: User, studio: EngineConnection, comfyui: ComfyUI, action: str
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(superuser, backend="django.contrib.auth.backends.ModelBackend")
    url = ROOT + action.format(pk=studio.pk)
    assert client.post(url, {"prompt": "a fox"}).status_code == 403
    assert (
        client.post(url, {"prompt": "a fox"}, headers={"origin": "https://evil.example"}).status_code == 403
    )
    if "workflow" not in action:
        assert client.get(url).status_code == 405
    assert not comfyui.requests and not Generation.objects.exists()


@pytest.mark.parametrize("action", ["999/test/", "999/models/", "999/try/", "999/workflow/generate/"])
def test_what_is_not_there(admin_pages: Client, action: str) -> None:
    assert admin_pages.post(ROOT + action, {}).status_code == 404


def test_who_may_only_look_sees_no_key(staff: Callable[..., Client], studio: EngineConnection) -> None:
    answer = staff("view_engineconnection").get(page_of(studio))
    page = answer.content.decode()
    assert answer.status_code == 200 and "6789" not in page and KEY not in page
    assert studio.encrypted_key not in page and "Test connection" not in page


def test_who_may_not_look_sees_nothing_in_the_sidebar(staff: Callable[..., Client]) -> None:
    nothing = staff().get("/admin/").content.decode()
    something = staff("view_engineconnection").get("/admin/").content.decode()
    assert ROOT not in nothing and ROOT in something
    assert "/admin/imagegen/imagesettings/" not in something
