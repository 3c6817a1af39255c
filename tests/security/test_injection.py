"""Fields, headers and log lines that a client would like to write."""

from __future__ import annotations

import gzip
import io
import json
import logging
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.message import Message
from typing import Any

import pytest
import structlog
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone

from config import telemetry
from imagegen.access.models import ApiKey, issue_key
from imagegen.models import EngineConnection, Generation, ImageFile
from tests.fakes.server import FakeServer, Request, Response, picture
from tests.security.world import resolved

FILES = "/api/v1/files/"
ClientFor = Callable[[User | None], Client]


def post(client: Client, path: str, body: Any, **headers: str) -> Any:
    return client.post(path, json.dumps(body), content_type="application/json", headers=headers)


class TestMassAssignment:
    """Fields of a record that no client may set, sent along."""

    def ours(self, other: User) -> dict[str, Any]:
        yesterday = (timezone.now() - timedelta(days=1)).isoformat()
        return {
            **{name: other.pk for name in ("user", "user_id", "owner", "owner_id", "created_by")},
            **{name: str(uuid.uuid4()) for name in ("id", "pk", "uuid", "trace_id", "generation")},
            **{name: yesterday for name in ("created_at", "expires_at", "deadline_at")},
            **{"status": "failed", "cost": -5, "engine": "openai", "connection_id": 7, "error_code": "x"},
            **{"is_staff": True, "is_superuser": True, "permissions": ["features.image_generation"]},
        }

    @pytest.mark.parametrize("path", ["/api/images/generations", "/api/mind/profile/generatePortrait"])
    def test_a_generation_is_its_callers(self, api: Client, member: User, other: User, path: str) -> None:
        sent = self.ours(other)
        assert post(api, path, {"prompt": "A cat", **sent}).status_code == 200
        row, file = Generation.objects.get(), ImageFile.objects.get()
        assert (row.user, file.owner, row.status, row.engine) == (member, member, "succeeded", "dicebear")
        assert str(row.pk) not in sent.values() and str(file.pk) not in sent.values()
        assert row.cost != -5 and row.error_code == "" and row.connection_id != 7
        assert row.created_at > timezone.now() - timedelta(hours=1)
        assert file.expires_at is None or file.expires_at > timezone.now()

    def test_so_is_an_upload(self, api: Client, member: User, other: User) -> None:
        form = {name: str(value) for name, value in self.ours(other).items()}
        fields = {"sha256": "0" * 64, "content_type": "text/html", "width": "1", "name": "a.html"}
        sent = {"file": SimpleUploadedFile("a.png", picture(64, 48)), **form, **fields}
        answer = api.post(FILES, sent)
        assert answer.status_code == 201, answer.content
        file = ImageFile.objects.get()
        assert (file.owner, file.content_type, file.width) == (member, "image/png", 64)
        assert str(file.pk) != form["id"] and file.sha256 != "0" * 64 and file.name == "a.png"

    def test_so_is_a_key(self, api: Client, member: User, other: User) -> None:
        sent = {
            **self.ours(other),
            "hash": "0" * 64,
            "prefix": "x",
            "key": "easel_mine",
            "last_used_at": None,
        }
        del sent["expires_at"]
        answer = post(api, "/api/auth/keys", {"name": "k", **sent})
        assert answer.status_code == 201, answer.content
        key = ApiKey.objects.get()
        assert key.user == member and key.hash != "0" * 64 and answer.json()["key"] != "easel_mine"

    def test_nobody_makes_themselves_more(self, api: Client, member: User, other: User) -> None:
        for path in ("/api/auth/token", "/api/auth/session"):
            credentials = {"username": "member", "password": "correct horse battery staple"}
            assert post(api, path, {**credentials, **self.ours(other)}).status_code < 300
        member.refresh_from_db()
        assert not (member.is_staff or member.is_superuser)


class TestOtherOrigins:
    """No page of another site reads an answer, whatever the route: CORS is off."""

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://testserver.evil.example"])
    @pytest.mark.parametrize("method", ["OPTIONS", "GET", "POST"])
    def test_no_route_says_that_it_may(
        self, client_for: ClientFor, superuser: User, origin: str, method: str
    ) -> None:
        client, paths = client_for(superuser), list(routes())
        assert len(paths) > 40
        for path in paths:
            headers = {"origin": origin, "access-control-request-method": "POST"}
            answer = client.generic(method, path, b"", headers=headers)
            told = [name for name in answer.headers if name.lower().startswith("access-control-")]
            assert not told, f"{method} {path}"


def routes() -> Iterator[str]:
    """A path for each pattern of the application's own pages."""
    for route in resolved(get_resolver().url_patterns):
        if not route.startswith("admin/logout"):
            path = re.sub(r"<(?:(\w+):)?\w+>", lambda kind: VALUES.get(kind[1] or "str", "x"), route)
            yield "/" + re.sub(r"[\^$]|\\Z|\(\?P<.*?>.*?\)|\(\?:.*?\)", "", path).replace("\\", "")


VALUES = {"int": "1", "uuid": str(uuid.UUID(int=1)), "path": "x", "str": "x", "slug": "x"}


NAMES = [
    "a.png\r\nSet-Cookie: connect.sid=evil\r\n\r\n<script>alert(1)</script>",
    'a"; filename="evil.html',
    "a.png\nX-Accel-Redirect: /etc/passwd",
    "a\u2028b\u202egnp.exe",
    "../../../etc/passwd",
    "a;b=c.html",
    "\u010a\u010d.png",
    "=?utf-8?q?a=0d=0aSet-Cookie:b?=",
    "\U0001f600.svg",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("download", ["", "?download=1"])
def test_a_name_writes_no_header(api: Client, name: str, download: str) -> None:
    answer = api.post(FILES, {"file": SimpleUploadedFile("a.png", picture(64, 48))})
    file = ImageFile.objects.get(pk=answer.json()["id"])
    file.name = name
    file.save()
    content = api.get(f"{FILES}{file.pk}/content{download}")
    assert content.status_code == 200
    assert not {"Set-Cookie", "X-Accel-Redirect"} & set(content.headers)
    told = content.headers["Content-Disposition"]
    assert told.isascii() and told.isprintable()
    parsed = Message()
    parsed["Content-Disposition"] = told
    assert parsed.get_content_disposition() == ("attachment" if download else "inline")
    assert len(parsed.get_params(header="Content-Disposition", failobj=[])) <= 2


class EchoingEngine(FakeServer):
    """Fails, and repeats the prompt as its reason."""

    def reply(self, request: Request) -> Response:
        return Response(500, json.loads(request.body)["prompt"].encode("utf-8", "replace"))


EVIL = (
    "A cat\n2026-01-01T00:00:00.000000Z [info     ] FORGED\r\n"
    '{"event": "FORGED", "level": "info"}\x1b[2J\x1b]0;owned\x07\x9b31m\u2028FORGED\x85FORGED'
)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_prompt_and_no_other_text_forges_a_line_or_steers_a_terminal(
    api: Client, member: User, select: Callable[..., EngineConnection], log_format: str
) -> None:
    root = logging.getLogger()
    before, stream = (root.handlers[:], root.level, structlog.get_config()), io.StringIO()
    telemetry.configure(level="DEBUG", log_format=log_format, endpoint="", stream=stream)
    try:
        with EchoingEngine() as engine:
            select(
                "ours",
                "openai",
                "generate",
                "edit",
                "portrait",
                base_url=engine.url,
                default_model="m",
                key="k",
            )
            for path in ("/api/images/generations", "/api/mind/profile/generatePortrait"):
                assert post(api, path, {"prompt": EVIL}).status_code in (400, 500)
            assert len(engine.requests) == 2
        post(api, "/api/images/generations", {"prompt": "x", "model": EVIL, "size": EVIL})
        post(api, "/api/images/edit", {"prompt": EVIL, "image": f"http://a.example/{EVIL}"})
        post(api, "/api/mind/profile/generatePortraitPrompt", {"subject": EVIL, "details": EVIL})
        post(api, "/api/auth/token", {"username": EVIL, "password": EVIL})
        post(api, "/api/auth/keys", {"name": EVIL})
        api.get(FILES, {"chat_id": EVIL, "cursor": EVIL})
        api.get(f"{FILES}%0aFORGED/content", headers={"traceparent": EVIL.replace("\n", " ")})
    finally:
        root.handlers[:], root.level = before[0], before[1]
        structlog.configure(**before[2])
    written = stream.getvalue()
    assert "FORGED" in written, "the engine's reason is in the log, or this shows nothing"
    assert not set(written) & set("\x1b\x07\x9b\r")
    for line in written.splitlines():
        if log_format == "json":
            assert json.loads(line)["event"] != "FORGED"
        else:
            assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z \[\w+ +\] (?!FORGED)|  ", line), line


@pytest.mark.parametrize("path", ["/api/images/generations", "/api/auth/token", "/api/images/edit"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_packed_body_is_not_unpacked(api: Client, path: str, encoding: str) -> None:
    """A hundred megabytes in a hundred kilobytes."""
    bomb = gzip.compress(b'{"prompt": "' + b" " * 100_000_000 + b'"}', compresslevel=1)[:60_000]
    headers = {"content-encoding": encoding}
    answer = api.generic("POST", path, bomb, content_type="application/json", headers=headers)
    assert answer.status_code == 400


def test_a_key_is_looked_for_by_its_hash_alone(member: User, django_assert_num_queries: Any) -> None:
    """So what takes time depends on nothing of the key that a caller could vary byte by byte."""
    _, text = issue_key(user=member, name="k")
    with django_assert_num_queries(1) as queries:
        assert ApiKey.objects.find(text) is not None
    (query,) = queries.captured_queries
    assert text not in query["sql"] and text[6:20] not in query["sql"]
    assert ApiKey.objects.find(text[:-1]) is None
