"""POST edit over HTTP: who may, what is taken, what reaches the engine, what comes back."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import partial
from io import BytesIO
from typing import Any

import pybase64
import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.test import Client
from django.utils import timezone
from PIL import Image
from rest_framework.request import Request as APIRequest
from rest_framework.test import APIRequestFactory

from imagegen import sources
from imagegen.access.strict import StrictJSONParser
from imagegen.api import edit
from imagegen.engines import ENGINES, addresses
from imagegen.engines.base import Call, Capabilities, EditRequest, Engine, EngineImage, ImageRequest
from imagegen.engines.errors import PromptRejected
from imagegen.engines.spool import Answer
from imagegen.models import Generation, ImageFile, ImageSettings
from imagegen.waiting import room
from tests.fakes.server import FakeServer, Response, picture, redirect

URLS = ["/api/images/edit", "/api/v1/images/edit"]
PNG = picture(40, 30)


def data_uri(data: bytes = PNG, claim: str = "image/png") -> str:
    return f"data:{claim};base64,{pybase64.b64encode(data).decode()}"


def post(client: Client, body: Any, path: str = URLS[0], **kwargs: Any) -> Any:
    return client.post(path, body, content_type="application/json", **kwargs)


def assert_error(response: Any, status: int, code: str = "", field: str = "") -> dict[str, Any]:
    assert response.status_code == status, response.content
    body: dict[str, Any] = response.json()
    assert set(body) <= {"detail", "code", "errors"} and body["detail"] and body["code"]
    if code:
        assert body["code"] == code
    if field:
        assert list(body["errors"]) == [field]
    return body


def content(client: Client, entry: dict[str, Any]) -> bytes:
    return b"".join(client.get(entry["url"]).streaming_content)


class Echo(Engine):
    """Gives back the first picture it is given, as often as asked."""

    name = "echo"
    label = "Echo"
    needs_base_url = False
    seen: list[EditRequest] = []

    def capabilities(self, model: str) -> Capabilities:
        return Capabilities(
            frozenset({"generate", "edit"}), per_call=4, edit_sources=16, mask=True, seed=True
        )

    def _generate(self, request: ImageRequest, call: Call) -> Answer:
        raise AssertionError("nobody asked for that")

    def _edit(self, request: EditRequest, call: Call) -> Answer:
        self.seen.append(request)
        if "forbidden" in request.prompt:
            raise PromptRejected
        answer = Answer()
        for k in range(request.n):
            call.spool.picture(k).write_bytes(request.images[0])
            answer.pictures.append(call.spool.picture(k))
        return answer

    def _parse(self, answer: Answer) -> list[EngineImage]:
        return [EngineImage(path.read_bytes()) for path in answer.pictures]

    def _check(self) -> str:
        return "It echoes."


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch, select: Any) -> list[EditRequest]:
    """What the engine was asked for."""
    monkeypatch.setitem(ENGINES, "echo", Echo)
    monkeypatch.setattr(Echo, "seen", [])
    select("echo", "echo", "edit", default_model="echo-1", listed_models=["echo-2"])
    return Echo.seen


@pytest.fixture
def store() -> Any:
    """Store a picture for somebody."""

    def make(owner: User | None, data: bytes = PNG, **fields: Any) -> ImageFile:
        size = {"width": 40, "height": 30, "native_width": 40, "native_height": 30, "size": len(data)}
        row = ImageFile(owner=owner, name="a", content_type="image/png", sha256="0" * 64, **size, **fields)
        row.file.save("a.png", ContentFile(data), save=False)
        row.save()
        return row

    return make


class Hats(FakeServer):
    def reply(self, request: Any) -> Response:
        return Response(200, PNG, {"content-type": "image/png"})


@pytest.fixture
def hats(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server that counts as public under the name hats.example."""
    look_up, judge = addresses.lookup, addresses.is_public

    def lookup(host: str, port: int) -> list[Any]:
        there = [server._server.server_address]
        return there if host == "hats.example" else look_up(host, port)

    monkeypatch.setattr(addresses, "lookup", lookup)
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1" or judge(address))
    with Hats() as server:
        yield server


def url_of(server: FakeServer) -> str:
    return "http://hats.example/hat.png"


@pytest.mark.parametrize("path", URLS)
def test_a_list_with_one_entry_per_picture(api: Client, member: User, path: str) -> None:
    response = post(api, {"image": data_uri(), "prompt": "In winter", "n": 2, "size": "64x80"}, path)
    assert response.status_code == 200
    entries = response.json()
    assert len(entries) == 2
    for entry in entries:
        assert set(entry) == {"id", "url", "name", "content_type", "width", "height"}
        assert (entry["width"], entry["height"], entry["content_type"]) == (64, 80, "image/png")
        assert Image.open(BytesIO(content(api, entry))).size == (64, 80)
    assert {file.owner for file in ImageFile.objects.all()} == {member}
    row = Generation.objects.get()
    assert (row.operation, row.engine, row.model, row.status) == ("edit", "echo", "echo-1", "succeeded")


def test_everything_reaches_the_engine(api: Client, seen: list[EditRequest]) -> None:
    body = {
        "image": [data_uri(), data_uri(picture(50, 50, "JPEG"))],
        "mask": data_uri(picture(40, 30, "GIF")),
        "prompt": " A hat ",
        "model": "echo/echo-2",
        "size": "64x64",
        "n": 2,
        "steps": 9,
        "negative_prompt": "scarf",
        "seed": 5,
        "background": "transparent",
        "metadata": {"chat_id": "c-1", "message_id": "m-1", "tool": "x"},
        "quality": "unknown fields are ignored",
    }
    assert post(api, body).status_code == 200
    (request,) = seen
    assert [Image.open(BytesIO(data)).format for data in request.images] == ["PNG", "JPEG"]
    assert request.mask is not None and Image.open(BytesIO(request.mask)).format == "PNG"
    assert (request.prompt, request.model, request.negative_prompt) == (" A hat ", "echo-2", "scarf")
    assert (str(request.size), request.n, request.steps, request.seed) == ("64x64", 2, 9, 5)
    assert request.background == "transparent"
    assert {(file.chat_id, file.message_id) for file in ImageFile.objects.all()} == {("c-1", "m-1")}
    assert Generation.objects.get().parameters["metadata"] == {"tool": "x"}


def test_an_edited_picture_can_be_edited_again(api: Client) -> None:
    (first,) = post(api, {"image": data_uri(), "prompt": "a"}).json()
    for source in (first["id"], first["url"], f"http://testserver{first['url']}"):
        (entry,) = post(api, {"image": source, "prompt": "b"}).json()
        assert content(api, entry) == content(api, first)


def test_the_same_picture_from_every_kind_of_source(
    api: Client, member: User, store: Any, hats: Hats, seen: list[EditRequest]
) -> None:
    file = store(member)
    path = f"/api/v1/files/{file.pk}/content"
    kinds = [data_uri(), url_of(hats), path, f"http://testserver{path}", str(file.pk)]
    assert post(api, {"image": kinds, "prompt": "a"}).status_code == 200
    assert list(seen[0].images) == [PNG] * 5


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"image": None}, "image"),
        ({"image": []}, "image"),
        ({"image": 7}, "image"),
        ({"image": {"url": "x"}}, "image"),
        ({"image": [PNG.hex(), 7]}, "image"),
        ({"image": [[data_uri()]]}, "image"),
        ({"image": [None]}, "image"),
        ({"image": ""}, "image"),
        ({"image": "cat.png"}, "image"),
        ({"image": "a\0"}, "image"),
        ({"image": "data:image/png;base64,????"}, "image"),
        ({"image": data_uri(b"<html>")}, "image"),
        ({"image": [data_uri()] * 17}, "image"),
        ({"image": "ftp://hats.example/hat.png"}, "image"),
        ({"mask": 7}, "mask"),
        ({"mask": ""}, "mask"),
        ({"mask": [data_uri()]}, "mask"),
        ({"mask": "cat.png"}, "mask"),
        ({"mask": data_uri(picture(30, 40))}, "mask"),
        ({"background": 7}, "background"),
        ({"background": "x" * 101}, "background"),
        ({"prompt": None}, "prompt"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": "x" * 32_001}, "prompt"),
        ({"model": "no-such-model"}, "model"),
        ({"size": "63x64"}, "size"),
        ({"n": 0}, "n"),
        ({"n": 11}, "n"),
        ({"steps": 151}, "steps"),
        ({"negative_prompt": 5}, "negative_prompt"),
        ({"seed": -1}, "seed"),
        ({"metadata": {"chat_id": 7}}, "metadata.chat_id"),
    ],
)
def test_a_bad_field_is_named(api: Client, body: dict[str, Any], field: str) -> None:
    assert_error(post(api, {"image": data_uri(), "prompt": "a", **body}), 400, "invalid", field)
    assert not Generation.objects.exists()


@pytest.mark.parametrize("field", ["image", "prompt"])
def test_what_is_required(api: Client, field: str) -> None:
    body = {"image": data_uri(), "prompt": "a"}
    del body[field]
    assert_error(post(api, body), 400, "invalid", field)


@pytest.mark.parametrize("field", ["mask", "model", "size", "n", "steps", "background", "metadata", "seed"])
def test_null_is_absent(api: Client, field: str) -> None:
    assert post(api, {"image": data_uri(), "prompt": "a", field: None}).status_code == 200


def test_one_of_several_is_named(api: Client) -> None:
    body = {"image": [data_uri(), data_uri(b"<html>")], "prompt": "a"}
    told = assert_error(post(api, body), 400, "invalid", "image")
    assert told["errors"] == {"image": ["picture 2: Not a PNG, JPEG, WebP or GIF picture."]}


@pytest.mark.parametrize("raw", ["", "{", "[]", "null", '"a"', b"\xff"])
def test_a_body_that_is_no_object(api: Client, raw: Any) -> None:
    assert_error(post(api, raw), 400)


def test_methods_and_content_types(api: Client) -> None:
    assert_error(api.get(URLS[0]), 405)
    assert_error(api.post(URLS[0], {"prompt": "a"}), 415)
    assert_error(post(api, {"prompt": "a"}, CONTENT_LENGTH=str(71 * 1024**2)), 413)


def test_more_than_fifty_megabytes(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_BYTES_TOGETHER", 2 * len(PNG))
    assert post(api, {"image": [data_uri()] * 2, "prompt": "a"}).status_code == 200
    told = assert_error(post(api, {"image": [data_uri()] * 3, "prompt": "a"}), 400, "invalid", "image")
    assert "together" in told["detail"]


def test_as_many_megabytes_as_we_take_fit_into_a_body(settings: Any) -> None:
    assert sources.MAX_BYTES_TOGETHER * 4 / 3 + 32_000 * 12 < settings.EASEL_MAX_BODY_BYTES


class TestWhoMay:
    def test_nobody_is_401(self, client_for: Any, hats: Hats) -> None:
        response = post(client_for(None), {"image": url_of(hats), "prompt": "a"})
        assert_error(response, 401)
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert not hats.requests

    @pytest.mark.parametrize("body", [{"image": "x", "prompt": "a"}, {"prompt": 7}, "{"])
    def test_without_the_permission_403_before_the_body(
        self, client_for: Any, outsider: User, body: Any
    ) -> None:
        assert "errors" not in assert_error(post(client_for(outsider), body), 403, "permission_denied")

    def test_without_the_permission_nothing_is_fetched(
        self, client_for: Any, outsider: User, hats: Hats
    ) -> None:
        assert_error(post(client_for(outsider), {"image": url_of(hats), "prompt": "a"}), 403)
        assert not hats.requests

    def test_the_cookie_needs_its_own_origin(self, client_for: Any, member: User) -> None:
        client, body = client_for(None), {"image": data_uri(), "prompt": "a"}
        client.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
        client.get("/api/auth/session")
        proof = {"x-csrftoken": client.cookies["csrftoken"].value}
        assert_error(post(client, body), 403, "csrf_failed")
        assert_error(post(client, body, headers={**proof, "origin": "https://evil.example"}), 403)
        assert not Generation.objects.exists()
        assert post(client, body, headers=proof).status_code == 200

    @pytest.mark.parametrize("switch", ["edit_enabled", "generation_enabled"])
    def test_switched_off_is_403_for_admins_too(
        self, client_for: Any, superuser: User, hats: Hats, switch: str
    ) -> None:
        ImageSettings.objects.update(**{switch: False})
        body = {"image": url_of(hats), "prompt": "a"}
        assert_error(post(client_for(superuser), body), 403, "disabled")
        assert not hats.requests

    def test_an_engine_that_cannot_edit(self, api: Client) -> None:
        generating = ImageSettings.objects.current().generate_connection
        ImageSettings.objects.update(edit_connection=generating)
        assert_error(post(api, {"image": data_uri(), "prompt": "a"}), 400, "unsupported")

    def test_no_engine_for_editing(self, api: Client) -> None:
        ImageSettings.objects.update(edit_connection=None)
        assert_error(post(api, {"image": data_uri(), "prompt": "a"}), 403, "disabled")


class TestFiles:
    def test_others_unknown_and_expired_ones_are_404(
        self, api: Client, member: User, other: User, store: Any, seen: list[EditRequest]
    ) -> None:
        expired = store(member, expires_at=timezone.now() - timedelta(seconds=1))
        for pk in (store(other).pk, expired.pk, uuid.uuid4()):
            path = f"/api/v1/files/{pk}/content"
            for source in (str(pk), path, f"http://testserver{path}", [data_uri(), str(pk)]):
                told = assert_error(post(api, {"image": source, "prompt": "a"}), 404, "not_found")
                assert "There is no such file." in told["detail"]
            body = {"image": data_uri(), "mask": str(pk), "prompt": "a"}
            assert_error(post(api, body), 404, "not_found")
        assert not seen

    def test_whoever_may_see_others_may_use_them(
        self, client_for: Any, member: User, other: User, superuser: User, store: Any
    ) -> None:
        body = {"image": str(store(other).pk), "prompt": "a"}
        assert post(client_for(superuser), body).status_code == 200
        member.user_permissions.add(Permission.objects.get(codename="view_others_pictures"))
        (entry,) = post(client_for(member), body).json()
        assert ImageFile.objects.get(pk=entry["id"]).owner == member


class TestLinks:
    @pytest.mark.parametrize(
        "url",
        [
            "http://localhost:8000/",
            "http://10.0.0.1/a.png",
            "http://169.254.169.254/latest/meta-data/",
            "http://[::1]/a.png",
            "http://2130706433/a.png",
            "http://0x7f000001/a.png",
            "http://user:secret@hats.example/hat.png",
            "http://testserver/api/auth/keys",
        ],
    )
    def test_hostile_ones(self, api: Client, url: str) -> None:
        told = assert_error(post(api, {"image": url, "prompt": "a"}), 400, "invalid", "image")
        for secret in ("localhost", "10.0.0.1", "169.254", "::1", "secret", "public"):
            assert secret not in told["detail"]

    def test_a_redirect_inside(self, api: Client, hats: Hats) -> None:
        hats.fault = redirect("http://10.0.0.1/a.png")
        told = assert_error(post(api, {"image": url_of(hats), "prompt": "a"}), 400, "invalid", "image")
        assert "10.0.0.1" not in told["detail"]

    @pytest.mark.parametrize(
        "bad", [{"prompt": 7}, {"n": 0}, {"mask": "cat.png"}, {"image": ["cat.png"]}, {"metadata": 1}]
    )
    def test_nothing_is_fetched_for_a_body_that_is_refused(
        self, api: Client, hats: Hats, bad: dict[str, Any]
    ) -> None:
        body = {"prompt": "a", **bad, "image": [url_of(hats), *bad.get("image", [])]}
        assert_error(post(api, body), 400, "invalid")
        assert not hats.requests

    def test_whoever_waits_for_a_url_takes_up_room(self, api: Client, hats: Hats, settings: Any) -> None:
        inside = []
        hats.fault = lambda wire, response: (inside.append(room.inside), wire.send(response))[1]
        assert post(api, {"image": url_of(hats), "prompt": "a"}).status_code == 200
        assert inside == [1]
        assert room.inside == 0
        settings.EASEL_MAX_WAITING = 0
        assert_error(post(api, {"image": url_of(hats), "prompt": "a"}), 503, "too_busy")
        assert len(hats.requests) == 1


class TestIdempotency:
    headers = {"idempotency-key": "one"}

    def test_a_repeat_gets_the_same_answer_though_its_sources_are_gone(
        self, api: Client, member: User, store: Any, hats: Hats, seen: list[EditRequest]
    ) -> None:
        file = store(member)
        body = {"image": [str(file.pk), url_of(hats)], "prompt": "a"}
        first = post(api, body, headers=self.headers)
        file.delete()
        again = post(api, body, headers=self.headers)
        assert first.status_code == again.status_code == 200
        assert first.json() == again.json()
        assert len(seen) == len(hats.requests) == 1

    def test_another_body_or_endpoint_is_422(self, api: Client) -> None:
        body = {"image": data_uri(), "prompt": "a"}
        post(api, body, headers=self.headers)
        assert_error(post(api, {**body, "prompt": "b"}, headers=self.headers), 422)
        assert_error(post(api, {**body, "image": [data_uri()]}, headers=self.headers), 422)
        assert_error(post(api, body, "/api/images/generations", headers=self.headers), 422)

    def test_somebody_elses_key_is_another_key(
        self, api: Client, client_for: Any, other: User, seen: list[EditRequest]
    ) -> None:
        body = {"image": data_uri(), "prompt": "a"}
        post(api, body, headers=self.headers)
        assert post(client_for(other), body, headers=self.headers).status_code == 200
        assert len(seen) == 2

    def test_a_bad_key(self, api: Client) -> None:
        response = post(api, {"image": data_uri(), "prompt": "a"}, headers={"idempotency-key": "ä"})
        assert_error(response, 400, "invalid", "Idempotency-Key")


def test_a_refused_prompt(api: Client) -> None:
    assert_error(post(api, {"image": data_uri(), "prompt": "forbidden"}), 400, "prompt_rejected")
    row = Generation.objects.get()
    assert (row.operation, row.status, row.error_code) == ("edit", "failed", "prompt_rejected")


def test_the_text_of_the_sources_is_let_go(member: User) -> None:
    """Tens of megabytes would otherwise stay in memory for as long as the engine works."""
    body = {"image": [data_uri()], "mask": data_uri(), "prompt": "a"}
    raw = APIRequestFactory().post(URLS[0], body, format="json")
    request = APIRequest(raw, parsers=[StrictJSONParser()])
    request.user = member
    _, sources = edit.read_order(request)
    assert not request.data
    read = sources()
    assert (read.images, read.mask is not None) == ([PNG], True)
    assert isinstance(sources, partial) and not sources.args[0]


def test_models_for_editing(api: Client) -> None:
    listed = api.get("/api/images/models?operation=edit").json()
    assert [model["id"] for model in listed] == ["echo-1", "echo-2"]


def test_the_description_knows_it(client: Client, db: None) -> None:
    response = client.get("/api/schema?format=json")
    operation = response.json()["paths"]["/api/images/edit"]["post"]
    assert {"200", "400", "401", "403", "404", "409", "413", "415", "422", "429", "503"} <= set(
        operation["responses"]
    )
    name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    body = response.json()["components"]["schemas"][name]
    assert set(body["required"]) == {"image", "prompt"}
    one, several = body["properties"]["image"]["oneOf"]
    assert (one["type"], several["maxItems"]) == ("string", 16)
