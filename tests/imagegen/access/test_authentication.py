import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import jwt
import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt import state
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.tokens import AccessToken

from imagegen.access import tokens
from imagegen.access.models import ApiKey, hash_key, issue_key
from tests.imagegen.access.conftest import PASSWORD


def refused(response, code: str) -> None:
    assert response.status_code == 401, response.content
    assert response.json()["code"] == code
    assert response.json()["detail"].endswith((".", "'api'."))
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def bearer_of(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def claims(user: User, **changes) -> dict:
    payload = dict(tokens.issue(user=user).access_token.payload) | changes
    return {name: value for name, value in payload.items() if value is not None}


def sign(payload: dict, *, key: str = django_settings.SECRET_KEY, algorithm: str = "HS256") -> str:
    return jwt.encode(payload, key, algorithm=algorithm)


@pytest.mark.django_db
def test_nobody(client):
    refused(client.get("/who"), "not_authenticated")


def test_access_token(client, bearer):
    assert client.get("/who", headers=bearer).json() == {"user": "ada", "auth": "AccessToken"}


def test_api_key(client, key_bearer):
    assert client.get("/who", headers=key_bearer).json() == {"user": "ada", "auth": "ApiKey"}


def test_the_scheme_is_case_insensitive(client, bearer):
    header = {"authorization": bearer["authorization"].replace("Bearer", "bearer")}
    assert client.get("/who", headers=header).status_code == 200


@pytest.mark.parametrize("scope", ["api", "profile api", ["profile", "api"]])
def test_a_token_that_carries_the_scope(client, ada, scope):
    assert client.get("/who", headers=bearer_of(sign(claims(ada, scope=scope)))).status_code == 200


@pytest.mark.parametrize("scope", [None, "", "apis", "read write", [], ["apis"], {"api": 1}, 7, True])
def test_a_token_without_the_scope(client, ada, scope):
    refused(client.get("/who", headers=bearer_of(sign(claims(ada, scope=scope)))), "scope_missing")


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1_000_000_000},
        {"exp": None},
        {"exp": 10**30},
        {"exp": "tomorrow"},
        {"token_type": "refresh"},
        {"token_type": None},
        {"jti": None},
        {"user_id": None},
        {"user_id": "no such"},
        {"user_id": 10**30},
        {"user_id": {}},
        {"user_id": 424242},
        {"hash_password": "0"},
        {"hash_password": None},
    ],
)
def test_a_token_that_is_wrong(client, ada, changes):
    refused(client.get("/who", headers=bearer_of(sign(claims(ada, **changes)))), "token_not_valid")


def test_a_token_signed_by_somebody_else(client, ada):
    forged = sign(claims(ada), key="another key that is long enough for the algorithm")
    refused(client.get("/who", headers=bearer_of(forged)), "token_not_valid")


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("algorithm", ["none", "HS512"])
def test_another_algorithm(client, ada, algorithm):
    forged = sign(
        claims(ada), key="" if algorithm == "none" else django_settings.SECRET_KEY, algorithm=algorithm
    )
    refused(client.get("/who", headers=bearer_of(forged)), "token_not_valid")


def test_a_header_nested_deeper_than_python_recurses(client, ada):
    nested = base64.urlsafe_b64encode(b"[" * 5000).decode()
    refused(client.get("/who", headers=bearer_of(f"{nested}.e30.x")), "token_not_valid")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text", ["x", "a.b.c", "e30.e30.e30", "ÿþ", "..", "eyJhbGciOiJub25lIn0.e30.", "x" * 7000]
)
def test_not_a_token_at_all(client, text):
    refused(client.get("/who", headers=bearer_of(text)), "token_not_valid")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "header",
    ["", " ", "Bearer", "Bearer ", "Bearer a b", "Basic YWRhOmFkYQ==", "Token x", "easel_x", "ÿ", "\t"],
)
def test_a_malformed_header(client, header):
    refused(client.get("/who", headers={"authorization": header}), "bad_authorization_header")


def test_a_refresh_token_opens_nothing(client, ada):
    refused(client.get("/who", headers=bearer_of(str(tokens.issue(user=ada)))), "token_not_valid")


def test_the_token_of_an_inactive_user(client, ada, bearer):
    User.objects.update(is_active=False)
    refused(client.get("/who", headers=bearer), "token_not_valid")


def test_a_changed_password_ends_tokens(client, ada, bearer):
    ada.set_password("another")
    ada.save()
    refused(client.get("/who", headers=bearer), "token_not_valid")


@pytest.fixture
def verified(monkeypatch) -> list[str]:
    """The texts whose signatures are verified, to which nothing is known yet."""
    texts = []

    def decode(text, *args, **kwargs):
        texts.append(text)
        return really(text, *args, **kwargs)

    really = jwt.decode
    monkeypatch.setattr(jwt, "decode", decode)
    monkeypatch.setattr(tokens, "_verified", {})
    return texts


class TestATokenThatWasVerifiedBefore:
    def test_its_signature_is_not_verified_again(self, client, bearer, verified):
        for _ in range(3):
            assert client.get("/who", headers=bearer).json() == {"user": "ada", "auth": "AccessToken"}
        assert len(verified) == 1

    @pytest.mark.parametrize("fraction", [0, 0.5])
    def test_it_expires_at_its_second(self, client, ada, verified, fraction):
        expires = int(time.time()) + 2
        bearer = bearer_of(sign(claims(ada, exp=expires + fraction)))
        assert client.get("/who", headers=bearer).status_code == 200
        time.sleep(max(expires - time.time(), 0))
        refused(client.get("/who", headers=bearer), "token_not_valid")

    def test_another_signature_or_none_on_the_same_claims(self, client, bearer, ada, verified):
        text = bearer["authorization"].split()[1]
        assert client.get("/who", headers=bearer).status_code == 200
        head, payload, signature = text.split(".")
        other = sign(claims(ada)).split(".")[2]
        none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
        assert other != signature
        for forged in (
            f"{head}.{payload}.{other}",
            f"{head}.{payload}.",
            f"{head}.{payload}",
            f"{none}.{payload}.",
            f"{none}.{payload}.{signature}",
            text[:-1],
            text.swapcase(),
        ):
            refused(client.get("/who", headers=bearer_of(forged)), "token_not_valid")
        assert client.get("/who", headers=bearer).status_code == 200

    def test_another_signing_key_does_not_know_it(self, client, bearer, verified, monkeypatch):
        assert client.get("/who", headers=bearer).status_code == 200
        with monkeypatch.context() as patch:
            patch.setattr(state, "token_backend", TokenBackend("HS256", "another key " * 5))
            refused(client.get("/who", headers=bearer), "token_not_valid")
        assert client.get("/who", headers=bearer).status_code == 200

    @pytest.mark.parametrize(
        "end",
        [
            lambda: User.objects.update(is_active=False),
            lambda: User.objects.update(password="another"),
            lambda: User.objects.all().delete(),
        ],
        ids=["inactive", "password", "gone"],
    )
    def test_it_ends_with_its_owner(self, client, bearer, verified, end):
        assert client.get("/who", headers=bearer).status_code == 200
        end()
        refused(client.get("/who", headers=bearer), "token_not_valid")

    def test_its_owner_may_what_they_may_now(self, post, painter, bearer, verified):
        assert post("/pictures", {"prompt": "a"}, headers=bearer).status_code == 200
        painter.user_permissions.clear()
        assert post("/pictures", {"prompt": "a"}, headers=bearer).status_code == 403

    def test_whoever_changes_its_claims_changes_their_own(self, ada, verified):
        text = str(tokens.issue(user=ada).access_token)
        for _ in range(3):
            token = tokens.read(tokens.AccessToken, text)
            assert token["user_id"] == str(ada.pk)
            token["user_id"] = "424242"

    def test_what_was_refused_is_verified_anew(self, client, ada, verified):
        for text in (
            str(tokens.issue(user=ada)),
            sign(claims(ada, token_type="refresh")),
            sign(claims(ada, exp=1_000_000_000)),
            sign(claims(ada), key="another key that is long enough for the algorithm"),
        ):
            for _ in range(2):
                refused(client.get("/who", headers=bearer_of(text)), "token_not_valid")
        assert len(verified) == 8
        assert tokens._verified == {}

    def test_the_scope_is_asked_for_each_time(self, client, ada, verified):
        for _ in range(2):
            refused(client.get("/who", headers=bearer_of(sign(claims(ada, scope="x")))), "scope_missing")

    def test_a_refresh_token_is_verified_each_time(self, ada, verified):
        text = str(tokens.issue(user=ada))
        for _ in range(2):
            tokens.read(tokens.ScopedRefreshToken, text)
        assert len(verified) == 2
        tokens.revoke(refresh=text)
        with pytest.raises(AuthenticationFailed):
            tokens.read(tokens.ScopedRefreshToken, text)

    def test_no_text_and_no_key_is_kept(self, client, bearer, verified):
        client.get("/who", headers=bearer)
        kept = repr(tokens._verified)
        assert "user_id" in kept
        for part in (*bearer["authorization"].split()[1].split("."), django_settings.SECRET_KEY):
            assert part not in kept

    def test_the_oldest_makes_room(self, ada, verified, monkeypatch):
        monkeypatch.setattr(tokens, "MOST_REMEMBERED", 3)
        texts = [str(tokens.issue(user=ada).access_token) for _ in range(5)]
        for text in (*texts, *texts[2:], texts[0]):
            tokens.read(tokens.AccessToken, text)
        assert verified == [*texts, texts[0]]
        assert len(tokens._verified) == 3

    def test_many_may_be_remembered_at_once(self, ada, monkeypatch):
        class Slow(dict):
            def __iter__(self):
                found = list(super().__iter__())
                time.sleep(0.005)
                return iter(found)

        monkeypatch.setattr(tokens, "_verified", Slow())
        monkeypatch.setattr(tokens, "MOST_REMEMBERED", 2)
        texts = [str(tokens.issue(user=ada).access_token) for _ in range(16)]
        with ThreadPoolExecutor(8) as pool:
            read = pool.map(lambda text: tokens.read(tokens.AccessToken, text)["jti"], texts)
            assert list(read) == [AccessToken(text)["jti"] for text in texts]
        assert len(tokens._verified) == 2


def test_a_bad_header_does_not_fall_back_to_the_cookie(client, ada):
    client.force_login(ada)
    assert client.get("/who").status_code == 200
    for text in ("Bearer nonsense", "Basic eDp5", "", "Bearer easel_nonsense"):
        assert client.get("/who", headers={"authorization": text}).status_code == 401


@pytest.mark.django_db
def test_an_unknown_key(client):
    refused(client.get("/who", headers=bearer_of("easel_" + "x" * 43)), "api_key_not_valid")


def test_an_expired_key(client, ada):
    _, text = issue_key(user=ada, name="old", expires_at=timezone.now() - timedelta(seconds=1))
    refused(client.get("/who", headers=bearer_of(text)), "api_key_not_valid")


def test_a_key_that_expires_later(client, ada):
    _, text = issue_key(user=ada, name="new", expires_at=timezone.now() + timedelta(minutes=5))
    assert client.get("/who", headers=bearer_of(text)).status_code == 200


def test_the_key_of_an_inactive_user(client, ada, key_bearer):
    User.objects.update(is_active=False)
    refused(client.get("/who", headers=key_bearer), "api_key_not_valid")


def test_only_the_hash_of_a_key_is_kept(ada):
    key, text = issue_key(user=ada, name="k")
    assert text.startswith(key.prefix) and len(text) >= 6 + 32
    key.refresh_from_db()
    assert key.hash == hash_key(text)
    assert text not in json.dumps({field.name: str(getattr(key, field.name)) for field in key._meta.fields})


def test_use_is_noted_at_most_once_a_minute(client, ada, key_bearer, django_assert_num_queries):
    with django_assert_num_queries(2):
        client.get("/who", headers=key_bearer)
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    with django_assert_num_queries(1):
        client.get("/who", headers=key_bearer)
    ApiKey.objects.update(last_used_at=first - timedelta(minutes=2))
    client.get("/who", headers=key_bearer)
    assert ApiKey.objects.get().last_used_at > first


def test_a_token_costs_one_query(client, bearer, django_assert_num_queries):
    with django_assert_num_queries(1):
        client.get("/who", headers=bearer)


def test_a_cookie_costs_two_queries(client, ada, django_assert_num_queries):
    client.force_login(ada)
    with django_assert_num_queries(2):
        client.get("/who")


def test_a_cookie_from_a_foreign_origin_is_refused_on_any_method(client, ada):
    client.force_login(ada)
    assert client.get("/who", headers={"origin": "http://testserver"}).status_code == 200
    for origin in (
        "https://evil.example",
        "null",
        "http://testserver.evil.example",
        "http://testserver:81",
        "",
    ):
        for call in (client.get, client.post):
            response = call("/who", headers={"origin": origin})
            assert (response.status_code, response.json()["code"]) == (403, "foreign_origin"), origin


def test_a_bearer_token_from_a_foreign_origin_is_nobody_s_cookie(client, bearer):
    assert client.get("/who", headers=bearer | {"origin": "https://app.example"}).status_code == 200


def test_a_cookie_must_prove_its_origin_to_change_something(client, ada):
    client.force_login(ada)
    refusal = client.post("/who", {}, content_type="application/json")
    assert (refusal.status_code, refusal.json()["code"]) == (403, "csrf_failed")
    assert client.get("/api/auth/session").status_code == 200
    token = client.cookies["csrftoken"].value
    for header, status in ((token, 200), (token[:-1], 403), ("x" * 32, 403), ("", 403), ("ÿ", 403)):
        answer = client.post("/who", {}, content_type="application/json", headers={"x-csrftoken": header})
        assert answer.status_code == status, header


def test_the_csrf_token_counts_in_the_header_alone(client, ada):
    """In a form it would mean reading the body before its sender is known."""
    client.force_login(ada)
    client.get("/api/auth/session")
    token = client.cookies["csrftoken"].value
    assert client.post("/upload", {"csrfmiddlewaretoken": token}).json()["code"] == "csrf_failed"


def test_a_cookie_of_no_session(client, ada):
    client.cookies["connect.sid"] = "nonsense"
    refused(client.get("/who"), "not_authenticated")


def test_the_cookie_of_an_inactive_user(client, ada):
    client.force_login(ada)
    User.objects.update(is_active=False)
    refused(client.get("/who"), "not_authenticated")


def test_the_request_log_can_name_the_user_without_a_query(client, bearer, ada):
    request = client.get("/who", headers=bearer).wsgi_request
    assert request.authenticated_user.pk == ada.pk


def test_access_tokens_inherit_the_scope(ada):
    access = AccessToken(str(tokens.issue(user=ada).access_token))
    assert access["scope"] == "api"
    assert PASSWORD not in json.dumps(access.payload)


def test_many_keys_in_one_query(client, ada, bearer):
    from django.db import connection

    for index in range(5):
        issue_key(user=ada, name=str(index))
    with CaptureQueriesContext(connection) as queries:
        assert len(client.get("/api/auth/keys", headers=bearer).json()) == 5
    assert len(queries) == 2
