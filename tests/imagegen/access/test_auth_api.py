from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.utils import timezone

from imagegen.access import tokens
from imagegen.access.models import ApiKey, issue_key
from tests.imagegen.access.conftest import PASSWORD

CREDENTIALS = {"username": "ada", "password": PASSWORD}
WRONG = {"username": "ada", "password": "wrong"}
LOGINS = ["/api/auth/token", "/api/auth/session"]


@pytest.fixture
def pair(post, ada):
    response = post("/api/auth/token", CREDENTIALS)
    assert response.status_code == 200
    return response.json()


def ended(response) -> None:
    assert (response.status_code, response.json()["code"]) == (401, "token_not_valid")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


# Tokens


def test_a_token_opens_the_api(client, pair):
    assert set(pair) == {"access", "refresh"}
    assert client.get("/who", headers={"authorization": f"Bearer {pair['access']}"}).status_code == 200


def test_a_refresh_token_works_once(client, post, pair):
    following = post("/api/auth/token/refresh", {"refresh": pair["refresh"]}).json()
    assert set(following) == {"access", "refresh"} and following["refresh"] != pair["refresh"]
    assert client.get("/who", headers={"authorization": f"Bearer {following['access']}"}).status_code == 200
    ended(post("/api/auth/token/refresh", {"refresh": pair["refresh"]}))
    assert post("/api/auth/token/refresh", {"refresh": following["refresh"]}).status_code == 200


def test_logout_ends_the_refresh_token(post, pair):
    response = post("/api/auth/logout", {"refresh": pair["refresh"]})
    assert (response.status_code, response.content) == (204, b"")
    ended(post("/api/auth/token/refresh", {"refresh": pair["refresh"]}))
    ended(post("/api/auth/logout", {"refresh": pair["refresh"]}))


@pytest.mark.parametrize("path", ["/api/auth/token/refresh", "/api/auth/logout"])
def test_what_is_no_refresh_token(post, pair, path):
    ended(post(path, {"refresh": "nonsense"}))
    ended(post(path, {"refresh": pair["access"]}))
    for body in ({}, {"refresh": None}, {"refresh": 1}, {"refresh": ""}, {"refresh": "a\0"}):
        response = post(path, body)
        assert (response.status_code, list(response.json()["errors"])) == (400, ["refresh"])


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "changed"}])
def test_a_refresh_token_ends_with_its_user(post, pair, change):
    User.objects.update(**change)
    ended(post("/api/auth/token/refresh", {"refresh": pair["refresh"]}))


def test_a_refresh_token_of_a_deleted_user(post, pair):
    User.objects.all().delete()
    ended(post("/api/auth/token/refresh", {"refresh": pair["refresh"]}))
    assert post("/api/auth/logout", {"refresh": pair["refresh"]}).status_code == 204


@pytest.mark.django_db
def test_a_token_beaten_to_its_blacklisting_is_refused(ada, monkeypatch):
    """Two requests at once with one token: both find it valid, the slower finds it blacklisted."""
    text = str(tokens.issue(user=ada))
    find_user = tokens.find_user

    def slowly(token):
        monkeypatch.setattr(tokens, "find_user", find_user)
        tokens.renew(refresh=text)
        return find_user(token)

    monkeypatch.setattr(tokens, "find_user", slowly)
    with pytest.raises(Exception, match="used already"):
        tokens.renew(refresh=text)


# Sessions


def test_a_browser_logs_in_and_out(client, post, painter):
    response = post("/api/auth/session", CREDENTIALS, headers={"origin": "http://testserver"})
    assert response.json() == {"username": "ada", "permissions": ["features.image_generation"]}
    cookie = response.cookies["connect.sid"]
    assert cookie["httponly"] and cookie["samesite"] == "Lax"
    csrf = {"x-csrftoken": response.cookies["csrftoken"].value}
    assert client.get("/who").json()["user"] == "ada"
    assert client.get("/api/auth/session").json()["username"] == "ada"
    assert client.delete("/api/auth/session").status_code == 403
    assert client.delete("/api/auth/session", headers=csrf).status_code == 204
    assert client.get("/who").status_code == 401
    assert client.get("/api/auth/session").status_code == 401
    assert client.delete("/api/auth/session").status_code == 204


def test_logging_in_again_cycles_the_session(client, post, ada):
    post("/api/auth/session", CREDENTIALS)
    first = client.cookies["connect.sid"].value
    assert post("/api/auth/session", CREDENTIALS).status_code == 200
    second = client.cookies["connect.sid"].value
    assert second != first
    client.cookies["connect.sid"] = first
    assert client.get("/who").status_code == 401


def test_a_wrong_password_leaves_the_session_alone(client, post, ada):
    post("/api/auth/session", CREDENTIALS)
    assert post("/api/auth/session", WRONG).status_code == 401
    assert client.get("/who").status_code == 200


def test_a_foreign_origin_logs_nobody_in(client, post, ada):
    response = post("/api/auth/session", CREDENTIALS, headers={"origin": "https://evil.example"})
    assert (response.status_code, response.json()["code"]) == (403, "foreign_origin")
    assert "connect.sid" not in response.cookies


def test_a_form_logs_nobody_in(client, ada):
    """The kind of body that another site's page could send."""
    assert client.post("/api/auth/session", CREDENTIALS).status_code == 415


def test_a_superuser_is_told_what_they_may(post, ada):
    User.objects.update(is_superuser=True)
    permissions = post("/api/auth/session", CREDENTIALS).json()["permissions"]
    assert permissions == ["features.image_generation", "imagegen.view_others_pictures"]


# Passwords


@pytest.mark.parametrize("path", LOGINS)
def test_unknown_inactive_and_wrong_look_alike(post, ada, path):
    User.objects.create_user("idle", password=PASSWORD, is_active=False)
    answers = [
        post(path, WRONG),
        post(path, {"username": "nobody", "password": PASSWORD}),
        post(path, {"username": "idle", "password": PASSWORD}),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["code"] == "wrong_credentials"


@pytest.mark.parametrize("name", ["ada", "nobody"])
def test_known_and_unknown_names_cost_one_hash(post, ada, name, monkeypatch):
    from django.contrib.auth.hashers import MD5PasswordHasher

    calls = []
    encode = MD5PasswordHasher.encode
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda *args: calls.append(1) or encode(*args))
    post("/api/auth/token", {"username": name, "password": "wrong"})
    assert len(calls) == 1


@pytest.mark.parametrize("path", LOGINS)
@pytest.mark.parametrize("name", ["ada", "nobody"])
def test_wrong_passwords_lead_to_a_pause(post, ada, path, name, settings):
    attempts = [
        post(path, {"username": name, "password": f"wrong {n}"}) for n in range(settings.AXES_FAILURE_LIMIT)
    ]
    assert {answer.status_code for answer in attempts} == {401}
    for password in ("wrong", PASSWORD):
        response = post(path, {"username": name, "password": password})
        assert (response.status_code, response.json()["code"]) == (429, "throttled")
        assert 1 <= int(response.headers["Retry-After"]) <= settings.AXES_COOLOFF_TIME.total_seconds()
        assert "connect.sid" not in response.cookies


def test_the_pause_holds_for_every_way_in_and_ends(post, ada, settings):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        post("/api/auth/token", WRONG)
    assert post("/api/auth/session", CREDENTIALS).status_code == 429
    AccessAttempt.objects.update(
        attempt_time=timezone.now() - settings.AXES_COOLOFF_TIME + timedelta(seconds=5)
    )
    assert int(post("/api/auth/token", CREDENTIALS).headers["Retry-After"]) <= 5
    AccessAttempt.objects.update(attempt_time=timezone.now() - settings.AXES_COOLOFF_TIME)
    assert post("/api/auth/token", CREDENTIALS).status_code == 200


def test_trying_during_the_pause_does_not_prolong_it(post, ada, settings):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        post("/api/auth/token", WRONG)
    before = list(AccessAttempt.objects.values_list("attempt_time", "failures_since_start"))
    post("/api/auth/token", WRONG)
    assert list(AccessAttempt.objects.values_list("attempt_time", "failures_since_start")) == before


def test_the_pause_is_that_of_an_address(post, ada, settings):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        post("/api/auth/token", WRONG, REMOTE_ADDR="203.0.113.1")
    assert post("/api/auth/token", CREDENTIALS, REMOTE_ADDR="203.0.113.1").status_code == 429
    assert post("/api/auth/token", CREDENTIALS, REMOTE_ADDR="203.0.113.2").status_code == 200


@pytest.mark.parametrize("path", LOGINS)
def test_a_login_starts_the_count_anew(post, ada, path, settings):
    for _ in range(2):
        for _ in range(settings.AXES_FAILURE_LIMIT - 1):
            assert post(path, WRONG).status_code == 401
        assert post(path, CREDENTIALS).status_code == 200
    assert AccessAttempt.objects.count() == 0


def test_no_password_is_kept(post, ada):
    post("/api/auth/token?password=in-the-query", WRONG | {"password": "in-the-body"})
    kept = str(AccessAttempt.objects.values().get())
    assert "in-the-body" not in kept and "in-the-query" not in kept


@pytest.mark.parametrize("path", LOGINS)
@pytest.mark.parametrize("wrong", [None, 1, True, [], {}, "", " ", "a\0", "\ud800", "x" * 5000])
def test_credentials_are_strict(post, ada, path, wrong):
    for field in CREDENTIALS:
        response = post(path, CREDENTIALS | {field: wrong})
        assert (response.status_code, list(response.json()["errors"])) == (400, [field])


def test_a_password_may_begin_with_a_space(post, db):
    User.objects.create_user("eve", password=" spaced ")
    assert post("/api/auth/token", {"username": "eve", "password": " spaced "}).status_code == 200
    assert post("/api/auth/token", {"username": "eve", "password": "spaced"}).status_code == 401


# API keys


def test_a_key_is_shown_once(client, post, ada, bearer):
    expires = (timezone.now() + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    response = post("/api/auth/keys", {"name": "nightly", "expires_at": expires}, headers=bearer)
    made = response.json()
    assert response.status_code == 201
    assert set(made) == {"id", "name", "key", "prefix", "created", "expires_at"}
    assert made["key"].startswith(made["prefix"]) and made["expires_at"] == expires
    assert client.get("/who", headers={"authorization": f"Bearer {made['key']}"}).json()["user"] == "ada"
    listed = client.get("/api/auth/keys", headers=bearer).json()
    assert [key["name"] for key in listed] == ["nightly"] and listed[0]["last_used_at"]
    assert made["key"] not in str(listed) and "hash" not in listed[0]


def test_a_revoked_key_is_dead_at_once(client, ada, bearer, key_bearer):
    assert client.get("/who", headers=key_bearer).status_code == 200
    path = f"/api/auth/keys/{ApiKey.objects.get().pk}"
    assert client.delete(path, headers=bearer).status_code == 204
    assert client.get("/who", headers=key_bearer).status_code == 401
    assert client.delete(path, headers=bearer).status_code == 404


def test_somebody_else_s_keys(client, ada, bearer):
    key, _ = issue_key(user=User.objects.create_user("bob"), name="his")
    assert client.get("/api/auth/keys", headers=bearer).json() == []
    response = client.delete(f"/api/auth/keys/{key.pk}", headers=bearer)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert ApiKey.objects.filter(pk=key.pk).exists()
    assert client.delete(f"/api/auth/keys/{10**30}", headers=bearer).status_code == 404


def test_a_key_makes_and_revokes_no_keys(client, post, ada, key_bearer):
    assert post("/api/auth/keys", {"name": "child"}, headers=key_bearer).status_code == 403
    key = ApiKey.objects.get()
    assert client.delete(f"/api/auth/keys/{key.pk}", headers=key_bearer).status_code == 403
    assert len(client.get("/api/auth/keys", headers=key_bearer).json()) == 1


def test_keys_with_the_cookie(client, post, ada):
    client.force_login(ada)
    assert post("/api/auth/keys", {"name": "k"}).status_code == 403
    client.get("/api/auth/session")
    headers = {"x-csrftoken": client.cookies["csrftoken"].value}
    assert post("/api/auth/keys", {"name": "k"}, headers=headers).status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": 7}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\0"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a\x1b[2J"}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"name": "k", "expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "k", "expires_at": "soon"}, "expires_at"),
        ({"name": "k", "expires_at": 4102444800}, "expires_at"),
    ],
)
def test_new_keys_are_strict(post, bearer, body, field):
    response = post("/api/auth/keys", body, headers=bearer)
    assert (response.status_code, list(response.json()["errors"])) == (400, [field])


@pytest.mark.django_db
def test_nobody_has_keys(client, post):
    assert client.get("/api/auth/keys").status_code == 401
    assert post("/api/auth/keys", {"name": "k"}).status_code == 401
    assert client.delete("/api/auth/keys/1").status_code == 401
