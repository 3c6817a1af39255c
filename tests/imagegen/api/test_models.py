"""GET models over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from imagegen import routing
from imagegen.models import ImageSettings
from tests.fakes.litellm import KEY, LiteLLM

URLS = ["/api/images/models", "/api/v1/images/models"]


@pytest.mark.parametrize("url", URLS)
def test_what_the_built_in_engine_has(api: Client, url: str) -> None:
    models = api.get(url).json()
    assert models[0] == {
        "id": "auto",
        "name": models[0]["name"],
        "connection": "built-in",
        "engine": "dicebear",
    }
    assert {"toon-head"} < {model["id"] for model in models}


def test_nothing_built_in_edits(api: Client) -> None:
    assert api.get(URLS[0] + "?operation=edit").json() == []


def test_an_unknown_operation_is_400(api: Client) -> None:
    response = api.get(URLS[0] + "?operation=paint")
    assert response.status_code == 400 and list(response.json()["errors"]) == ["operation"]


def test_live_selected_first_then_stale_while_the_engine_is_down(
    api: Client, select: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LiteLLM() as server:
        select("lite", "openai", "generate", base_url=server.url, key=KEY, default_model="my-own")
        models = api.get(URLS[0]).json()
        asked = len(server.requests)
        assert api.get(URLS[0]).json() == models
        assert len(server.requests) == asked
    ids = [model["id"] for model in models if model["connection"] == "lite"]
    assert models[0]["id"] == "my-own" and {"grok-imagine-image", "gpt-image-1"} < set(ids)
    monkeypatch.setattr(routing, "FRESH_SECONDS", -1)
    assert api.get(URLS[0]).json() == models


def test_only_what_the_caller_may_use(api: Client, select: Any, client_for: Any, superuser: User) -> None:
    secret = select("secret", "dicebear")
    secret.allowed_groups.add(Group.objects.create(name="Few"))
    assert {model["connection"] for model in api.get(URLS[0]).json()} == {"built-in"}
    assert "secret" in {model["connection"] for model in client_for(superuser).get(URLS[0]).json()}


def test_who_may(client_for: Any, outsider: User, superuser: User) -> None:
    assert client_for(None).get(URLS[0]).status_code == 401
    assert client_for(outsider).get(URLS[0]).status_code == 403
    ImageSettings.objects.update(generation_enabled=False)
    assert client_for(superuser).get(URLS[0]).status_code == 403


def test_a_foreign_origin_with_the_cookie_is_refused(client_for: Any, member: User) -> None:
    client = client_for(None)
    client.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(URLS[0]).status_code == 200
    assert client.get(URLS[0], headers={"origin": "https://evil.example"}).status_code == 403
