"""The key of a connection, and Easel's own secrets, come to light nowhere.

Engines that repeat the key in every way are set up in the admin, tested, tried and asked over REST. Then all
that anybody could see is searched: pages, answers, headers, logs, spans, tables, files, commands, mails.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.utils.log import AdminEmailHandler

from imagegen.admin.connection_form import ConnectionForm
from imagegen.admin.engine_fields import ENGINE_FIELDS
from imagegen.engines import http
from imagegen.models import EngineConnection, Generation, ImageSettings
from tests.config.production import run
from tests.conftest import ClientFor
from tests.fakes.server import FakeServer, picture
from tests.imagegen.admin.conftest import BACKEND, form_of
from tests.imagegen.admin.test_workflow_page import changed, fields, read
from tests.security.leaks import (
    Seen,
    admin_url,
    found,
    look_at_commands,
    look_at_the_admin,
    spellings,
)
from tests.security.parrots import OF_OURS, PARROTS, Parrot, hostilities, too_late

pytestmark = pytest.mark.django_db

OURS = {
    "SECRET_KEY": f"{OF_OURS}-that-signs-{OF_OURS}",
    "EASEL_ENCRYPTION_KEYS": "VbDr7mZqk2Yx9LwTn4Hs8JcPf5Ge3RaUv6BiXoNtKyM=",
    "DATABASE_URL": f"postgres://easel:{OF_OURS}@127.0.0.1:1/easel",
    "EASEL_REDIS_URL": f"redis://:{OF_OURS}@127.0.0.1:1/0",
    "EASEL_METRICS_TOKEN": OF_OURS,
    "EASEL_ADMIN_PASSWORD": OF_OURS,
}
WRONG = {
    "SECRET_KEY": OF_OURS,
    "EASEL_ENCRYPTION_KEYS": OF_OURS,
    "DATABASE_URL": f"postgres://easel:{OF_OURS}@db:port/easel",
    "EASEL_REDIS_URL": f"http://:{OF_OURS}@redis",
    "EASEL_STORAGE": f"s3://key:{OF_OURS}@bucket",
    "EASEL_PUBLIC_URL": f"https://easel:{OF_OURS}@easel.example",
}
ASK_FOR_PAGES = """
import django, logging, os; django.setup()
from django.test import Client
from django.utils.log import AdminEmailHandler
class Mails(AdminEmailHandler):
    def send_mail(self, *texts, **more):
        print(texts, more)
logging.getLogger("django.request").addHandler(Mails(include_html=True))
headers = {"host": "127.0.0.1", "cookie": "connect.sid=" + "s" * 32, "x-a": os.environ["SECRET_KEY"]}
browser = Client(raise_request_exception=False, headers=headers)
for path in ("admin/", "api/images/models", "nothing"):
    answer = browser.get(f"/{path}", headers={"authorization": "Bearer " + os.environ["EASEL_METRICS_TOKEN"]})
    print(path, answer.status_code, answer.headers, answer.getvalue().decode())
"""

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
            workflow = read(self.client, connection, changed(node_3={"sampler_name": "nobody"}))
            checked = fields(workflow) | {"action": "check"}
            self.post("workflow", admin_url("workflow", connection.pk, "generate"), checked)


def ask(seen: Seen, client: Client, parrot: Parrot, url: str) -> None:
    """What a user asks for, and an administrator, over REST."""
    prompt = {"prompt": "a red cat"}
    for path, body in {
        "/api/images/generations": prompt,
        "/api/images/edit": prompt | {"image": SOURCE},
        "/api/mind/profile/generatePortrait": {"prompt": "A bald man"},
        "/api/mind/profile/generatePortraitPrompt": {"subject": "pixie"},
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
    look_behind: Callable[[], None],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.EASEL_METRICS_ALLOWED = ["127.0.0.1"]
    connection, user = staff.add(parrot, server), client_for(superuser)
    use_for_everything(connection)
    for name, hostility in hostilities(parrot.key, server.url).items():
        server.fault = hostility
        EngineConnection.objects.get(pk=connection.pk).save()  # no list of models is remembered, it rests not
        staff.try_out(connection)
        ask(seen, user, parrot, server.url)
        if name == "it is friendly":
            look_at_commands(seen, "parrot")
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
    for path in ("/metrics", "/readyz", "/api/schema", "/account/keys"):
        seen.answer(path, staff.client.get(path))
    look_behind()
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


@pytest.mark.parametrize(("debug", "log_format"), [("true", "console"), ("false", "json")])
def test_easels_own_secrets_are_told_by_no_page_mail_or_log(
    debug: str, log_format: str, seen: Seen, tmp_path: Path
) -> None:
    """Neither database nor Redis answers, so that most pages fail."""
    asked = {"DEBUG": debug, "EASEL_LOG_LEVEL": "DEBUG", "EASEL_LOG_FORMAT": log_format, **OURS}
    ended = run(tmp_path, "-c", ASK_FOR_PAGES, DJANGO_SETTINGS_MODULE="config.settings", **asked)
    assert ended.returncode == 0, ended.stderr
    assert "models 503" in ended.stdout and "OperationalError" in ended.stderr
    assert "DATABASES" in ended.stdout and ("DEBUG = True" in ended.stdout) == (debug == "true")
    seen.add("pages and mails", ended.stdout)
    seen.add("logs", ended.stderr)
    assert seen.leaks(OF_OURS, OURS["EASEL_ENCRYPTION_KEYS"]) == {}


@pytest.mark.parametrize("name", WRONG)
def test_nor_by_the_refusal_to_start_with_a_wrong_one(name: str, seen: Seen, tmp_path: Path) -> None:
    ended = run(tmp_path, "manage.py", "check", **(OURS | {name: WRONG[name]}))
    assert ended.returncode and name in ended.stderr
    seen.add("refusal", ended.stdout, ended.stderr)
    assert seen.leaks(OF_OURS) == {}


def test_a_users_password_and_api_key_are_seen_nowhere(
    seen: Seen, staff: Staff, look_behind: Callable[[], None], settings: Any
) -> None:
    """But for the answer that a new key comes in, once."""
    settings.DEBUG = True
    User.objects.create_user("ada", password=OF_OURS, is_staff=True)
    browser = Client(raise_request_exception=False)
    secrets = [OF_OURS, wrong := OF_OURS[::-1].swapcase()]
    for path in ("/account/login", "/admin/login/"):
        for password in (wrong, OF_OURS):
            seen.answer(path, browser.post(path, {"username": "ada", "password": password}))
    new = {"old_password": OF_OURS, "new_password1": f"{OF_OURS}!", "new_password2": f"{OF_OURS}?"}
    seen.answer("password", browser.post("/account/password", new))
    for password in (wrong, OF_OURS):
        login = {"username": "ada", "password": password}
        token = browser.post("/api/auth/token", login, content_type="application/json").json()
        secrets += [text.rpartition(".")[2] for name, text in token.items() if name in ("access", "refresh")]
    made = browser.post("/account/keys", {"name": "laptop", "lifetime": ""}).content.decode()
    (key,) = re.findall(r"easel_[\w-]{20,}", made)
    secrets.append(key[12:])  # staff see how it begins
    assert len(secrets) == 5
    for secret in (*secrets, key):
        headers = {"authorization": f"Bearer {secret}", "x-forwarded-for": secret}
        seen.answer("session", Client(headers=headers).get("/api/auth/session"))
    look_at_the_admin(seen, staff.client)
    look_at_commands(seen)
    look_behind()
    assert seen.leaks(*secrets) == {}
