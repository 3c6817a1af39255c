"""What an answer must not do: be kept by a cache, cost too much, or say what it was not asked."""

from __future__ import annotations

import pytest
from django.test import Client

PRIVATE = "private, no-store"


@pytest.mark.parametrize(
    "path",
    [
        "/api/auth/session",
        "/api/auth/keys",
        "/api/v1/files/",
        "/api/v1/files/nothing",
        "/api/images/models",
        "/api/images/config",
        "/api/mind/profile/generatePortraitPrompt",
        "/api/mind/storage/temp/2026-01-01_aaaaaaaaaaaaaaaa.png",
    ],
)
@pytest.mark.parametrize("who", ["nobody", "member"])
def test_no_cache_keeps_what_one_caller_was_told(client_for, member, path, who):
    response = client_for(member if who == "member" else None).get(path)
    assert response["Cache-Control"] == PRIVATE


def test_no_cache_keeps_tokens(member):
    body = {"username": "member", "password": "correct horse battery staple"}
    response = Client().post("/api/auth/token", body, content_type="application/json")
    assert response.status_code == 200
    assert response["Cache-Control"] == PRIVATE


def test_a_picture_is_kept_by_its_owners_browser_alone(api):
    made = api.post(
        "/api/images/generations", {"prompt": "a", "size": "64x64"}, content_type="application/json"
    )
    kept = api.get(made.json()[0]["url"])["Cache-Control"]
    assert kept.startswith("private, max-age=")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/docs", "/api/schema"])
@pytest.mark.parametrize("method", ["options", "post", "delete"])
def test_the_open_pages_are_for_reading(path, method):
    assert getattr(Client(), method)(path).status_code == 405


@pytest.mark.django_db
def test_a_query_does_not_reach_the_headers_of_the_description():
    response = Client().get("/api/schema", {"version": 'x"\r\nSet-Cookie: a=b', "format": "json"})
    assert response.status_code == 200
    assert response["Content-Disposition"] == 'inline; filename="easel.json"'


@pytest.mark.django_db
def test_the_description_is_made_once(monkeypatch):
    from drf_spectacular.generators import SchemaGenerator

    first = Client().get("/api/schema").content
    monkeypatch.setattr(SchemaGenerator, "get_schema", None)
    assert Client().get("/api/schema?x=1").content == first


@pytest.mark.parametrize(
    ("path", "how", "status"),
    [
        ("/admin/login/", {"HTTP_HOST": "elsewhere.example"}, 400),  # CommonMiddleware's
        ("/account/login", {"HTTP_HOST": "elsewhere.example"}, 400),
        ("/admin/logout/", {"method": "POST"}, 403),  # CsrfViewMiddleware's
        ("/nothing", {}, 404),
        ("/admin/login/", {}, 200),
        ("/account/login", {}, 200),
    ],
)
def test_no_answer_is_shown_in_a_frame(db, path, how, status):
    client = Client(enforce_csrf_checks=True)
    response = client.generic(
        how.get("method", "GET"), path, **{k: v for k, v in how.items() if k != "method"}
    )
    assert response.status_code == status
    assert response["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]


def test_only_the_pages_about_errors_for_debugging_have_no_policy(settings):
    client = Client(raise_request_exception=False)
    assert "Content-Security-Policy" in client.get("/nothing")
    settings.DEBUG = True
    assert "Content-Security-Policy" not in client.get("/nothing")
    assert "Content-Security-Policy" in client.get("/healthz")
