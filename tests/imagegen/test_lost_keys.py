"""A connection whose key cannot be decrypted: everything says so, and nothing breaks."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.test import Client

from imagegen.models import EngineConnection, Generation, ImageSettings
from imagegen.models.settings import Fallback
from tests.fakes.hosted import KEY as OPENAI_KEY
from tests.fakes.hosted import OpenAIAPI
from tests.fakes.server import FakeServer
from tests.imagegen.admin.conftest import BACKEND, form_of
from tests.imagegen.engines.cases import CASES

ROOT = "/admin/imagegen/engineconnection/"
TOLD = "The stored key cannot be decrypted"
DOTS, ENTERED = "••••••••", "another-key-0123456789"

Lost = tuple[EngineConnection, FakeServer]


@pytest.fixture(params=CASES)
def lost(request: pytest.FixtureRequest, select: Any, settings: Any) -> Any:
    """The connection that is selected for all, and its server, which was not asked since."""
    case = CASES[request.param]
    with case.server() as server:
        connection = select(
            "lost", request.param, "generate", "edit", "portrait", key=case.key, base_url=server.url,
            default_model=case.model, **case.connection,
        )  # fmt: skip
        settings.EASEL_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
        yield connection, server


@pytest.fixture
def pages(superuser: Any) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(superuser, backend=BACKEND)
    return client


def page_of(connection: EngineConnection) -> str:
    return f"{ROOT}{connection.pk}/change/"


def ask(client: Client) -> Any:
    return client.post("/api/images/generations", {"prompt": "a fox"}, content_type="application/json")


def manage(*arguments: str) -> str:
    out = io.StringIO()
    call_command("connections", *arguments, stdout=out)
    return out.getvalue()


def test_the_list_and_the_form_say_what_to_do(pages: Client, lost: Lost) -> None:
    assert "its key cannot be decrypted: enter it again" in pages.get(ROOT).content.decode()
    page = pages.get(page_of(lost[0])).content.decode()
    assert TOLD in page and "Enter the key again" in page and "EASEL_ENCRYPTION_KEYS" in page


def test_a_new_key_puts_it_right(pages: Client, lost: Lost) -> None:
    connection = lost[0]
    url = page_of(connection)
    assert pages.post(url, form_of(pages.get(url)) | {"new_key": ENTERED}).status_code == 302
    connection.refresh_from_db()
    assert connection.key == ENTERED
    assert TOLD not in pages.get(url).content.decode()
    assert "cannot be decrypted" not in pages.get(ROOT).content.decode()


def test_it_may_be_removed_and_anything_else_be_changed(pages: Client, lost: Lost) -> None:
    """The ciphertext stays until then: the encryption key may come back."""
    connection = lost[0]
    url, before = page_of(connection), connection.encrypted_key
    assert pages.post(url, form_of(pages.get(url)) | {"deadline": 77}).status_code == 302
    connection.refresh_from_db()
    assert (connection.encrypted_key, connection.deadline) == (before, 77)
    assert pages.post(url, form_of(pages.get(url)) | {"forget_key": "on"}).status_code == 302
    connection.refresh_from_db()
    assert connection.encrypted_key == ""


@pytest.mark.parametrize("action", ["test", "models", "try"])
def test_what_is_tried_says_it(pages: Client, lost: Lost, action: str) -> None:
    connection, server = lost
    data = form_of(pages.get(page_of(connection))) | {"prompt": "a fox"}
    answer = pages.post(f"{ROOT}{connection.pk}/{action}/", data)
    assert answer.status_code == 200
    assert "the stored key cannot be decrypted" in answer.content.decode().lower()
    assert not server.requests, "nothing is asked without the key"


def test_another_key_can_be_tried(pages: Client, lost: Lost) -> None:
    connection, server = lost
    key = CASES[connection.engine].key
    data = form_of(pages.get(page_of(connection))) | {"new_key": key}
    answer = pages.post(f"{ROOT}{connection.pk}/test/", data).content.decode()
    assert "It works." in answer and server.requests


def test_at_another_server_it_is_withheld_as_any_other(pages: Client, lost: Lost) -> None:
    with FakeServer() as other:
        data = form_of(pages.get(page_of(lost[0]))) | {"base_url": other.url}
        answer = pages.post(f"{ROOT}{lost[0].pk}/test/", data).content.decode()
    assert "The stored key was not sent" in answer and TOLD not in answer


def test_other_pages_open(pages: Client, lost: Lost) -> None:
    connection = lost[0]
    own = ["history/", *(["workflow/generate/"] if connection.engine == "comfyui" else [])]
    urls = ["/admin/", "/admin/imagegen/imagesettings/", "/admin/imagegen/usage/"]
    urls += [f"{ROOT}{connection.pk}/{path}" for path in own]
    for url in urls:
        assert pages.get(url, follow=True).status_code == 200, url


def test_a_generation_is_misconfigured(api: Client, lost: Lost) -> None:
    answer = ask(api)
    assert answer.status_code == 400 and answer.json()["code"] == "engine_misconfigured"
    assert "decrypt" not in answer.content.decode()
    row = Generation.objects.get()
    assert row.status == "failed" and not row.may_have_charged
    assert "the stored key cannot be decrypted" in row.error_detail
    assert not lost[1].requests


def test_the_next_connection_takes_over(api: Client, lost: Lost, select: Any) -> None:
    with OpenAIAPI() as server:
        second = select("second", "openai", key=OPENAI_KEY, base_url=server.url, default_model="gpt-image-2")
        Fallback.objects.create(settings=ImageSettings.objects.current(), connection=second)
        assert ask(api).status_code == 200
    assert Generation.objects.get().connection_name == "second"


@pytest.mark.parametrize("path", ["models", "models?operation=edit", "config"])
def test_listings_are_answered(
    client_for: Callable[..., Client], superuser: Any, lost: Lost, path: str
) -> None:
    answer = client_for(superuser).get(f"/api/v1/images/{path}")
    assert answer.status_code == 200, answer.content
    if path == "models" and lost[0].default_model:
        assert lost[0].default_model in answer.content.decode()
    assert not lost[1].requests


def test_the_api_shows_a_key_that_may_be_sent_back(
    client_for: Callable[..., Client], superuser: Any, lost: Lost
) -> None:
    client = client_for(superuser)
    before = lost[0].encrypted_key
    shown = client.get("/api/v1/images/config").json()
    assert DOTS in shown.values()
    answer = client.post("/api/v1/images/config/update", shown, content_type="application/json")
    assert answer.status_code == 200 and answer.json() == shown
    lost[0].refresh_from_db()
    assert lost[0].encrypted_key == before
    sent = {"engine": lost[0].engine, "url": lost[0].base_url, "key": DOTS}
    answer = client.post("/api/v1/images/verify", sent, content_type="application/json")
    assert answer.status_code == 400 and TOLD in answer.content.decode()


def test_the_command_names_it(lost: Lost) -> None:
    assert "KEY CANNOT BE DECRYPTED" in manage("list")
    assert '"key_is_lost": true' in manage("list", "--json")
    with pytest.raises(CommandError, match="the stored key cannot be decrypted"):
        manage("test", "lost")
    manage("update", "lost", "--deadline", "77")
    lost[0].refresh_from_db()
    assert lost[0].deadline == 77 and lost[0].key_is_lost


def test_the_command_takes_another_key(lost: Lost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEW", ENTERED)
    manage("update", "lost", "--api-key-env", "NEW")
    lost[0].refresh_from_db()
    assert lost[0].key == ENTERED
    assert "CANNOT" not in manage("list")


def test_what_watches_goes_on(client: Client, lost: Lost, settings: Any, api: Client) -> None:
    settings.EASEL_METRICS_TOKEN = "a-token-for-tests-alone"
    ask(api)
    assert client.get("/readyz").status_code == 200
    answer = client.get("/metrics", headers={"authorization": "Bearer a-token-for-tests-alone"})
    assert answer.status_code == 200
    counted = [line for line in answer.content.decode().splitlines() if 'connection="lost"' in line]
    assert any("engine_misconfigured" in line for line in counted)
