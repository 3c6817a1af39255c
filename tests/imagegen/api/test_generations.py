"""POST generations over HTTP: every rule of the contract's table."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client
from django.utils import timezone
from PIL import Image

from imagegen.access import tokens
from imagegen.models import EngineConnection, Generation, ImageFile, ImageSettings
from tests.fakes.litellm import KEY, LiteLLM
from tests.fakes.server import cut_in_body, error_500, error_html, rate_limited, silent

URLS = ["/api/images/generations", "/api/v1/images/generations"]
URL = URLS[0]


def post(client: Client, body: Any, path: str = URL, **kwargs: Any) -> Any:
    return client.post(path, body, content_type="application/json", **kwargs)


def assert_error(response: Any, status: int, code: str = "", field: str = "") -> dict[str, Any]:
    assert response.status_code == status, response.content
    body: dict[str, Any] = response.json()
    assert set(body) <= {"detail", "code", "errors"} and body["detail"] and body["code"]
    assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Trace-Id"])
    if code:
        assert body["code"] == code
    if field:
        assert list(body["errors"]) == [field]
        assert body["errors"][field]
    return body


@pytest.mark.parametrize("path", URLS)
def test_a_list_with_one_entry_per_picture(api: Client, member: User, path: str) -> None:
    response = post(api, {"prompt": "A serene lake", "size": "320x192", "n": 2}, path)
    assert response.status_code == 200
    entries = response.json()
    assert len(entries) == 2
    for entry in entries:
        assert set(entry) == {"id", "url", "name", "content_type", "width", "height"}
        assert entry["url"] == f"/api/v1/files/{entry['id']}/content"
        assert (entry["width"], entry["height"]) == (320, 192)
        served = api.get(entry["url"])
        assert served.headers["Content-Type"] == entry["content_type"]
        image = Image.open(BytesIO(b"".join(served.streaming_content)))
        assert image.size == (320, 192)
    assert "X-Images-Failed" not in response.headers
    assert {file.owner for file in ImageFile.objects.all()} == {member}


def test_unknown_fields_are_ignored(api: Client) -> None:
    assert post(api, {"prompt": "a lake", "quality": "hd", "user": 7, "x": None}).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "  "}, "prompt"),
        ({"prompt": 1}, "prompt"),
        ({"prompt": "x" * 32_001}, "prompt"),
        ({"prompt": "a\0"}, "prompt"),
        ({"prompt": "a\udfff"}, "prompt"),
        ({"prompt": "a", "n": 0}, "n"),
        ({"prompt": "a", "n": 11}, "n"),
        ({"prompt": "a", "n": "2"}, "n"),
        ({"prompt": "a", "n": True}, "n"),
        ({"prompt": "a", "n": 1.5}, "n"),
        ({"prompt": "a", "size": "63x64"}, "size"),
        ({"prompt": "a", "size": "64x4097"}, "size"),
        ({"prompt": "a", "size": "512"}, "size"),
        ({"prompt": "a", "size": "512X512"}, "size"),
        ({"prompt": "a", "size": "512x512x3"}, "size"),
        ({"prompt": "a", "size": " 512x512"}, "size"),
        ({"prompt": "a", "size": "٥١٢x٥١٢"}, "size"),
        ({"prompt": "a", "size": "-512x512"}, "size"),
        ({"prompt": "a", "size": 512}, "size"),
        ({"prompt": "a", "size": "auto"}, "size"),
        ({"prompt": "a", "steps": 0}, "steps"),
        ({"prompt": "a", "steps": 151}, "steps"),
        ({"prompt": "a", "steps": "20"}, "steps"),
        ({"prompt": "a", "negative_prompt": 5}, "negative_prompt"),
        ({"prompt": "a", "negative_prompt": "x" * 32_001}, "negative_prompt"),
        ({"prompt": "a", "seed": -1}, "seed"),
        ({"prompt": "a", "seed": "7"}, "seed"),
        ({"prompt": "a", "model": 3}, "model"),
        ({"prompt": "a", "model": "no-such-model"}, "model"),
        ({"prompt": "a", "model": "../../admin/delete?x="}, "model"),
        ({"prompt": "a", "metadata": "x"}, "metadata"),
        ({"prompt": "a", "metadata": {"chat_id": 7}}, "metadata.chat_id"),
        ({"prompt": "a", "metadata": {"chat_id": "x" * 256}}, "metadata.chat_id"),
        ({"prompt": "a", "metadata": {"k": "x" * 4096}}, "metadata"),
        ({"prompt": "a", "metadata": {"k": "\0"}}, "metadata"),
    ],
)
def test_a_bad_field_is_named(api: Client, body: dict[str, Any], field: str) -> None:
    assert_error(post(api, body), 400, "invalid", field)
    assert not Generation.objects.exists()


@pytest.mark.parametrize("field", ["model", "size", "n", "steps", "negative_prompt", "seed", "metadata"])
def test_null_is_absent(api: Client, field: str) -> None:
    assert post(api, {"prompt": "a", field: None}).status_code == 200


@pytest.mark.parametrize("body", [[], "a", None, 3])
def test_a_body_that_is_no_object(api: Client, body: Any) -> None:
    assert_error(post(api, body), 400)


@pytest.mark.parametrize("raw", ["", "{", "[" * 5000, b"\xff"])
def test_a_body_that_is_no_json(api: Client, raw: Any) -> None:
    assert_error(post(api, raw), 400)


def test_another_content_type_is_415(api: Client) -> None:
    assert_error(api.post(URL, "prompt=a", content_type="application/x-www-form-urlencoded"), 415)


def test_get_is_405(api: Client) -> None:
    assert_error(api.get(URL), 405)


def test_too_large_a_body_is_413(api: Client) -> None:
    assert_error(post(api, {"prompt": "a"}, CONTENT_LENGTH=str(71 * 1024 * 1024)), 413)


def test_an_unknown_model_names_what_there_is(api: Client) -> None:
    detail = assert_error(post(api, {"prompt": "a", "model": "dall-e-9"}), 400)["detail"]
    assert "auto" in detail and "toon-head" in detail


class TestWhoMay:
    def test_nobody_is_401(self, client_for: Any, db: None) -> None:
        response = post(client_for(None), {"prompt": "a"})
        assert_error(response, 401)
        assert response.headers["WWW-Authenticate"].startswith("Bearer")

    @pytest.mark.parametrize("body", [{"prompt": "a"}, {"prompt": ""}, "{"])
    def test_without_the_permission_403_before_the_body(
        self, client_for: Any, outsider: User, body: Any
    ) -> None:
        assert "errors" not in assert_error(post(client_for(outsider), body), 403)

    def test_an_expired_token_or_one_without_scope_is_401(self, client_for: Any, member: User) -> None:
        expired = tokens.issue(user=member).access_token
        expired.set_exp(lifetime=-timedelta(seconds=1))
        bare = tokens.issue(user=member).access_token
        del bare.payload["scope"]
        for token in (expired, bare, "nonsense"):
            response = post(client_for(None), {"prompt": "a"}, headers={"authorization": f"Bearer {token}"})
            assert_error(response, 401)

    def test_the_cookie_needs_its_own_origin(self, client_for: Any, member: User) -> None:
        client = client_for(None)
        client.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
        client.get("/api/auth/session")
        proof = {"x-csrftoken": client.cookies["csrftoken"].value}
        assert_error(post(client, {"prompt": "a"}), 403)
        assert_error(post(client, {"prompt": "a"}, headers={**proof, "origin": "https://evil.example"}), 403)
        assert post(client, {"prompt": "a"}, headers=proof).status_code == 200

    def test_switched_off_is_403_for_admins_too(self, client_for: Any, superuser: User) -> None:
        ImageSettings.objects.current()
        ImageSettings.objects.update(generation_enabled=False)
        assert_error(post(client_for(superuser), {"prompt": "a"}), 403, "disabled")

    def test_a_connection_for_other_groups(self, api: Client, client_for: Any, superuser: User) -> None:
        group = Group.objects.create(name="Others")
        EngineConnection.objects.get(name="built-in").allowed_groups.add(group)
        assert_error(post(api, {"prompt": "a"}), 403, "permission_denied")
        detail = assert_error(post(api, {"prompt": "a", "model": "toon-head"}), 400)["detail"]
        assert "Available to you: none" in detail
        assert post(client_for(superuser), {"prompt": "a"}).status_code == 200


class TestLinksAndSeeds:
    def test_chat_and_message_link_the_files(self, api: Client) -> None:
        metadata = {"chat_id": "c-1", "message_id": "m-1", "tool": {"name": "x"}}
        post(api, {"prompt": "a", "n": 2, "metadata": metadata})
        assert {(f.chat_id, f.message_id) for f in ImageFile.objects.all()} == {("c-1", "m-1")}
        generation = Generation.objects.get()
        assert (generation.chat_id, generation.message_id) == ("c-1", "m-1")
        assert generation.parameters["metadata"] == {"tool": {"name": "x"}}

    def test_picture_k_has_seed_plus_k(self, api: Client) -> None:
        post(api, {"prompt": "a fox", "n": 3, "seed": 40})
        seeds = ImageFile.objects.order_by("position").values_list("meta__seed", flat=True)
        assert list(seeds) == [40, 41, 42]
        sums = set(ImageFile.objects.values_list("sha256", flat=True))
        post(api, {"prompt": "a fox", "seed": 41})
        assert ImageFile.objects.order_by("-created_at")[0].sha256 in sums

    def test_without_a_size_the_configured_one(self, api: Client) -> None:
        ImageSettings.objects.update(default_size="256x128")
        for body in ({"prompt": "a"}, {"prompt": "a", "size": ""}):
            (entry,) = post(api, body).json()
            assert (entry["width"], entry["height"]) == (256, 128)


class TestIdempotency:
    headers = {"idempotency-key": "one"}

    def test_a_repeat_gets_the_same_answer(self, api: Client) -> None:
        first = post(api, {"prompt": "a", "n": 3}, headers=self.headers)
        again = post(api, {"n": 3, "prompt": "a"}, headers=self.headers)
        assert first.json() == again.json() and len(again.json()) == 3
        assert Generation.objects.count() == 1

    def test_another_body_or_endpoint_is_422(self, api: Client) -> None:
        post(api, {"prompt": "a"}, headers=self.headers)
        assert_error(post(api, {"prompt": "b"}, headers=self.headers), 422)
        path = "/api/mind/profile/generatePortrait"
        assert post(api, {"prompt": "a"}, path, headers=self.headers).status_code == 422

    def test_while_it_runs_409(self, api: Client) -> None:
        post(api, {"prompt": "a"}, headers=self.headers)
        Generation.objects.update(status="running", finished_at=None)
        response = post(api, {"prompt": "a"}, headers=self.headers)
        assert_error(response, 409)
        assert response.headers["Retry-After"]

    def test_a_failure_is_repeated_too(self, api: Client, select: Any) -> None:
        with LiteLLM() as server:
            select("up", "openai", "generate", base_url=server.url, key=KEY, default_model="grok-2-image")
            first = post(api, {"prompt": "[500] a"}, headers=self.headers)
            sent = len(server.requests)
            again = post(api, {"prompt": "[500] a"}, headers=self.headers)
            assert len(server.requests) == sent
        assert (first.status_code, first.json()) == (again.status_code, again.json())

    def test_after_a_crash_it_is_closed_as_possibly_charged(self, api: Client) -> None:
        post(api, {"prompt": "a"}, headers=self.headers)
        past = timezone.now() - timedelta(seconds=1)
        Generation.objects.update(status="running", finished_at=None, deadline_at=past)
        assert_error(post(api, {"prompt": "a"}, headers=self.headers), 500, "interrupted")
        row = Generation.objects.get()
        assert (row.status, row.error_code, row.may_have_charged) == ("failed", "interrupted", True)


class TestEngineFaults:
    @pytest.fixture
    def server(self, select: Any) -> Any:
        with LiteLLM() as server:
            select(
                "up", "openai", "generate", base_url=server.url, key=KEY,
                default_model="grok-imagine-image", deadline=2, trusted_origins=[server.files.url],
            )  # fmt: skip
            yield server

    @pytest.mark.parametrize(
        ("fault", "code"),
        [
            (error_500, "engine_unavailable"),
            (error_html, "engine_unavailable"),
            (cut_in_body, "engine_unavailable"),
            (silent, "engine_timeout"),
            (rate_limited(), "engine_rate_limited"),
        ],
    )
    def test_each_has_its_code(self, api: Client, server: LiteLLM, fault: Any, code: str) -> None:
        server.fault = fault
        body = assert_error(post(api, {"prompt": "a"}), 400, code)
        assert "127.0.0.1" not in body["detail"] and KEY not in body["detail"]
        row = Generation.objects.get()
        assert (row.status, row.error_code, row.pictures_failed) == ("failed", code, 1)
        assert not ImageFile.objects.exists()

    def test_retry_after_is_passed_on(self, api: Client, server: LiteLLM) -> None:
        server.fault = rate_limited(**{"retry-after": "17"})
        response = post(api, {"prompt": "a"})
        assert_error(response, 400, "engine_rate_limited")
        assert response.headers["Retry-After"] == "17"

    @pytest.mark.parametrize("prompt", ["[mod] a", "[400] a"])
    def test_a_refused_prompt(self, api: Client, server: LiteLLM, prompt: str) -> None:
        assert_error(post(api, {"prompt": prompt, "model": "up/gpt-image-1"}), 400, "prompt_rejected")

    def test_a_wrong_key(self, api: Client, server: LiteLLM) -> None:
        connection = EngineConnection.objects.get(name="up")
        connection.key = "sk-wrong"
        connection.save()
        body = assert_error(post(api, {"prompt": "a"}), 400, "engine_misconfigured")
        assert "administrator" in body["detail"]

    def test_some_of_several_failed(self, api: Client, server: LiteLLM) -> None:
        """One picture's link is dead: the others are kept, and the header counts."""
        answered = server.files.reply

        def first_is_gone(request: Any) -> Any:
            gone = request.path == min(server.files.files)
            return type(answered(request))(404) if gone else answered(request)

        server.files.reply = first_is_gone  # type: ignore[method-assign]
        response = post(api, {"prompt": "a", "n": 3, "size": "64x64"})
        assert response.status_code == 200
        assert len(response.json()) == 2
        assert response.headers["X-Images-Failed"] == "1"
        row = Generation.objects.get()
        assert (row.status, row.pictures_failed, row.files.count()) == ("partial", 1, 2)

    def test_a_picture_is_cut_to_the_asked_size(self, api: Client, server: LiteLLM) -> None:
        (entry,) = post(api, {"prompt": "a", "size": "300x200"}).json()
        assert (entry["width"], entry["height"], entry["content_type"]) == (300, 200, "image/jpeg")
        file = ImageFile.objects.get()
        assert (file.native_width, file.native_height) == (1254, 836)
        sent = server.requests[-1].json
        assert sent["aspect_ratio"] == "3:2" and "size" not in sent

    def test_nothing_is_left_in_incoming(
        self, api: Client, server: LiteLLM, settings: Any, tmp_path: Path
    ) -> None:
        settings.EASEL_INCOMING_DIR = tmp_path
        post(api, {"prompt": "a"})
        post(api, {"prompt": "[500] a"})
        assert list(tmp_path.iterdir()) == []


def test_a_generation_makes_at_most_this_many_queries(api: Client, django_assert_num_queries: Any) -> None:
    """User with the permission; settings; connections; generation; files and generation: 6, and the begin
    and commit of one transaction. However many pictures. Rates, 2, are off in tests."""
    post(api, {"prompt": "a"})
    with django_assert_num_queries(8):
        post(api, {"prompt": "b", "n": 5})


def test_a_picture_waits_for_the_disk_once(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """And opens one transaction, for its end: the evidence before it is one statement."""
    forced: list[int] = []
    monkeypatch.setattr(os, "fsync", forced.append)
    commits: list[None] = []
    monkeypatch.setattr(transaction.Atomic, "__exit__", _counting(commits, transaction.Atomic.__exit__))
    post(api, {"prompt": "a", "size": "64x64"})
    assert len(forced) == 1 and len(commits) == 1


def _counting(calls: list[None], function: Any) -> Any:
    def counted(*args: Any) -> Any:
        calls.append(None)
        return function(*args)

    return counted
