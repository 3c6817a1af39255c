import io
import logging

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.signals import got_request_exception

from imagegen.access import tokens


def test_with_the_permission(post, painter, bearer):
    assert post("/pictures", {"prompt": "a"}, headers=bearer).status_code == 200


def test_through_a_group(post, ada, bearer):
    group = Group.objects.create(name="painters")
    group.permissions.add(Permission.objects.get(codename="image_generation"))
    ada.groups.add(group)
    assert post("/pictures", {"prompt": "a"}, headers=bearer).status_code == 200


def test_a_superuser_has_it_by_default(post, ada, bearer):
    User.objects.update(is_superuser=True)
    assert post("/pictures", {"prompt": "a"}, headers=bearer).status_code == 200


@pytest.mark.parametrize("body", [b"nonsense", b"[]", b"{}", b'{"prompt": 1}', b'{"prompt": "a"}'])
def test_without_the_permission_the_body_is_not_looked_at(post, bearer, body):
    response = post("/pictures", body, headers=bearer)
    assert response.status_code == 403
    assert response.json() == {
        "detail": "You may not generate images. Please ask an administrator for the permission.",
        "code": "permission_denied",
    }


def test_nobody_learns_nothing(post, db):
    assert post("/pictures", b"nonsense").status_code == 401
    assert post("/pictures", b"{}", headers={"content-length": "99999999999"}).status_code == 401


def test_a_gated_request_costs_one_query(post, painter, bearer, django_assert_num_queries):
    """The user with the permission. Rates are off in tests."""
    with django_assert_num_queries(1):
        post("/pictures", {"prompt": "a"}, headers=bearer)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "x"]
)
def test_another_content_type(client, painter, bearer, kind):
    response = client.generic("POST", "/pictures", b'{"prompt": "a"}', content_type=kind, headers=bearer)
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


def test_a_charset_does_not_change_what_json_is(client, painter, bearer):
    body = '{"prompt": "é"}'.encode()
    for kind in (
        "application/json; charset=utf-8",
        "application/json; charset=latin-1",
        "application/json;charset=bz2",
    ):
        response = client.generic("POST", "/pictures", body, content_type=kind, headers=bearer)
        assert response.json() == {"prompt": "é"}


@pytest.mark.parametrize("accept", ["text/html", "image/png", "application/xml;q=0.5", "nonsense", "*/*"])
def test_the_answer_is_json_whatever_is_accepted(client, bearer, accept):
    response = client.get("/who?format=xml", headers=bearer | {"accept": accept})
    assert response.status_code == 200 and response.headers["Content-Type"] == "application/json"


def test_a_wrong_method(client, bearer):
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"):
        response = client.generic(method, "/who", headers=bearer)
        assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed"), method
        assert "GET" in response.headers["Allow"]


def test_a_body_that_says_it_is_too_large(client, painter, bearer, settings):
    settings.EASEL_MAX_BODY_BYTES = 1024 * 1024
    large = b'{"prompt": "' + b"x" * 1024 * 1024 + b'"}'
    response = client.post("/pictures", large, content_type="application/json", headers=bearer)
    assert (response.status_code, response.json()["code"]) == (413, "too_large")
    assert "1 MB" in response.json()["detail"]


@pytest.mark.parametrize("length", ["nonsense", "-1", "1.5", "\u0661"])
def test_a_length_that_is_no_number(client, painter, bearer, length):
    request = {"CONTENT_LENGTH": length, "CONTENT_TYPE": "application/json", "wsgi.input": io.BytesIO(b"{}")}
    response = client.generic("POST", "/pictures", b"{}", headers=bearer, **request)
    assert response.status_code == 400


def chunked(body: bytes) -> dict:
    """What gunicorn makes of `Transfer-Encoding: chunked`: a stream that ends, and no length."""
    return {
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
    }


def test_a_body_of_unknown_length(client, painter, bearer, settings):
    def send(body: bytes):
        extra = chunked(body) | {"CONTENT_TYPE": "application/json"}
        return client.generic("POST", "/pictures", headers=bearer, **extra)

    assert send(b'{"prompt": "chunked"}').json() == {"prompt": "chunked"}
    settings.EASEL_MAX_BODY_BYTES = 1024 * 1024
    assert send(b'{"prompt": "' + b"x" * 1024 * 1024 + b'"}').status_code == 413


def test_a_file(client, bearer):
    file = SimpleUploadedFile("a.png", b"12345", content_type="image/png")
    assert client.post("/upload", {"file": file}, headers=bearer).json() == {"name": "a.png", "bytes": 5}


def test_a_file_with_the_cookie(client, ada):
    client.force_login(ada)
    client.get("/api/auth/session")
    headers = {"x-csrftoken": client.cookies["csrftoken"].value}
    file = SimpleUploadedFile("a.png", b"12345", content_type="image/png")
    assert client.post("/upload", {"file": file}, headers=headers).json() == {"name": "a.png", "bytes": 5}


def limited(response) -> None:
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) >= 1
    assert response.json()["code"] == "throttled" and "try again in 1 second." in response.json()["detail"]


def test_the_rate_of_an_address_comes_first(client, db, settings):
    settings.EASEL_RATE_ADDRESS = 2
    assert [client.get("/who").status_code for _ in range(3)] == [401, 401, 429]
    limited(client.get("/who"))
    assert client.get("/who", REMOTE_ADDR="203.0.113.5").status_code == 401


def test_the_rate_of_an_address_covers_open_views(post, db, settings):
    settings.EASEL_RATE_ADDRESS = 1
    assert post("/api/auth/logout", {"refresh": "x"}).status_code == 401
    limited(post("/api/auth/logout", {"refresh": "x"}))


def test_the_rate_of_a_user_over_addresses(client, bearer, settings):
    settings.EASEL_RATE_USER = 2
    answers = [client.get("/who", headers=bearer, REMOTE_ADDR=f"203.0.113.{n}") for n in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    limited(answers[-1])
    other = User.objects.create_user("bob")
    headers = {"authorization": f"Bearer {tokens.issue(user=other).access_token}"}
    assert client.get("/who", headers=headers).status_code == 200


def test_the_rate_counts_only_who_may(post, bearer, settings):
    settings.EASEL_RATE_USER = 1
    assert [post("/pictures", {}, headers=bearer).status_code for _ in range(3)] == [403, 403, 403]


def test_a_fault_of_ours_says_nothing_and_is_logged(client, bearer, caplog):
    seen = []
    got_request_exception.connect(
        lambda **kwargs: seen.append(kwargs["request"]), weak=False, dispatch_uid="test"
    )
    try:
        with caplog.at_level(logging.ERROR):
            response = client.get("/faulty", headers=bearer)
    finally:
        got_request_exception.disconnect(dispatch_uid="test")
    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert "secret" not in response.content.decode() and "/var" not in response.content.decode()
    assert "unexpected_error" in caplog.text
    assert bearer["authorization"].split()[1] not in caplog.text
    assert len(seen) == 1


def test_nested_errors_are_dotted_paths(client, bearer):
    body = client.get("/nested", headers=bearer).json()
    assert body["errors"] == {"metadata.chat_id": ["Too long."], "image.1": ["Not a picture."]}
    assert body["detail"] == "Both are wrong. metadata.chat_id: Too long. image.1: Not a picture."
