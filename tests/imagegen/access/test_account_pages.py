"""The pages under /account: what a browser does there, and what is done to it."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core import serializers
from django.test import Client
from django.utils import timezone

from imagegen.access.models import ApiKey, issue_key, record_use
from tests.conftest import PASSWORD

LOGIN, LOGOUT, PASSWORDS, KEYS = "/account/login", "/account/logout", "/account/password", "/account/keys"
NEW_PASSWORD = "quite another horse"
FOREIGN = "https://evil.example"
KEY = re.compile(r"easel_[\w-]{43}")
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture(autouse=True)
def access_urls() -> None:
    """The real ones, unlike elsewhere in this folder."""


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada", password=PASSWORD)


@pytest.fixture
def page(ada: User) -> Client:
    """Ada's browser, logged in."""
    client = Client(raise_request_exception=False)
    client.force_login(ada, backend=BACKEND)
    return client


def log_in(password: str = PASSWORD, path: str = LOGIN, **options: Any) -> tuple[Client, Any]:
    client = Client(raise_request_exception=False)
    return client, client.post(path, {"username": "ada", "password": password}, **options)


def text(response: Any) -> str:
    return response.content.decode()


# Making and revoking


def test_a_key_is_made_and_opens_the_api(page: Client, ada: User) -> None:
    answer = page.post(KEYS, {"name": "laptop", "lifetime": "30"})
    assert answer.status_code == 200
    [shown] = KEY.findall(text(answer))
    header = {"authorization": f"Bearer {shown}"}
    assert Client().get("/api/auth/session", headers=header).json()["username"] == "ada"
    key = ApiKey.objects.get(user=ada)
    assert timedelta(days=29) < key.expires_at - timezone.now() < timedelta(days=31)


def test_it_is_shown_once(page: Client) -> None:
    form = {"name": "laptop", "lifetime": ""}
    [shown] = KEY.findall(text(page.post(KEYS, form)))
    assert not KEY.search(text(page.get(KEYS)))
    again = page.post(KEYS, form)
    assert again.status_code == 400 and not KEY.search(text(again))
    assert "of this name already" in text(again) and ApiKey.objects.count() == 1
    assert ApiKey.objects.get().prefix == shown[:12]


def test_it_is_kept_nowhere(page: Client, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    """Not in the session, a cookie, the history, the log, nor a row; and no cache keeps the answer."""
    with caplog.at_level(logging.DEBUG):
        answer = page.post(KEYS, {"name": "laptop", "lifetime": "90"})
    [shown] = KEY.findall(text(answer))
    told = capfd.readouterr()
    rows = serializers.serialize("json", [*ApiKey.objects.all(), *LogEntry.objects.all()])
    sessions = str([one.get_decoded() for one in Session.objects.all()])
    for place in (rows, sessions, caplog.text, told.out, told.err, str(answer.headers), str(page.cookies)):
        assert shown not in place
    assert "no-store" in answer.headers["Cache-Control"] and "Location" not in answer.headers


def test_last_used_is_shown(page: Client, ada: User) -> None:
    key, _ = issue_key(user=ada, name="laptop")
    assert "<td>never</td>" in text(page.get(KEYS))
    record_use(key=key)
    assert "<td>never</td>" not in text(page.get(KEYS))
    assert f"{timezone.now():%Y, }" in text(page.get(KEYS))


def test_an_expired_key_is_told(page: Client, ada: User) -> None:
    issue_key(user=ada, name="old", expires_at=timezone.now() - timedelta(days=1))
    assert "<td>expired</td>" in text(page.get(KEYS))


def test_a_key_is_revoked(page: Client, ada: User) -> None:
    key, secret = issue_key(user=ada, name="laptop")
    answer = page.post(f"{KEYS}/{key.pk}/revoke", follow=True)
    assert answer.redirect_chain == [(KEYS, 302)]
    assert "“laptop” was revoked" in text(answer) and not ApiKey.objects.exists()
    header = {"authorization": f"Bearer {secret}"}
    assert Client().get("/api/auth/session", headers=header).status_code == 401


def test_both_are_written_down(page: Client, ada: User) -> None:
    page.post(KEYS, {"name": "laptop", "lifetime": ""})
    page.post(f"{KEYS}/{ApiKey.objects.get().pk}/revoke")
    entries = LogEntry.objects.order_by("pk")
    assert [(one.user, one.action_flag) for one in entries] == [(ada, ADDITION), (ada, DELETION)]
    assert all(one.object_repr.startswith("laptop (easel_") for one in entries)


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_revoking_takes_a_form(page: Client, ada: User, method: str) -> None:
    key, _ = issue_key(user=ada, name="laptop")
    assert getattr(page, method)(f"{KEYS}/{key.pk}/revoke").status_code == 405
    assert ApiKey.objects.exists()


def test_somebody_elses_key_is_not_there(page: Client, outsider: User) -> None:
    key, _ = issue_key(user=outsider, name="theirs")
    assert "theirs" not in text(page.get(KEYS))
    answer = page.post(f"{KEYS}/{key.pk}/revoke")
    missing = page.post(f"{KEYS}/{key.pk + 1}/revoke")
    assert answer.status_code == missing.status_code == 404 and text(answer) == text(missing)
    assert ApiKey.objects.filter(pk=key.pk).exists()


@pytest.mark.parametrize(
    ("entered", "told"),
    [
        ({"name": " "}, "This field is required."),
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"name": "a\0b"}, "Null characters are not allowed."),
        ({"name": "a\x1b[2Jb"}, "Leave out line breaks"),
        ({"name": "a", "lifetime": "soon"}, "Select a valid choice."),
    ],
)
def test_a_wrong_field_is_told_beside_it(page: Client, entered: Any, told: str) -> None:
    answer = page.post(KEYS, entered)
    assert answer.status_code == 400 and told in text(answer)
    assert 'aria-invalid="true"' in text(answer) and not ApiKey.objects.exists()


def test_a_name_is_text(page: Client) -> None:
    answer = page.post(KEYS, {"name": "<script>alert(1)</script>", "lifetime": ""})
    assert "<script>alert" not in text(answer) and "&lt;script&gt;alert" in text(answer)


# Who gets in


@pytest.mark.parametrize("path", [KEYS, PASSWORDS, f"{KEYS}/1/revoke"])
@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.django_db
def test_anonymous_is_sent_to_log_in(path: str, method: str) -> None:
    answer = getattr(Client(), method)(path)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{LOGIN}?next={path}")


def test_logging_in_and_out(ada: User) -> None:
    client, answer = log_in()
    assert (answer.status_code, answer.headers["Location"]) == (302, KEYS)
    cookie = client.cookies["connect.sid"]
    assert cookie["httponly"] and cookie["samesite"] == "Lax"
    assert client.get(KEYS).status_code == 200
    assert client.post(LOGOUT).headers["Location"] == LOGIN
    assert client.get(KEYS).status_code == 302


def test_a_login_is_a_new_session(ada: User) -> None:
    client, _ = log_in()
    before = client.cookies["connect.sid"].value
    client.post(LOGIN, {"username": "ada", "password": PASSWORD})
    client.post(LOGOUT)
    client.post(LOGIN, {"username": "ada", "password": PASSWORD})
    assert client.cookies["connect.sid"].value != before


@pytest.mark.parametrize(
    ("following", "leads_to"),
    [
        (PASSWORDS, PASSWORDS),
        ("https://evil.example/", KEYS),
        ("//evil.example/", KEYS),
        ("javascript:alert(1)", KEYS),
        (LOGIN, KEYS),
        (f"{LOGIN}?next={LOGIN}", KEYS),
    ],
)
def test_a_login_leads_nowhere_else(ada: User, page: Client, following: str, leads_to: str) -> None:
    entered = {"username": "ada", "password": PASSWORD, "next": following}
    assert Client().post(LOGIN, entered).headers["Location"] == leads_to
    assert page.get(LOGIN, {"next": following}).headers["Location"] == leads_to


def test_wrong_names_and_passwords_read_the_same(ada: User) -> None:
    _, wrong = log_in("wrong")
    unknown = Client().post(LOGIN, {"username": "nobody", "password": "wrong"})
    User.objects.update(is_active=False)
    _, inactive = log_in()
    for answer in (wrong, unknown, inactive):
        assert answer.status_code == 400 and "The username or password is wrong." in text(answer)
        assert "connect.sid" not in answer.cookies


def test_the_pause_is_that_of_the_api_and_the_admin(ada: User, settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 2
    log_in("wrong")
    log_in("wrong", "/api/auth/token", content_type="application/json")
    _, answer = log_in()
    assert answer.status_code == 429 and 1 <= int(answer.headers["Retry-After"]) <= 300
    assert "Too many wrong passwords. Please try again in" in text(answer)
    _, admin = log_in(path="/admin/login/")
    assert admin.status_code == 429


def test_a_login_forgets_what_went_wrong_before(ada: User, settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 2
    for _ in range(3):
        assert log_in("wrong")[1].status_code == 400
        assert log_in()[1].status_code == 302


@pytest.mark.parametrize("password", ["", "x" * 4097, "a\0b"])
def test_what_is_no_password_is_not_tried(ada: User, password: str, settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 1
    assert log_in(password)[1].status_code == 400
    assert log_in()[1].status_code == 302, "a failure was counted"


# The password


def change(client: Client, old: str = PASSWORD, new: str = NEW_PASSWORD, **options: Any) -> Any:
    entered = {"old_password": old, "new_password1": new, "new_password2": new}
    return client.post(PASSWORDS, entered, **options)


def test_a_new_password_ends_everything_else(ada: User) -> None:
    here, _ = log_in()
    elsewhere, _ = log_in()
    tokens = Client().post(
        "/api/auth/token", {"username": "ada", "password": PASSWORD}, content_type="application/json"
    )
    assert change(here).headers["Location"] == KEYS
    assert here.get(KEYS).status_code == 200
    assert elsewhere.get(KEYS).status_code == 302
    header = {"authorization": f"Bearer {tokens.json()['access']}"}
    assert Client().get("/api/auth/session", headers=header).status_code == 401
    assert log_in()[1].status_code == 400 and log_in(NEW_PASSWORD)[1].status_code == 302


def test_a_weak_password_is_refused(page: Client) -> None:
    answer = change(page, new="ada")
    assert answer.status_code == 400 and "too short" in text(answer)


def test_whoever_has_a_session_cannot_guess_on(page: Client, ada: User, settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 2
    for _ in range(2):
        answer = change(page, "wrong")
        assert answer.status_code == 400 and "not your present password" in text(answer)
    assert change(page).status_code == 429
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)


def test_the_right_one_forgets_what_went_wrong_before(page: Client, settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 2
    for _ in range(3):
        assert "not your present password" in text(change(page, "wrong"))
        assert "too short" in text(change(page, new="ada"))


@pytest.mark.parametrize("path", [LOGIN, "/admin/login/", "/api/auth/token", "/api/auth/session", PASSWORDS])
def test_what_was_typed_is_kept_nowhere(page: Client, path: str) -> None:
    """Axes would write down each field of a form that failed."""
    typed = ["typed-in-vain-1", "typed-in-vain-2"]
    if path == PASSWORDS:
        assert change(page, *typed).status_code == 400
    else:
        kind = {"content_type": "application/json"} if path.startswith("/api") else {}
        log_in(typed[0], path, **kind)
    attempt = AccessAttempt.objects.get()
    assert attempt.username == "ada" and not [word for word in typed if word in str(vars(attempt))]


# Other sites' pages


FORMS = [
    (LOGIN, {"username": "ada", "password": PASSWORD}),
    (LOGOUT, {}),
    (PASSWORDS, {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}),
    (KEYS, {"name": "planted", "lifetime": ""}),
]


@pytest.mark.parametrize(("path", "entered"), FORMS)
def test_a_foreign_page_sends_no_form(page: Client, ada: User, path: str, entered: Any) -> None:
    key, _ = issue_key(user=ada, name="laptop")
    for target in (path, f"{KEYS}/{key.pk}/revoke"):
        assert page.post(target, entered, headers={"origin": FOREIGN}).status_code == 403
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD) and ApiKey.objects.get() == key
    assert page.get(KEYS).status_code == 200


@pytest.mark.parametrize(("path", "entered"), FORMS)
def test_a_form_needs_its_token(ada: User, path: str, entered: Any) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada, backend=BACKEND)
    assert strict.post(path, entered).status_code == 403
    [token] = set(re.findall(r'csrfmiddlewaretoken" value="(\w+)"', text(strict.get(KEYS))))
    own = {"origin": "http://testserver"}
    answer = strict.post(path, {**entered, "csrfmiddlewaretoken": token}, headers=own)
    assert answer.status_code in (200, 302)


@pytest.mark.parametrize("path", [LOGIN, KEYS, PASSWORDS])
def test_a_foreign_page_reads_nothing(page: Client, path: str) -> None:
    answer = page.get(path, headers={"origin": FOREIGN})
    assert answer.status_code == 403 and "ada" not in text(answer)


@pytest.mark.parametrize("path", [LOGIN, KEYS, PASSWORDS])
def test_the_policy_is_strict(page: Client, path: str) -> None:
    client = Client() if path == LOGIN else page
    answer = client.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert answer.status_code == 200 and "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "style=" not in text(answer) and "<style" not in text(answer) and "onclick" not in text(answer)
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/account/login", "/account/logout", "/account/password"])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_a_form_is_sent_by_post_alone(page: Client, path: str, method: str) -> None:
    """Django would take a PUT for one."""
    client = Client() if path == "/account/login" else page  # which sends on whoever is logged in
    assert client.generic(method, path).status_code == 405


@pytest.mark.parametrize("path", ["/admin/password_change/", "/admin/password_change/done/"])
def test_the_admin_has_no_second_page_to_guess_a_password_at(page: Client, ada: User, path: str) -> None:
    User.objects.filter(pk=ada.pk).update(is_staff=True)
    entered = {
        "old_password": PASSWORD,
        "new_password1": "another long one",
        "new_password2": "another long one",
    }
    sent = page.post(path, entered)
    assert sent.status_code == 405
    for answer in (page.get(path), page.head(path)):
        assert (answer.status_code, answer.headers["Location"]) == (302, "/account/password")
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)
