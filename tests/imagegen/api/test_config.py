"""The configuration over HTTP: GET config, POST config/update, POST verify."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import DatabaseError
from django.db import connection as database
from django.test import Client

from imagegen.models import EngineConnection, ImageSettings
from tests.conftest import PASSWORD
from tests.fakes import automatic1111, comfyui, gemini, litellm
from tests.fakes import server as faults

CONFIG, UPDATE, VERIFY = (f"/api/v1/images/{path}" for path in ("config", "config/update", "verify"))
SECRET = "sk-secret-0123456789-wxyz"
MASK = "••••••••wxyz"
DOTS = "••••••••"
KEYS = [
    "ENABLE_IMAGE_GENERATION",
    "ENABLE_IMAGE_PROMPT_GENERATION",
    "IMAGE_GENERATION_ENGINE",
    "IMAGE_GENERATION_MODEL",
    "IMAGE_SIZE",
    "IMAGE_STEPS",
    "IMAGES_OPENAI_API_BASE_URL",
    "IMAGES_OPENAI_API_KEY",
    "IMAGES_OPENAI_API_VERSION",
    "IMAGES_OPENAI_API_PARAMS",
    "AUTOMATIC1111_BASE_URL",
    "AUTOMATIC1111_API_AUTH",
    "AUTOMATIC1111_PARAMS",
    "COMFYUI_BASE_URL",
    "COMFYUI_API_KEY",
    "COMFYUI_WORKFLOW",
    "COMFYUI_WORKFLOW_NODES",
    "IMAGES_GEMINI_API_BASE_URL",
    "IMAGES_GEMINI_API_KEY",
    "IMAGES_GEMINI_ENDPOINT_METHOD",
    "ENABLE_IMAGE_EDIT",
    "IMAGE_EDIT_ENGINE",
    "IMAGE_EDIT_MODEL",
    "IMAGE_EDIT_SIZE",
    "IMAGES_EDIT_OPENAI_API_BASE_URL",
    "IMAGES_EDIT_OPENAI_API_KEY",
    "IMAGES_EDIT_OPENAI_API_VERSION",
    "IMAGES_EDIT_GEMINI_API_BASE_URL",
    "IMAGES_EDIT_GEMINI_API_KEY",
    "IMAGES_EDIT_COMFYUI_BASE_URL",
    "IMAGES_EDIT_COMFYUI_API_KEY",
    "IMAGES_EDIT_COMFYUI_WORKFLOW",
    "IMAGES_EDIT_COMFYUI_WORKFLOW_NODES",
]

GRAPH = {
    "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "ü"}},
    "8": {"class_type": "EmptyImage", "inputs": {"width": 512, "scale": 1.0}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat"}},
}
NODES = [
    {"type": "prompt", "key": "text", "node_ids": ["6"]},
    {"type": "width", "key": "width", "node_ids": ["8"], "note": "kept"},
    {"type": "seed", "key": "seed", "node_ids": []},
]
UI_FORMAT = {"last_node_id": 9, "nodes": [{"id": 9, "type": "SaveImage"}], "links": [], "version": 0.4}

EVERYTHING = {
    "IMAGE_GENERATION_ENGINE": "comfyui",
    "IMAGE_GENERATION_MODEL": "sd15.safetensors",
    "IMAGE_SIZE": "768x512",
    "IMAGE_STEPS": 20,
    "IMAGES_OPENAI_API_BASE_URL": "http://litellm:4000/v1",
    "IMAGES_OPENAI_API_KEY": SECRET,
    "IMAGES_OPENAI_API_VERSION": "2025-04-01-preview",
    "IMAGES_OPENAI_API_PARAMS": {"quality": "high", "nested": {"on": True, "scale": 1.0}},
    "AUTOMATIC1111_BASE_URL": "http://127.0.0.1:7860",
    "AUTOMATIC1111_API_AUTH": "easel:correct-horse-battery",
    "AUTOMATIC1111_PARAMS": {"sampler_name": "Euler"},
    "COMFYUI_BASE_URL": "http://127.0.0.1:8188",
    "COMFYUI_API_KEY": "short",
    "COMFYUI_WORKFLOW": json.dumps(GRAPH),
    "COMFYUI_WORKFLOW_NODES": NODES,
    "IMAGES_GEMINI_API_KEY": "AIzaSyA0123456789",
    "IMAGES_GEMINI_ENDPOINT_METHOD": "generateContent",
    "ENABLE_IMAGE_EDIT": False,
    "IMAGE_EDIT_ENGINE": "gemini",
    "IMAGE_EDIT_MODEL": "gemini-3-pro-image",
    "IMAGE_EDIT_SIZE": "auto",
    "IMAGES_EDIT_OPENAI_API_KEY": "sk-another-0123456789",
    "IMAGES_EDIT_OPENAI_API_VERSION": "v1",
    "IMAGES_EDIT_GEMINI_API_BASE_URL": "https://gemini.example/v1beta",
    "IMAGES_EDIT_COMFYUI_BASE_URL": "http://127.0.0.1:8189",
    "IMAGES_EDIT_COMFYUI_WORKFLOW": json.dumps(GRAPH),
    "IMAGES_EDIT_COMFYUI_WORKFLOW_NODES": NODES[:1],
}
SECRETS = [
    value for key, value in EVERYTHING.items() if key.endswith(("_KEY", "_AUTH")) and isinstance(value, str)
]


@pytest.fixture
def staff(db: None) -> User:
    """Staff who may change the image settings, and set up connections."""
    user = User.objects.create_user("staff", password=PASSWORD, is_staff=True)
    needed = ("change_imagesettings", "change_engineconnection", "add_engineconnection")
    user.user_permissions.set(Permission.objects.filter(codename__in=needed))
    return user


@pytest.fixture
def admin(client_for: Any, staff: User) -> Client:
    return client_for(staff)  # type: ignore[no-any-return]


def post(client: Client, path: str, body: Any, **more: Any) -> Any:
    return client.post(path, body, content_type="application/json", **more)


def update(client: Client, **values: Any) -> dict[str, Any]:
    response = post(client, UPDATE, values)
    assert response.status_code == 200, response.content
    whole: dict[str, Any] = response.json()
    assert whole == client.get(CONFIG).json()
    return whole


def refused(client: Client, **values: Any) -> dict[str, list[str]]:
    """The errors of an update that changes nothing."""
    before = rows()
    response = post(client, UPDATE, values)
    body = response.json()
    assert (response.status_code, body["code"]) == (400, "invalid"), body
    assert rows() == before and not LogEntry.objects.exists()
    errors: dict[str, list[str]] = body["errors"]
    return errors


def rows() -> list[dict[str, Any]]:
    ImageSettings.objects.lay_out()
    return [*ImageSettings.objects.values(), *EngineConnection.objects.order_by("pk").values()]


def named(name: str) -> EngineConnection:
    return EngineConnection.objects.get(name=name)


class TestWhoMay:
    @pytest.mark.parametrize("prefix", ["/api/images/", "/api/v1/images/"])
    def test_staff_with_the_permission_and_superusers(
        self, prefix: str, client_for: Any, staff: User, superuser: User
    ) -> None:
        for user in (staff, superuser):
            client = client_for(user)
            assert client.get(prefix + "config").status_code == 200
            assert post(client, prefix + "config/update", {}).status_code == 200
            assert post(client, prefix + "verify", {"engine": "dicebear"}).json() is True

    @pytest.mark.parametrize(
        "lacking", ["change_imagesettings", "change_engineconnection", "add_engineconnection"]
    )
    def test_nobody_sets_up_here_what_they_may_not_in_the_admin(
        self, admin: Client, staff: User, select: Any, lacking: str
    ) -> None:
        """With the settings alone, a stored key could be sent to another server."""
        select("openai", "openai", "generate", key="sk-stored-0123456789")
        staff.user_permissions.remove(Permission.objects.get(codename=lacking))
        elsewhere = {"IMAGES_OPENAI_API_BASE_URL": "https://elsewhere.example"}
        for answer in (
            admin.get(CONFIG),
            post(admin, UPDATE, elsewhere),
            post(admin, VERIFY, {"engine": "x"}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
        assert named("openai").base_url == ""

    def test_a_superuser_who_is_no_staff(self, client_for: Any, superuser: User) -> None:
        User.objects.update(is_staff=False)
        assert client_for(superuser).get(CONFIG).status_code == 200

    def test_nobody_else_and_before_the_body_is_looked_at(
        self, client_for: Any, member: User, staff: User
    ) -> None:
        no_staff = User.objects.create_user("no-staff")
        no_staff.user_permissions.set(staff.user_permissions.all())
        staff.user_permissions.clear()
        for user, status, code in (
            (None, 401, "not_authenticated"),
            (member, 403, "permission_denied"),
            (staff, 403, "permission_denied"),
            (no_staff, 403, "permission_denied"),
        ):
            client = client_for(user)
            answers = [client.get(CONFIG), *(post(client, path, b"{nonsense") for path in (UPDATE, VERIFY))]
            for response in answers:
                assert (response.status_code, response.json()["code"]) == (status, code)

    def test_a_cookie_from_a_foreign_origin_or_without_proof(self, staff: User) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(staff)
        assert client.get(CONFIG).status_code == 200
        for path in (UPDATE, VERIFY):
            answers = [
                post(client, path, {}),
                post(client, path, {}, headers={"origin": "https://evil.example"}),
            ]
            assert [response.status_code for response in answers] == [403, 403]
        foreign = client.get(CONFIG, headers={"origin": "https://evil.example"})
        assert foreign.status_code == 403


class TestTheView:
    def test_a_new_installation(self, admin: Client) -> None:
        shown = admin.get(CONFIG).json()
        assert list(shown) == KEYS
        said = {key: value for key, value in shown.items() if value not in ("", [], {})}
        assert said == {
            "ENABLE_IMAGE_GENERATION": True,
            "ENABLE_IMAGE_PROMPT_GENERATION": True,
            "IMAGE_GENERATION_ENGINE": "dicebear",
            "IMAGE_SIZE": "1024x1024",
            "IMAGE_STEPS": 30,
            "ENABLE_IMAGE_EDIT": True,
        }

    def test_what_is_posted_is_shown(self, admin: Client) -> None:
        shown = update(admin, **EVERYTHING)
        for key in ("COMFYUI_WORKFLOW", "IMAGES_EDIT_COMFYUI_WORKFLOW"):
            assert json.loads(shown.pop(key)) == GRAPH
        masks = {
            "IMAGES_OPENAI_API_KEY": MASK,
            "AUTOMATIC1111_API_AUTH": DOTS,
            "COMFYUI_API_KEY": DOTS,
            "IMAGES_GEMINI_API_KEY": "••••••••6789",
            "IMAGES_EDIT_OPENAI_API_KEY": "••••••••6789",
        }
        expected = EVERYTHING | masks
        assert {key: value for key, value in shown.items() if key in expected} == {
            key: value for key, value in expected.items() if key in shown
        }

    def test_it_lies_in_the_connections(self, admin: Client) -> None:
        update(admin, **EVERYTHING)
        names = {connection.name: connection.engine for connection in EngineConnection.objects.all()}
        assert names == {
            "automatic1111": "automatic1111",
            "built-in": "dicebear",
            "comfyui": "comfyui",
            "comfyui-edit": "comfyui",
            "gemini": "gemini",
            "gemini-edit": "gemini",
            "openai": "openai",
            "openai-edit": "openai",
        }
        current = ImageSettings.objects.current()
        assert (current.generate_connection, current.edit_connection) == (
            named("comfyui"),
            named("gemini-edit"),
        )
        assert (current.default_size, current.default_steps, current.default_edit_size) == (
            "768x512",
            20,
            "auto",
        )
        assert not current.edit_enabled and current.generation_enabled
        openai = named("openai")
        assert openai.key == SECRET and openai.base_url == "http://litellm:4000/v1"
        assert openai.parameters == {
            "quality": "high",
            "nested": {"on": True, "scale": 1.0},
            "api_version": "2025-04-01-preview",
        }
        assert named("gemini").parameters == {"method": "generateContent"}
        assert named("gemini-edit").default_model == "gemini-3-pro-image"
        assert named("comfyui").default_model == "sd15.safetensors"
        assert (named("comfyui").workflow, named("comfyui").workflow_nodes) == (GRAPH, NODES)
        edit = named("comfyui-edit")
        assert (edit.workflow, edit.edit_workflow, edit.edit_workflow_nodes) == (None, GRAPH, NODES[:1])
        assert named("automatic1111").key == "easel:correct-horse-battery"

    def test_what_is_shown_may_be_sent_back(self, admin: Client) -> None:
        for values in ({}, EVERYTHING):
            shown = update(admin, **values)
            before, entries = rows(), LogEntry.objects.count()
            assert update(admin, **shown) == shown
            assert rows() == before and LogEntry.objects.count() == entries

    def test_what_staff_entered_elsewhere_may_be_sent_back_too(self, admin: Client, select: Any) -> None:
        select(
            "gpu", "comfyui", "generate", "edit", base_url="http://h:1", workflow=GRAPH, edit_workflow=GRAPH
        )
        select("azure", "openai", parameters={"api_version": 2025, "quality": 1}, key="k")
        EngineConnection.objects.filter(name="azure").update(name="openai", base_url="not a URL any more")
        EngineConnection.objects.filter(name="gpu").update(default_model="x" * 150, price=-1)
        select("gemini", "gemini", parameters={"method": "odd"}, enabled=False)
        before = rows()
        update(admin, **admin.get(CONFIG).json())
        assert rows() == before

    def test_a_group_shows_the_selected_connection_if_it_has_the_engine(
        self, admin: Client, select: Any
    ) -> None:
        select("lite", "openai", "generate", base_url="http://lite:1", key=SECRET)
        select("openai", "openai", base_url="http://other:1")
        select("openai-edit", "openai", base_url="http://edit:1")
        shown = admin.get(CONFIG).json()
        assert shown["IMAGE_GENERATION_ENGINE"] == "openai" and shown["IMAGE_EDIT_ENGINE"] == ""
        assert shown["IMAGES_OPENAI_API_BASE_URL"] == "http://lite:1"
        assert shown["IMAGES_EDIT_OPENAI_API_BASE_URL"] == "http://edit:1"
        update(admin, IMAGES_OPENAI_API_BASE_URL="http://lite:2")
        assert (named("lite").base_url, named("openai").base_url) == ("http://lite:2", "http://other:1")
        update(admin, IMAGE_GENERATION_ENGINE="dicebear", IMAGES_OPENAI_API_BASE_URL="http://lite:3")
        assert (named("lite").base_url, named("openai").base_url) == ("http://lite:3", "http://other:1")
        assert admin.get(CONFIG).json()["IMAGES_OPENAI_API_BASE_URL"] == "http://other:1"

    def test_reading_costs_few_queries(self, admin: Client, django_assert_max_num_queries: Any) -> None:
        update(admin, **EVERYTHING)
        with django_assert_max_num_queries(6):
            admin.get(CONFIG)


class TestUpdates:
    def test_only_what_is_named_changes(self, admin: Client) -> None:
        before = update(admin, **EVERYTHING)
        stamps = dict(EngineConnection.objects.values_list("name", "updated_at"))
        after = update(
            admin,
            IMAGES_OPENAI_API_PARAMS={"quality": "low"},
            IMAGE_STEPS=None,
            COMFYUI_BASE_URL=None,
            UNKNOWN_KEY=[1],
        )
        assert after == before | {"IMAGES_OPENAI_API_PARAMS": {"quality": "low"}}
        changed = {
            name
            for name, stamp in EngineConnection.objects.values_list("name", "updated_at")
            if stamp != stamps[name]
        }
        assert changed == {"openai"}

    def test_nothing_is_created_for_empty_values(self, admin: Client) -> None:
        admin.get(CONFIG)
        before = rows()
        empty = {key: "" for key in KEYS if key.endswith(("_URL", "_KEY", "_AUTH", "_VERSION", "_METHOD"))}
        update(admin, **empty, COMFYUI_WORKFLOW="", COMFYUI_WORKFLOW_NODES=[], AUTOMATIC1111_PARAMS={})
        update(admin, IMAGES_OPENAI_API_PARAMS="", IMAGES_OPENAI_API_KEY=MASK, IMAGE_EDIT_MODEL="")
        assert rows() == before

    def test_a_connection_is_created_at_the_first_value(self, admin: Client) -> None:
        update(admin, COMFYUI_WORKFLOW=GRAPH)
        assert (named("comfyui").workflow, named("comfyui").base_url) == (GRAPH, "")

    @pytest.mark.parametrize(("sent", "kept"), [(MASK, SECRET), (DOTS, SECRET), ("••••••••old!", SECRET)])
    def test_a_mask_keeps_the_key(self, admin: Client, sent: str, kept: str) -> None:
        update(admin, IMAGES_OPENAI_API_KEY=SECRET)
        before = rows()
        update(admin, IMAGES_OPENAI_API_KEY=sent)
        assert rows() == before and named("openai").key == kept

    def test_a_new_key_replaces_it_and_an_empty_one_clears_it(self, admin: Client) -> None:
        update(admin, IMAGES_OPENAI_API_KEY=SECRET)
        update(admin, IMAGES_OPENAI_API_KEY="sk-new-0123456789")
        assert named("openai").key == "sk-new-0123456789"
        assert update(admin, IMAGES_OPENAI_API_KEY="")["IMAGES_OPENAI_API_KEY"] == ""
        assert named("openai").encrypted_key == ""

    def test_a_mask_and_another_url(self, admin: Client) -> None:
        update(admin, IMAGES_OPENAI_API_KEY=SECRET)
        update(admin, IMAGES_OPENAI_API_KEY=MASK, IMAGES_OPENAI_API_BASE_URL="http://lite:4000")
        assert (named("openai").key, named("openai").base_url) == (SECRET, "http://lite:4000")

    @pytest.mark.parametrize("engine", ["openai", "gemini", "dicebear"])
    def test_an_engine_that_needs_nothing_is_selected_alone(self, admin: Client, engine: str) -> None:
        shown = update(admin, IMAGE_GENERATION_ENGINE=engine, IMAGE_EDIT_ENGINE="openai")
        assert (shown["IMAGE_GENERATION_ENGINE"], shown["IMAGE_EDIT_ENGINE"]) == (engine, "openai")
        assert ImageSettings.objects.current().edit_connection == named("openai-edit")

    def test_no_engine(self, admin: Client) -> None:
        assert update(admin, IMAGE_GENERATION_ENGINE="")["IMAGE_GENERATION_ENGINE"] == ""
        assert ImageSettings.objects.current().generate_connection is None

    def test_an_engine_without_keys_for_editing_edits_where_it_generates(self, admin: Client) -> None:
        update(admin, AUTOMATIC1111_BASE_URL="http://h:7860", IMAGE_EDIT_ENGINE="automatic1111")
        assert ImageSettings.objects.current().edit_connection == named("automatic1111")

    def test_the_model_is_that_of_the_engine_selected_with_it(self, admin: Client, select: Any) -> None:
        select("lite", "openai", "generate", default_model="grok")
        update(admin, IMAGE_GENERATION_ENGINE="gemini", IMAGE_GENERATION_MODEL="gemini-3-pro-image")
        assert (named("lite").default_model, named("gemini").default_model) == ("grok", "gemini-3-pro-image")

    def test_parameters_as_json_text(self, admin: Client) -> None:
        shown = update(admin, AUTOMATIC1111_PARAMS='{"sampler_name": "Euler"}')
        assert shown["AUTOMATIC1111_PARAMS"] == {"sampler_name": "Euler"}

    def test_true_is_not_1(self, admin: Client) -> None:
        update(admin, AUTOMATIC1111_PARAMS={"tiling": 1})
        assert update(admin, AUTOMATIC1111_PARAMS={"tiling": True})["AUTOMATIC1111_PARAMS"]["tiling"] is True

    def test_the_version_and_the_parameters_do_not_touch_each_other(self, admin: Client) -> None:
        update(admin, IMAGES_OPENAI_API_VERSION="v1", IMAGES_OPENAI_API_PARAMS={"quality": "high"})
        update(admin, IMAGES_OPENAI_API_PARAMS={})
        assert named("openai").parameters == {"api_version": "v1"}
        update(admin, IMAGES_OPENAI_API_VERSION="")
        assert named("openai").parameters == {}

    def test_clearing_a_workflow_leaves_its_map(self, admin: Client) -> None:
        shown = update(admin, COMFYUI_WORKFLOW=GRAPH, COMFYUI_WORKFLOW_NODES=NODES)
        shown = update(admin, **shown | {"COMFYUI_WORKFLOW": ""})
        assert (shown["COMFYUI_WORKFLOW"], shown["COMFYUI_WORKFLOW_NODES"]) == ("", NODES)
        assert named("comfyui").workflow is None

    def test_two_keys_for_one_setting(self, admin: Client, select: Any) -> None:
        """Where one connection serves both operations, the key that changes decides."""
        select("lite", "openai", "generate", "edit", base_url="http://lite:1")
        shown = update(admin, **admin.get(CONFIG).json() | {"IMAGES_OPENAI_API_BASE_URL": "http://lite:2"})
        assert shown["IMAGES_EDIT_OPENAI_API_BASE_URL"] == "http://lite:2"
        update(admin, IMAGES_OPENAI_API_KEY=SECRET, IMAGES_EDIT_OPENAI_API_KEY=SECRET)
        errors = refused_again(admin, IMAGE_GENERATION_MODEL="a", IMAGE_EDIT_MODEL="b")
        assert errors == {
            "IMAGE_EDIT_MODEL": [
                "This is the same setting as IMAGE_GENERATION_MODEL: send one value for both."
            ]
        }

    def test_a_change_mends_a_connection_that_rests(self, admin: Client) -> None:
        update(admin, IMAGES_OPENAI_API_KEY=SECRET)
        EngineConnection.objects.filter(name="openai").update(failures=3)
        update(admin, IMAGES_OPENAI_API_KEY=SECRET + "2")
        assert named("openai").failures == 0


def refused_again(client: Client, **values: Any) -> dict[str, list[str]]:
    LogEntry.objects.all().delete()
    return refused(client, **values)


class TestRefusals:
    @pytest.mark.parametrize(
        ("key", "value", "said"),
        [
            ("IMAGE_GENERATION_ENGINE", "midjourney", "Unknown engine. There are: "),
            ("IMAGE_EDIT_ENGINE", "OpenAI", "Unknown engine. There are: "),
            ("IMAGE_GENERATION_ENGINE", 7, "This must be a string."),
            ("IMAGE_EDIT_MODEL", "gpt-image-2", "No engine is selected"),
            ("IMAGE_GENERATION_MODEL", "x" * 201, "at most 200 characters"),
            ("IMAGE_SIZE", "", "cannot be blank"),
            ("IMAGE_SIZE", "1024", "Must be WIDTHxHEIGHT"),
            ("IMAGE_SIZE", "16x16", "64 to 4096"),
            ("IMAGE_EDIT_SIZE", "large", "Must be WIDTHxHEIGHT"),
            ("IMAGE_STEPS", 0, "greater than or equal to 1"),
            ("IMAGE_STEPS", 151, "less than or equal to 150"),
            ("IMAGE_STEPS", "30", "This must be a whole number."),
            ("IMAGE_STEPS", True, "This must be a whole number."),
            ("ENABLE_IMAGE_EDIT", "true", "This must be true or false."),
            ("IMAGES_OPENAI_API_BASE_URL", "litellm:4000", "http"),
            ("IMAGES_OPENAI_API_BASE_URL", "ftp://litellm", "http"),
            ("IMAGES_OPENAI_API_BASE_URL", "http://user:pw@litellm", "user name"),
            ("IMAGES_OPENAI_API_BASE_URL", "http://litellm/?key=1", "Leave out"),
            ("COMFYUI_BASE_URL", "http://a b", "This cannot be used"),
            ("COMFYUI_BASE_URL", "http://2130706433:8188", "This cannot be used"),
            ("IMAGES_EDIT_COMFYUI_BASE_URL", "http://h:" + "1" * 600, "This cannot be used"),
            ("IMAGES_OPENAI_API_KEY", "sk-••••1234", "This is part of a mask."),
            ("IMAGES_OPENAI_API_KEY", MASK + "5", "This is part of a mask."),
            ("IMAGES_OPENAI_API_KEY", "sk-1\nHost: evil", "A key is one line"),
            ("IMAGES_OPENAI_API_KEY", "sk-1 ", "A key is one line"),
            ("IMAGES_OPENAI_API_KEY", "sk-\0", "NUL"),
            ("IMAGES_OPENAI_API_KEY", ["sk-1"], "This must be a string."),
            ("IMAGES_OPENAI_API_PARAMS", "[1]", "This must be a JSON object."),
            ("IMAGES_OPENAI_API_PARAMS", "{", "This is not valid JSON."),
            ("IMAGES_OPENAI_API_PARAMS", '{"a": NaN}', "This is not valid JSON."),
            ("IMAGES_OPENAI_API_PARAMS", '{"a": "\\u0000"}', "NUL"),
            ("IMAGES_OPENAI_API_PARAMS", {"api_version": "v1"}, "this has a key of its own"),
            ("AUTOMATIC1111_PARAMS", 7, "This must be a JSON object."),
            ("IMAGES_GEMINI_ENDPOINT_METHOD", "predicted", "Must be predict, generateContent or empty."),
            ("COMFYUI_WORKFLOW", json.dumps(UI_FORMAT), "Export (API)"),
            ("COMFYUI_WORKFLOW", UI_FORMAT, "Export (API)"),
            ("COMFYUI_WORKFLOW", {"1": {}}, "class_type"),
            ("COMFYUI_WORKFLOW", "a cat", "This is not valid JSON."),
            ("COMFYUI_WORKFLOW", [GRAPH], "This must be a JSON object."),
            ("IMAGES_EDIT_COMFYUI_WORKFLOW", UI_FORMAT, "Export (API)"),
            ("COMFYUI_WORKFLOW_NODES", NODES, "no node '6'"),
            ("COMFYUI_WORKFLOW_NODES", "[]", "This must be a list."),
            ("COMFYUI_WORKFLOW_NODES", ["6"], "This must be a JSON object."),
        ],
    )
    def test_each_rule(self, admin: Client, key: str, value: Any, said: str) -> None:
        """One fault, and nothing beside it is changed either."""
        errors = refused(
            admin, **{"IMAGES_GEMINI_API_KEY": SECRET, "ENABLE_IMAGE_GENERATION": False, key: value}
        )
        path = next(iter(errors))
        assert path.startswith(key) and len(errors) == 1
        assert said in " ".join(errors[path])

    def test_all_faults_are_told_at_once(self, admin: Client) -> None:
        errors = refused(admin, IMAGE_GENERATION_ENGINE="x", COMFYUI_WORKFLOW=UI_FORMAT, COMFYUI_API_KEY="•")
        assert set(errors) == {"IMAGE_GENERATION_ENGINE", "COMFYUI_WORKFLOW", "COMFYUI_API_KEY"}
        assert set(refused(admin, IMAGE_SIZE="x", IMAGE_STEPS=0)) == {"IMAGE_SIZE", "IMAGE_STEPS"}

    @pytest.mark.parametrize("body", [b"[]", b"{", b'{"IMAGE_STEPS": 1e999}', b'"a"'])
    def test_a_body_that_is_no_object(self, admin: Client, body: bytes) -> None:
        assert post(admin, UPDATE, body).status_code == 400

    @pytest.mark.parametrize(
        "nodes",
        [
            [{"type": "prompt", "key": "text", "node_ids": ["99"]}],
            [{"type": "prompt", "key": "caption", "node_ids": ["6"]}],
            [{"type": "mood", "key": "text", "node_ids": ["6"]}],
            [{"type": "prompt", "key": "text", "node_ids": "6"}],
        ],
    )
    def test_a_map_that_does_not_fit_the_workflow(self, admin: Client, nodes: Any) -> None:
        errors = refused(admin, COMFYUI_WORKFLOW=GRAPH, COMFYUI_WORKFLOW_NODES=nodes)
        assert list(errors) == ["COMFYUI_WORKFLOW_NODES"]

    def test_a_new_workflow_that_lacks_what_the_map_names(self, admin: Client) -> None:
        update(admin, COMFYUI_WORKFLOW=GRAPH, COMFYUI_WORKFLOW_NODES=NODES)
        other = {id: node for id, node in GRAPH.items() if id != "6"}
        errors = refused_again(admin, COMFYUI_WORKFLOW=other)
        assert "no node '6'" in errors["COMFYUI_WORKFLOW_NODES"][0]
        update(admin, COMFYUI_WORKFLOW=other, COMFYUI_WORKFLOW_NODES=NODES[1:])

    @pytest.mark.parametrize(
        ("engine", "key"), [("comfyui", "COMFYUI_BASE_URL"), ("automatic1111", "AUTOMATIC1111_BASE_URL")]
    )
    def test_an_engine_is_not_selected_without_its_server(self, admin: Client, engine: str, key: str) -> None:
        errors = refused(admin, IMAGE_GENERATION_ENGINE=engine)
        assert list(errors) == [key] and "needs the URL of its server" in errors[key][0]
        update(admin, **{"IMAGE_GENERATION_ENGINE": engine, key: "http://h:1"})
        assert list(refused_again(admin, **{key: ""})) == [key]

    def test_a_connection_that_is_switched_off_is_not_selected(self, admin: Client, select: Any) -> None:
        select("openai", "openai", enabled=False)
        errors = refused(admin, IMAGE_GENERATION_ENGINE="openai")
        assert "switched off" in errors["IMAGE_GENERATION_ENGINE"][0]

    def test_a_name_that_another_engine_has(self, admin: Client, select: Any) -> None:
        select("gemini", "openai")
        assert admin.get(CONFIG).json()["IMAGES_GEMINI_API_KEY"] == ""
        errors = refused(admin, IMAGES_GEMINI_API_KEY=SECRET)
        assert "another engine" in errors["IMAGES_GEMINI_API_KEY"][0]
        assert list(refused(admin, IMAGE_GENERATION_ENGINE="gemini")) == ["IMAGE_GENERATION_ENGINE"]

    def test_a_write_that_fails_leaves_nothing_half_done(
        self, admin: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = rows()

        def fail(*_: Any, **__: Any) -> None:
            raise DatabaseError("the disk is full")

        monkeypatch.setattr(ImageSettings, "save", fail)
        response = post(admin, UPDATE, {"IMAGES_OPENAI_API_KEY": SECRET, "IMAGE_STEPS": 31})
        assert response.status_code == 500 and SECRET not in response.content.decode()
        assert rows() == before


class TestTraces:
    def test_who_changed_what_is_written_down_by_name(
        self, admin: Client, staff: User, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        update(admin, IMAGES_OPENAI_API_KEY=SECRET, IMAGE_STEPS=31, IMAGE_SIZE="1024x1024")
        entry = LogEntry.objects.get()
        assert (entry.user, entry.get_edited_object()) == (staff, ImageSettings.objects.current())
        message = entry.get_change_message()
        assert "IMAGE_STEPS" in message and "IMAGES_OPENAI_API_KEY" in message and "IMAGE_SIZE" not in message
        (line,) = (record.msg for record in caplog.records if "image settings changed" in str(record.msg))
        assert isinstance(line, dict) and line["keys"] == ["IMAGE_STEPS", "IMAGES_OPENAI_API_KEY"]
        assert set(line) == {"event", "keys", "level", "logger", "timestamp", "trace_id", "user"}

    @pytest.mark.parametrize("valid", [True, False])
    def test_no_key_is_seen_anywhere(
        self, admin: Client, caplog: pytest.LogCaptureFixture, valid: bool
    ) -> None:
        caplog.set_level(logging.DEBUG)
        caplog.handler.setLevel(logging.DEBUG)
        body = EVERYTHING if valid else EVERYTHING | {"IMAGE_SIZE": "no"}
        answers = [post(admin, UPDATE, body), admin.get(CONFIG)]
        assert answers[0].status_code == (200 if valid else 400)
        seen = "".join(response.content.decode() for response in answers)
        logged = [str(vars(r)) for r in caplog.records if not r.name.startswith("django.db")]
        seen += (
            "".join(logged) + caplog.text + "".join(LogEntry.objects.values_list("change_message", flat=True))
        )
        with database.cursor() as cursor:
            for table in database.introspection.table_names():
                cursor.execute(f'SELECT * FROM "{table}"')
                seen += str(cursor.fetchall())
        assert logged or not valid
        for secret in SECRETS:
            assert secret not in seen, secret


class TestVerify:
    def verify(self, client: Client, engine: str, url: str, key: str | None = None, **more: Any) -> Any:
        return post(client, VERIFY, {"engine": engine, "url": url, "key": key, **more})

    def faulted(self, response: Any) -> tuple[str, str]:
        body = response.json()
        assert response.status_code == 400, body
        assert "127.0.0.1" not in response.content.decode()
        return body["code"], body["detail"]

    def fakes(self) -> list[tuple[str, Any, str]]:
        return [
            ("openai", litellm.LiteLLM(), litellm.KEY),
            ("gemini", gemini.GeminiAPI(), gemini.KEY),
            ("comfyui", comfyui.ComfyUI(key="a-proxy-s-key"), "a-proxy-s-key"),
            ("automatic1111", automatic1111.Automatic1111(auth=automatic1111.USER), automatic1111.USER),
        ]

    @pytest.mark.parametrize("which", range(4))
    def test_every_engine(self, admin: Client, which: int, caplog: pytest.LogCaptureFixture) -> None:
        engine, server, key = self.fakes()[which]
        before = rows()
        with server:
            response = self.verify(admin, engine, server.url + "/", key)
            assert (response.status_code, response.json()) == (200, True), response.content
            wrong = "wrong:0123456789-key"
            for bad in (wrong, "", None):
                code, detail = self.faulted(self.verify(admin, engine, server.url, bad))
                assert code == "engine_misconfigured" and "key" in detail
            server.fault, server.faulty = faults.error_html, lambda request: True
            assert self.faulted(self.verify(admin, engine, server.url, key))[0] == "engine_unavailable"
            server.fault = faults.wrong_shape
            code, detail = self.faulted(self.verify(admin, engine, server.url, key))
            assert code in ("engine_misconfigured", "bad_engine_response") and "does not answer as" in detail
            gone = server.url
        code, detail = self.faulted(self.verify(admin, engine, gone, key))
        assert code == "engine_unavailable" and "cannot be reached" in detail
        assert rows() == before
        assert wrong not in caplog.text and key not in caplog.text

    def test_another_engine_at_that_url(self, admin: Client) -> None:
        with comfyui.ComfyUI() as server:
            for engine in ("openai", "gemini", "automatic1111"):
                code, detail = self.faulted(self.verify(admin, engine, server.url, "k"))
                assert code in ("engine_misconfigured", "bad_engine_response"), engine
                assert "does not answer as" in detail

    def test_a_mask_is_the_stored_key_of_that_engine_at_that_server_alone(
        self, admin: Client, select: Any
    ) -> None:
        with litellm.LiteLLM() as server, litellm.LiteLLM() as stranger:
            select("lite", "openai", base_url=server.url + "/v1", key=litellm.KEY)
            select("other", "openai", base_url=stranger.url, key="another-key-0123456789")
            select("painter", "gemini", base_url=stranger.url, key=litellm.KEY)
            mask = "••••••••cdef"
            assert self.verify(admin, "openai", server.url, mask).json() is True
            for engine, url, key in (
                ("openai", stranger.url, mask),
                ("openai", server.url.replace("http:", "https:"), mask),
                ("openai", server.url.replace("127.0.0.1", "localhost"), mask),
                ("gemini", server.url, mask),
                ("openai", server.url, DOTS),
                ("openai", "", mask),
            ):
                response = self.verify(admin, engine, url, key)
                assert list(response.json()["errors"]) == ["key"], (engine, url)
            assert stranger.requests == [] and len(server.requests) == 1

    def test_a_redirect_is_not_followed(self, admin: Client) -> None:
        with litellm.LiteLLM() as server, litellm.LiteLLM() as stranger:
            server.fault, server.faulty = faults.redirect(stranger.url), lambda request: True
            assert self.faulted(self.verify(admin, "openai", server.url, SECRET))[0] == "engine_misconfigured"
            assert stranger.requests == []

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "engine"),
            ({"engine": "midjourney", "url": "http://h"}, "engine"),
            ({"engine": 1, "url": "http://h"}, "engine"),
            ({"engine": "comfyui"}, "url"),
            ({"engine": "comfyui", "url": ""}, "url"),
            ({"engine": "openai", "url": "file:///etc/passwd"}, "url"),
            ({"engine": "openai", "url": "http://user:pw@h"}, "url"),
            ({"engine": "openai", "url": "http://h/?a=b"}, "url"),
            ({"engine": "openai", "url": "http://0x7f000001"}, "url"),
            ({"engine": "openai", "url": 7}, "url"),
            ({"engine": "openai", "url": "http://h", "key": 7}, "key"),
            ({"engine": "openai", "url": "http://h", "key": "sk-••••"}, "key"),
            ({"engine": "openai", "url": "http://h", "key": "a\r\nb"}, "key"),
        ],
    )
    def test_bad_requests(self, admin: Client, body: Any, field: str) -> None:
        response = post(admin, VERIFY, body)
        assert response.status_code == 400
        assert (response.json()["code"], list(response.json()["errors"])) == ("invalid", [field])

    def test_the_built_in_engine_needs_no_server(self, admin: Client) -> None:
        assert post(admin, VERIFY, {"engine": "dicebear", "url": None}).json() is True
