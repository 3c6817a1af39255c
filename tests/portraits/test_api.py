"""Family A over HTTP: every row of the contract's table."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from io import BytesIO
from typing import Any
from unittest.mock import Mock

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.storage import Storage, default_storage
from django.test import Client
from django.utils import timezone
from PIL import Image

from imagegen.access import tokens
from imagegen.access.models import issue_key
from imagegen.models import EngineConnection, Generation, ImageFile, ImageSettings
from imagegen.waiting import room
from tests.conftest import PASSWORD
from tests.fakes.litellm import KEY, LiteLLM
from tests.fakes.server import error_500, silent

PORTRAIT = "/api/mind/profile/generatePortrait"
PROMPT = "/api/mind/profile/generatePortraitPrompt"
PIXIE = "A cheerful watercolor portrait of a pixie"


def post(client: Client, path: str, body: Any, **kwargs: Any) -> Any:
    return client.post(path, body, content_type="application/json", **kwargs)


def assert_error(response: Any, status: int) -> dict[str, str]:
    """Family A's shape, with the trace id of the response."""
    assert response.status_code == status, response.content
    body = response.json()
    assert set(body) == {"error", "details", "txId"}
    assert all(isinstance(value, str) and value for value in body.values())
    assert body["txId"] == response.headers["X-Trace-Id"]
    assert re.fullmatch("[0-9a-f]{32}", body["txId"])
    return body


class TestPortrait:
    def test_one_512_rgb_png_and_its_link(self, api: Client) -> None:
        response = post(api, PORTRAIT, {"prompt": f"  {PIXIE} "})
        assert response.status_code == 200
        assert set(response.json()) == {"portrait"}
        portrait = response.json()["portrait"]
        assert set(portrait) == {"imageUrl", "imageBase64", "prompt"}
        assert portrait["prompt"] == f"  {PIXIE} "
        today = f"{timezone.now():%Y-%m-%d}"
        assert re.fullmatch(rf"/api/mind/storage/temp/{today}_[a-z0-9]{{16}}\.png", portrait["imageUrl"])
        data = base64.b64decode(portrait["imageBase64"], validate=True)
        image = Image.open(BytesIO(data))
        assert (image.format, image.size, image.mode, image.info) == ("PNG", (512, 512), "RGB", {})
        served = api.get(portrait["imageUrl"])
        assert served.headers["Content-Type"] == "image/png"
        assert b"".join(served.streaming_content) == data

    def test_it_is_not_fetched_back_from_the_storage(self, api: Client, monkeypatch: Any) -> None:
        monkeypatch.setattr(Storage, "open", Mock(side_effect=AssertionError))
        assert post(api, PORTRAIT, {"prompt": PIXIE}).status_code == 200

    def test_the_row_tells_the_story(self, api: Client, member: User) -> None:
        response = post(api, PORTRAIT, {"prompt": PIXIE})
        generation = Generation.objects.get()
        assert generation.user == member
        assert (generation.operation, generation.status) == ("portrait", "succeeded")
        assert (generation.engine, generation.connection_name) == ("dicebear", "built-in")
        assert generation.trace_id == response.headers["X-Trace-Id"]
        assert generation.prompt == PIXIE
        assert generation.finished_at is not None
        file = ImageFile.objects.get()
        assert file.owner == member and file.generation == generation
        assert file.expires_at is not None and file.expires_at - timezone.now() > timedelta(days=6)
        assert file.file.size == file.size

    def test_glasses_and_white_hair_reach_the_engine(self, api: Client) -> None:
        one = post(api, PORTRAIT, {"prompt": "An old woman with glasses and white hair"}).json()
        other = post(api, PORTRAIT, {"prompt": "An old woman with white hair"}).json()
        assert one["portrait"]["imageBase64"] != other["portrait"]["imageBase64"]

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"prompt": None},
            {"prompt": ""},
            {"prompt": " \n\t "},
            {"prompt": 7},
            {"prompt": True},
            {"prompt": ["a pixie"]},
            {"prompt": {"text": "a pixie"}},
            {"prompt": "x" * 4001},
            {"prompt": "a\0b"},
            {"prompt": "\ud800"},
            [],
            ["a pixie"],
            "a pixie",
            None,
            7,
        ],
    )
    def test_a_bad_prompt_is_400(self, api: Client, body: Any) -> None:
        assert_error(post(api, PORTRAIT, body), 400)
        assert not Generation.objects.exists()

    def test_4000_characters_count_after_trimming(self, api: Client) -> None:
        prompt = f"  {'x' * 4000}  "
        assert post(api, PORTRAIT, {"prompt": prompt}).json()["portrait"]["prompt"] == prompt

    @pytest.mark.parametrize("raw", ["", "{", "prompt=a", '{"prompt": NaN}', "[" * 5000, b"\xff\xfe"])
    def test_a_body_that_is_no_json_is_400(self, api: Client, raw: Any) -> None:
        assert_error(post(api, PORTRAIT, raw), 400)

    @pytest.mark.parametrize(
        "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
    )
    def test_a_wrong_content_type_is_400(self, api: Client, kind: str) -> None:
        assert_error(api.post(PORTRAIT, '{"prompt": "a pixie"}', content_type=kind), 400)

    def test_get_is_405(self, api: Client) -> None:
        assert_error(api.get(PORTRAIT), 405)

    def test_an_unknown_path_is_404_in_this_familys_shape(self, api: Client) -> None:
        assert_error(api.get("/api/mind/nothing"), 404)
        assert_error(api.get(PORTRAIT + "/"), 404)

    def test_too_large_a_body_is_413(self, api: Client) -> None:
        huge = {"CONTENT_LENGTH": str(71 * 1024 * 1024)}
        assert_error(post(api, PORTRAIT, {"prompt": "a"}, **huge), 413)


class TestWhoMay:
    def test_nobody_is_403(self, client_for: Any, db: None) -> None:
        assert_error(post(client_for(None), PORTRAIT, {"prompt": PIXIE}), 403)

    def test_without_the_permission_403_before_the_body_is_looked_at(
        self, client_for: Any, outsider: User
    ) -> None:
        for body in ({"prompt": PIXIE}, {"prompt": ""}, "{"):
            problem = assert_error(post(client_for(outsider), PORTRAIT, body), 403)
            assert "prompt" not in problem["details"]

    def test_an_expired_token_is_403(self, client_for: Any, member: User) -> None:
        token = tokens.issue(user=member).access_token
        token.set_exp(lifetime=-timedelta(seconds=1))
        assert_error(
            post(client_for(None), PORTRAIT, {"prompt": PIXIE}, headers={"authorization": f"Bearer {token}"}),
            403,
        )

    def test_a_token_without_the_scope_is_403(self, client_for: Any, member: User) -> None:
        token = tokens.issue(user=member).access_token
        del token.payload["scope"]
        assert_error(
            post(client_for(None), PORTRAIT, {"prompt": PIXIE}, headers={"authorization": f"Bearer {token}"}),
            403,
        )

    def test_the_permission_may_come_to_the_user_alone(self, client_for: Any, outsider: User) -> None:
        outsider.user_permissions.add(Permission.objects.get(codename="image_generation"))
        assert post(client_for(outsider), PORTRAIT, {"prompt": PIXIE}).status_code == 200

    def test_superusers_have_it(self, client_for: Any, superuser: User) -> None:
        assert post(client_for(superuser), PORTRAIT, {"prompt": PIXIE}).status_code == 200

    def test_an_api_key_will_do(self, client_for: Any, member: User) -> None:
        _, key = issue_key(user=member, name="ci")
        response = post(
            client_for(None), PORTRAIT, {"prompt": PIXIE}, headers={"authorization": f"Bearer {key}"}
        )
        assert response.status_code == 200

    def test_switched_off_is_403_for_admins_too(self, client_for: Any, superuser: User) -> None:
        ImageSettings.objects.current()
        ImageSettings.objects.update(generation_enabled=False)
        assert_error(post(client_for(superuser), PORTRAIT, {"prompt": PIXIE}), 403)

    def test_the_cookie_needs_its_own_origin(self, client_for: Any, member: User) -> None:
        client = client_for(None)
        client.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
        assert "connect.sid" in client.cookies
        client.get("/api/auth/session")
        proof = {"x-csrftoken": client.cookies["csrftoken"].value}
        assert_error(post(client, PORTRAIT, {"prompt": PIXIE}), 403)
        assert_error(
            post(client, PORTRAIT, {"prompt": PIXIE}, headers={**proof, "origin": "https://evil.example"}),
            403,
        )
        ours = {**proof, "origin": "http://testserver"}
        assert post(client, PORTRAIT, {"prompt": PIXIE}, headers=ours).status_code == 200


class TestLimits:
    def test_over_the_users_rate_429(self, api: Client, settings: Any) -> None:
        settings.EASEL_RATE_USER = 2
        statuses = [api.get(PROMPT).status_code for _ in range(6)]
        assert statuses[:2] == [200, 200] and 429 in statuses
        response = next(r for r in (api.get(PROMPT) for _ in range(20)) if r.status_code == 429)
        assert_error(response, 429)
        assert int(response.headers["Retry-After"]) >= 1

    def test_over_the_addresss_rate_429_even_for_nobody(
        self, client_for: Any, settings: Any, db: None
    ) -> None:
        settings.EASEL_RATE_ADDRESS = 1
        responses = [client_for(None).get(PROMPT) for _ in range(5)]
        assert {r.status_code for r in responses} == {403, 429}

    def test_over_the_ceiling_503(self, api: Client, settings: Any) -> None:
        settings.EASEL_MAX_WAITING = 0
        response = post(api, PORTRAIT, {"prompt": PIXIE})
        assert_error(response, 503)
        assert int(response.headers["Retry-After"]) >= 1

    def test_while_stopping_503(self, api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(room, "_closing", True)
        assert_error(post(api, PORTRAIT, {"prompt": PIXIE}), 503)


class TestIdempotency:
    def test_the_same_key_and_body_give_the_same_answer(self, api: Client) -> None:
        headers = {"idempotency-key": "k-1"}
        first = post(api, PORTRAIT, {"prompt": PIXIE}, headers=headers)
        again = post(api, PORTRAIT, {"prompt": PIXIE}, headers=headers)
        assert (first.status_code, first.json()) == (again.status_code, again.json())
        assert Generation.objects.count() == 1

    def test_another_body_is_422(self, api: Client) -> None:
        headers = {"idempotency-key": "k-1"}
        post(api, PORTRAIT, {"prompt": PIXIE}, headers=headers)
        assert_error(post(api, PORTRAIT, {"prompt": "an elf"}, headers=headers), 422)

    def test_while_the_first_runs_409(self, api: Client, member: User) -> None:
        headers = {"idempotency-key": "k-1"}
        post(api, PORTRAIT, {"prompt": PIXIE}, headers=headers)
        Generation.objects.update(status="running", finished_at=None)
        response = post(api, PORTRAIT, {"prompt": PIXIE}, headers=headers)
        assert_error(response, 409)
        assert int(response.headers["Retry-After"]) >= 1

    def test_after_a_crash_the_truth(self, api: Client) -> None:
        headers = {"idempotency-key": "k-1"}
        post(api, PORTRAIT, {"prompt": PIXIE}, headers=headers)
        past = timezone.now() - timedelta(seconds=1)
        Generation.objects.update(status="running", finished_at=None, deadline_at=past)
        assert_error(post(api, PORTRAIT, {"prompt": PIXIE}, headers=headers), 500)
        generation = Generation.objects.get()
        assert (generation.status, generation.may_have_charged) == ("failed", True)

    def test_a_key_is_its_users_own(self, api: Client, client_for: Any, other: User) -> None:
        headers = {"idempotency-key": "k-1"}
        post(api, PORTRAIT, {"prompt": PIXIE}, headers=headers)
        assert post(client_for(other), PORTRAIT, {"prompt": "an elf"}, headers=headers).status_code == 200

    @pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ü"])
    def test_a_key_of_another_form_is_400(self, api: Client, key: str) -> None:
        assert_error(post(api, PORTRAIT, {"prompt": PIXIE}, headers={"idempotency-key": key}), 400)


class TestEngineFaults:
    def test_each_is_a_500_that_says_which(self, api: Client, select: Any) -> None:
        with LiteLLM() as server:
            server.fault = error_500
            select("grok", "openai", "portrait", base_url=server.url, key=KEY, default_model="grok-2-image")
            problem = assert_error(post(api, PORTRAIT, {"prompt": PIXIE}), 500)
        assert "engine" in problem["error"].lower()
        assert problem["details"] == "engine_unavailable"
        generation = Generation.objects.get()
        assert (generation.status, generation.error_code) == ("failed", "engine_unavailable")
        assert not ImageFile.objects.exists()

    def test_a_refused_prompt(self, api: Client, select: Any) -> None:
        with LiteLLM() as server:
            select("grok", "openai", "portrait", base_url=server.url, key=KEY, default_model="gpt-image-1")
            problem = assert_error(post(api, PORTRAIT, {"prompt": "[mod] something"}), 500)
        assert problem["details"] == "prompt_rejected"

    def test_a_silent_engine_ends_at_the_deadline(self, api: Client, select: Any) -> None:
        with LiteLLM() as server:
            server.fault = silent
            select("grok", "openai", "portrait", base_url=server.url, key=KEY, default_model="g", deadline=1)
            problem = assert_error(post(api, PORTRAIT, {"prompt": PIXIE}), 500)
        assert problem["details"] == "engine_timeout"
        assert Generation.objects.get().may_have_charged

    def test_no_engine_selected(self, api: Client) -> None:
        EngineConnection.objects.all().delete()
        assert_error(post(api, PORTRAIT, {"prompt": PIXIE}), 403)

    def test_a_fault_of_ours_tells_nothing(self, api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*args: Any, **kwargs: Any) -> None:
            raise RuntimeError("secret /path/in/here")

        monkeypatch.setattr("imagegen.storing.storage.store", broken)
        response = post(api, PORTRAIT, {"prompt": PIXIE})
        assert_error(response, 500)
        assert "secret" not in response.content.decode()
        assert Generation.objects.get().status == "failed"


class TestThroughLiteLLM:
    """A Grok model behind the proxy, as recorded: a JPEG by URL."""

    @pytest.fixture
    def server(self, select: Any) -> Any:
        with LiteLLM(format="JPEG") as server:
            select(
                "litellm", "openai", "portrait", "generate",
                base_url=f"{server.url}/v1", key=KEY, default_model="grok-imagine-image",
                trusted_origins=[server.files.url],
            )  # fmt: skip
            yield server

    def test_a_jpeg_by_url_becomes_a_clean_png(self, api: Client, server: LiteLLM) -> None:
        portrait = post(api, PORTRAIT, {"prompt": PIXIE}).json()["portrait"]
        image = Image.open(BytesIO(base64.b64decode(portrait["imageBase64"])))
        assert (image.format, image.size, image.mode, image.info) == ("PNG", (512, 512), "RGB", {})

    def test_grok_gets_no_size_quality_or_style(self, api: Client, server: LiteLLM) -> None:
        post(api, PORTRAIT, {"prompt": PIXIE})
        sent = next(r for r in server.requests if r.path.endswith("/images/generations")).json
        assert sent.keys() <= {"model", "prompt", "n", "aspect_ratio"}
        assert (sent["model"], sent["prompt"]) == ("grok-imagine-image", PIXIE)

    def test_the_host_shows_nowhere(self, api: Client, server: LiteLLM, caplog: Any) -> None:
        hosts = {url.split("//")[1] for url in (server.url, server.files.url)}
        with caplog.at_level("INFO"):
            response = post(api, PORTRAIT, {"prompt": PIXIE})
        assert response.status_code == 200
        file = ImageFile.objects.get()
        row = {field.name: getattr(file, field.name) for field in ImageFile._meta.concrete_fields}
        shown = [response.content.decode(), str(dict(response.headers)), caplog.text, str(row)]
        for text in shown:
            assert not any(host in text for host in hosts)
            assert KEY not in text


class TestTempStorage:
    @pytest.fixture
    def url(self, api: Client) -> str:
        return str(post(api, PORTRAIT, {"prompt": PIXIE}).json()["portrait"]["imageUrl"])

    def test_somebody_elses_is_404(self, client_for: Any, other: User, url: str) -> None:
        assert_error(client_for(other).get(url), 404)

    def test_nobody_is_403(self, client_for: Any, url: str) -> None:
        assert_error(client_for(None).get(url), 403)

    def test_who_may_see_others_pictures_sees_it(self, client_for: Any, outsider: User, url: str) -> None:
        assert_error(client_for(outsider).get(url), 404)
        outsider.user_permissions.add(Permission.objects.get(codename="view_others_pictures"))
        assert client_for(outsider).get(url).status_code == 200

    def test_after_its_time_it_is_gone(self, api: Client, url: str) -> None:
        ImageFile.objects.update(expires_at=timezone.now())
        assert_error(api.get(url), 404)

    def test_bytes_that_are_gone_are_404(self, api: Client, url: str) -> None:
        default_storage.delete(ImageFile.objects.get().file.name)
        assert_error(api.get(url), 404)

    @pytest.mark.parametrize(
        "name",
        [
            "2026-11-21_aaaaaaaaaaaaaaaa.png",
            "../../../easel.sqlite3",
            "..%2f..%2fsecrets%2fsecret_key",
            "2026-11-21_AAAAAAAAAAAAAAAA.png",
            "x.png",
            "a%00b.png",
            "2026-11-21_aaaaaaaaaaaaaaaa.png%0a",
        ],
    )
    def test_guesses_and_paths_are_404(self, api: Client, url: str, name: str) -> None:
        assert_error(api.get(f"/api/mind/storage/temp/{name}"), 404)

    def test_post_is_405(self, api: Client, url: str) -> None:
        assert_error(post(api, url, {}), 405)

    def test_a_browser_with_the_cookie_sees_it(self, client_for: Any, member: User, url: str) -> None:
        client = client_for(None)
        assert client.login(username=member.username, password=PASSWORD)
        assert client.get(url).status_code == 200


class TestPortraitPrompt:
    def test_the_example_of_the_contract(self, api: Client) -> None:
        selections = {
            "subject": "pixie",
            "style": "watercolor",
            "mood": "cheerful",
            "setting": "the edge of a glowing enchanted forest",
        }
        response = post(api, PROMPT, selections)
        assert response.status_code == 200
        assert set(response.json()) == {"portrait"} and set(response.json()["portrait"]) == {"prompt"}
        prompt = response.json()["portrait"]["prompt"]
        wanted = "A cheerful watercolor portrait of a pixie at the edge of a glowing enchanted forest"
        assert prompt.startswith(wanted)
        assert post(api, PROMPT, selections).json() == response.json()

    def test_it_goes_straight_into_a_portrait(self, api: Client) -> None:
        prompt = post(api, PROMPT, {"subject": "wizard", "style": "oil painting"}).json()["portrait"][
            "prompt"
        ]
        assert post(api, PORTRAIT, {"prompt": prompt}).status_code == 200

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"mood": "cheerful"},
            {"subject": ""},
            {"subject": None, "style": None},
            {"subject": 7},
            {"subject": ["pixie"]},
            {"subject": "pixie", "colors": ["red", 7]},
            {"subject": "pixie", "accessories": {"a": "b"}},
            {"subject": "x" * 5000},
            [],
            "pixie",
            None,
        ],
    )
    def test_bad_selections_are_400(self, api: Client, body: Any) -> None:
        assert_error(post(api, PROMPT, body), 400)

    def test_control_characters_and_surrogates_are_folded(self, api: Client) -> None:
        response = post(api, PROMPT, {"subject": "pix\0ie\ud800\r\n\u202e of doom"})
        assert response.status_code == 200
        assert response.json()["portrait"]["prompt"].isprintable()

    def test_get_lists_the_selections(self, api: Client) -> None:
        selections = api.get(PROMPT).json()["selections"]
        assert {"subject", "style", "mood", "colors", "avoid"} <= set(selections)
        for selection in selections.values():
            assert set(selection) == {"label", "choices", "multiple", "free"}
            assert all(set(choice) == {"value", "label"} for choice in selection["choices"])
        assert selections["colors"]["multiple"] and not selections["subject"]["multiple"]

    @pytest.mark.parametrize("method", ["get", "post"])
    def test_who_may(self, client_for: Any, outsider: User, method: str) -> None:
        for client in (client_for(None), client_for(outsider)):
            body = {} if method == "get" else {"data": "{", "content_type": "application/json"}
            assert_error(getattr(client, method)(PROMPT, **body), 403)

    def test_switched_off_is_403(self, client_for: Any, superuser: User) -> None:
        ImageSettings.objects.current()
        ImageSettings.objects.update(prompt_enabled=False)
        assert_error(post(client_for(superuser), PROMPT, {"subject": "pixie"}), 403)


class TestQueries:
    def test_a_portrait(self, api: Client, django_assert_num_queries: Any) -> None:
        """User with the permission; settings; connections; generation; files and generation: 6, and the
        begin and commit of one transaction."""
        post(api, PORTRAIT, {"prompt": PIXIE})
        with django_assert_num_queries(8):
            post(api, PORTRAIT, {"prompt": "an elf"})

    def test_its_bytes(self, api: Client, django_assert_num_queries: Any) -> None:
        """User; file."""
        url = post(api, PORTRAIT, {"prompt": PIXIE}).json()["portrait"]["imageUrl"]
        with django_assert_num_queries(2):
            assert api.get(url).status_code == 200
