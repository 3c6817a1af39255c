"""The key of a connection, and Easel's own secrets, come to light nowhere.

Engines that repeat the key in every way are set up in the admin, tested, tried and asked over REST. Then all
that anybody could see is searched: pages, answers, headers, logs, spans, tables, files, commands, mails.
"""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from django.contrib.auth.models import User
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.utils.log import AdminEmailHandler
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from config import telemetry
from imagegen import generation
from imagegen.admin.connection_form import ConnectionForm
from imagegen.admin.engine_fields import ENGINE_FIELDS
from imagegen.engines import http, wire
from imagegen.models import EngineConnection, Generation, ImageSettings
from tests.conftest import ClientFor, use_storage
from tests.fakes.server import FakeServer, picture
from tests.imagegen.admin.conftest import BACKEND, form_of
from tests.security.leaks import (
    Seen,
    admin_url,
    found,
    look_at_commands,
    look_at_the_admin,
    look_at_what_is_kept,
    spellings,
)
from tests.security.parrots import OF_OURS, PARROTS, Parrot, hostilities, too_late

pytestmark = pytest.mark.django_db

SOURCE = f"data:image/png;base64,{base64.b64encode(picture(256, 192)).decode()}"


def test_every_engine_that_takes_a_key_is_here() -> None:
    takes_one = {name for name, entry in ENGINE_FIELDS.items() if "new_key" in entry.names}
    assert {parrot.engine for parrot in PARROTS.values()} == takes_one


@pytest.mark.parametrize("name", spellings("oai-Qz7/Xw9+LkRt<Vb&Jd"))
def test_the_search_finds_each_spelling(name: str) -> None:
    key = next(iter(PARROTS.values())).key
    assert found(key, f"it was {spellings(key)[name]} indeed")
    assert not found(key, f"it was ***{key[-4:]} and {key[:7]} indeed")


@pytest.fixture(params=PARROTS)
def parrot(request: pytest.FixtureRequest) -> Parrot:
    return PARROTS[request.param]


@pytest.fixture
def server(parrot: Parrot, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    with parrot.running(monkeypatch) as running:
        yield running


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def folders(settings: Any, tmp_path: Path) -> tuple[Path, ...]:
    settings.EASEL_INCOMING_DIR = tmp_path / "incoming"
    use_storage(settings, f"file://{tmp_path}/pictures")
    return tmp_path / "incoming", tmp_path / "pictures"


@pytest.fixture
def logs() -> Iterator[dict[str, io.StringIO]]:
    """All that is logged, from DEBUG on, in both forms that the product writes."""
    root, structured = logging.getLogger(), structlog.get_config()
    before, streams = (root.handlers[:], root.level), {"json": io.StringIO(), "console": io.StringIO()}
    handlers = []
    for form, stream in streams.items():
        telemetry.configure(level="DEBUG", log_format=form, endpoint="", stream=stream)
        handlers += root.handlers
    root.handlers[:] = [*before[0], *dict.fromkeys(handlers)]
    yield streams
    root.handlers[:], root.level = before
    structlog.configure(**structured)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for module in (telemetry, generation, wire):
        monkeypatch.setattr(module, "tracer", provider.get_tracer("test"))
    return exporter


@pytest.fixture
def staff(seen: Seen, superuser: User) -> Staff:
    client = Client(raise_request_exception=False)
    client.force_login(superuser, backend=BACKEND)
    return Staff(seen, client)


class Staff:
    """Whoever sets connections up in the admin."""

    def __init__(self, seen: Seen, client: Client) -> None:
        self.seen, self.client = seen, client

    def post(self, name: str, path: str, data: dict[str, Any]) -> Any:
        return self.seen.answer(f"admin: {name}", self.client.post(path, data))

    def entered(self, parrot: Parrot, url: str) -> dict[str, Any]:
        """The form of a new connection, filled in."""
        empty = form_of(self.client.get(f"{admin_url('add')}?engine={parrot.engine}"))
        parameters = json.dumps(parrot.parameters)
        chosen = {"default_model": parrot.model, "parameters": parameters, "deadline": 2}
        return empty | {"name": "parrot", "base_url": url, "new_key": parrot.key} | chosen

    def add(self, parrot: Parrot, server: FakeServer) -> EngineConnection:
        """With the mistakes that people make, the key in the form each time."""
        data = self.entered(parrot, server.url)
        for mistake in (
            {"name": ""}, {"deadline": 0}, {"parameters": "{"}, {"base_url": "x"},
            {"new_key": f"•{parrot.key}"}, {"new_key": f"{parrot.key}\x07"}, {"new_key": parrot.key * 99},
        ):  # fmt: skip
            assert self.post("a mistake", admin_url("add"), data | mistake).status_code == 200, mistake
        for action in ("test_new", "models_new"):
            self.post(action, admin_url(action), data)
        assert self.post("added", admin_url("add"), data).status_code == 302
        connection = EngineConnection.objects.get(name="parrot")
        change = admin_url("change", connection.pk)
        both = form_of(self.client.get(change)) | {"new_key": parrot.key, "forget_key": "on"}
        assert self.post("both", change, both).status_code == 200
        changed = form_of(self.client.get(change)) | {"new_key": parrot.key, "concurrency": 9}
        assert self.post("changed", change, changed).status_code == 302
        connection.refresh_from_db()
        assert connection.key == parrot.key
        return connection

    def try_out(self, connection: EngineConnection) -> None:
        entered = form_of(self.client.get(admin_url("change", connection.pk)))
        for action in ("test", "models"):
            self.post(action, admin_url(action, connection.pk), entered)
        self.post("try", admin_url("try", connection.pk), {"prompt": "a red cat"})
        if connection.engine == "comfyui":
            page = admin_url("workflow", connection.pk, "generate")
            filled = self.client.post(page, {"action": "starter-txt2img"}).context["draft"]
            checked = {"action": "check", "workflow": filled.text, "digest": filled.digest}
            self.post("workflow", page, checked)


def ask(seen: Seen, client: Client, parrot: Parrot, url: str) -> None:
    """What a user asks for, and an administrator, over REST."""
    prompt = {"prompt": "a red cat"}
    for path, body in {
        "/api/images/generations": prompt,
        "/api/images/edit": prompt | {"image": SOURCE},
        "/api/mind/profile/generatePortrait": {"prompt": "A bald man"},
        "/api/mind/profile/generatePortraitPrompt": {"portrait": {"gender": "female"}},
        "/api/images/verify": {"engine": parrot.engine, "key": parrot.key, "url": url},
    }.items():
        seen.answer(path, client.post(path, body, content_type="application/json"))
    for path in ("/api/images/models", "/api/images/config", "/api/v1/files/", "/api/usage"):
        seen.answer(path, client.get(path))
    unknown = {**prompt, "model": "nobody-has-this"}
    seen.answer("unknown", client.post("/api/images/generations", unknown, content_type="application/json"))


def use_for_everything(connection: EngineConnection) -> None:
    current = ImageSettings.objects.current()
    for operation in ("generate", "edit", "portrait", "polish"):
        setattr(current, f"{operation}_connection", connection)
    current.save()


def test_the_key_of_a_connection_is_seen_nowhere(
    parrot: Parrot,
    server: FakeServer,
    seen: Seen,
    staff: Staff,
    client_for: ClientFor,
    superuser: User,
    logs: dict[str, io.StringIO],
    spans: InMemorySpanExporter,
    folders: tuple[Path, ...],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.EASEL_METRICS_ALLOWED = ["127.0.0.1"]
    connection, user = staff.add(parrot, server), client_for(superuser)
    use_for_everything(connection)
    for name, hostility in hostilities(parrot.key).items():
        server.fault = hostility
        EngineConnection.objects.get(pk=connection.pk).save()  # no list of models is remembered, it rests not
        staff.try_out(connection)
        ask(seen, user, parrot, server.url)
        look_at_commands(seen, "parrot") if name == "it is friendly" else None
    server.fault = too_late
    seen.answer(
        "too late", user.post("/api/images/generations", {"prompt": "a cat"}, content_type="application/json")
    )
    monkeypatch.setattr(http, "ask", _a_fault_of_ours)
    staff.try_out(connection)
    ask(seen, user, parrot, server.url)

    assert Generation.objects.filter(status="succeeded").count() >= 4, "the friendly one was understood"
    look_at_the_admin(seen, staff.client)
    look_at_commands(seen, "parrot")
    look_at_what_is_kept(seen, *folders)
    for path in ("/metrics", "/readyz", "/api/schema", "/account/keys"):
        seen.answer(path, staff.client.get(path))
    seen.add("spans", *(span.to_json() for span in spans.get_finished_spans()))
    for form, stream in logs.items():
        seen.add(f"log as {form}", stream.getvalue())
    assert seen.leaks(parrot.key, parrot.key.partition(":")[2] or parrot.key) == {}


def _a_fault_of_ours(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError(f"cannot send {kwargs}")


@pytest.mark.parametrize("debug", [True, False])
def test_an_error_page_and_an_error_mail_show_where_and_no_value(
    debug: bool,
    staff: Staff,
    seen: Seen,
    logs: dict[str, io.StringIO],
    settings: Any,
    mailoutbox: list[EmailMultiAlternatives],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.DEBUG, settings.ADMINS = debug, [("Staff", "staff@easel.example")]
    settings.SOME_URL = f"postgres://easel:{OF_OURS}@db/easel"
    parrot, mails = PARROTS["openai"], AdminEmailHandler(include_html=True)
    data = staff.entered(parrot, "http://127.0.0.1:9")

    def fail(form: ConnectionForm, commit: bool = True) -> None:
        key = form.cleaned_data["new_key"]
        raise RuntimeError(f"{len(key)} characters")

    monkeypatch.setattr(ConnectionForm, "save", fail)
    logging.getLogger("django.request").addHandler(mails)
    try:
        staff.client.defaults["HTTP_X_API_KEY"] = staff.client.defaults["HTTP_X_OTHER"] = parrot.key
        page = staff.post("an error", admin_url("add"), data)
    finally:
        logging.getLogger("django.request").removeHandler(mails)
    assert page.status_code == 500, page.content
    (mail,) = mailoutbox
    seen.add("mail", mail.body, *(content for content, _ in mail.alternatives))
    seen.add("logs", *(stream.getvalue() for stream in logs.values()))
    for told in (mail.body, *([page.content.decode()] if debug else [])):
        assert f"{len(parrot.key)} characters" in told and "new_key" in told and "SOME_URL" in told
    session = staff.client.cookies["connect.sid"].value
    ours = (settings.SECRET_KEY, settings.EASEL_ENCRYPTION_KEYS[0], OF_OURS)
    seen.texts["admin: an error"] = [page.content.decode()]  # its cookies are the browser's own
    assert page.status_code == 500 and seen.leaks(parrot.key, session, *ours) == {}
