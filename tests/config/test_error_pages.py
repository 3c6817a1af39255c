import re

import pytest
from django.test import Client

from tests.config.urls import TOLD_TO_NOBODY

pytestmark = pytest.mark.django_db

PORTRAITS, IMAGES, ELSEWHERE = "/api/mind", "/api/images", "/elsewhere"


@pytest.fixture(autouse=True)
def paths(settings):
    settings.ROOT_URLCONF = "tests.config.urls"
    assert settings.DEBUG is False


@pytest.fixture
def client():
    return Client(enforce_csrf_checks=True, raise_request_exception=False)


def is_for_portraits(response, status):
    body = response.json()
    assert (response.status_code, set(body)) == (status, {"error", "details", "txId"})
    assert body["txId"] == response.headers["X-Trace-Id"]
    return True


def is_for_images(response, status):
    body = response.json()
    assert (response.status_code, set(body)) == (status, {"detail", "code"})
    return True


def is_a_page(response, status):
    assert (response.status_code, response.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    return True


SHAPES = {PORTRAITS: is_for_portraits, IMAGES: is_for_images, ELSEWHERE: is_a_page}


@pytest.mark.parametrize("place", SHAPES)
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nothing/here", 404),
        ("test/crash", 500),
        ("test/lose", 503),
        ("test/suspect", 400),
        ("test/forbid", 403),
    ],
)
def test_a_fault_outside_of_our_views_has_the_shape_of_its_family(client, place, path, status):
    response = client.get(f"{place}/{path}")
    assert SHAPES[place](response, status)
    told = response.content.decode()
    assert TOLD_TO_NOBODY not in told and "Traceback" not in told
    if place != ELSEWHERE:
        assert response.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("place", SHAPES)
def test_a_form_without_its_token(client, place):
    response = client.post(f"{place}/test/take")
    assert SHAPES[place](response, 403)


@pytest.mark.parametrize("place", SHAPES)
def test_a_host_that_is_not_ours(client, place):
    response = client.get(f"{place}/nothing", headers={"host": "evil.example"})
    assert SHAPES[place](response, 400)
    assert "evil.example" not in response.content.decode()


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/api/mind/profile/generatePortrait", is_for_portraits),
        ("/api/mind/storage/temp/x.png", is_for_portraits),
        ("/api/images/generations", is_for_images),
        ("/api/v1/images/models", is_for_images),
        ("/api/v1/files/x/content", is_for_images),
        ("/api/auth/token", is_for_images),
    ],
)
def test_another_method(client, path, shape):
    """Whoever it is learns first that they are nobody, where that is asked."""
    response = client.put(path)
    assert shape(response, response.status_code)
    assert response.status_code in (401, 403, 405)


@pytest.mark.parametrize(
    "path", ["/api", "/apis/x", "/", "/api/%00", "/api/mind/%0d%0aX-Evil: 1", "/api/%ff"]
)
def test_odd_paths(client, path):
    response = client.get(path)
    assert response.status_code in (301, 302, 404)
    assert "X-Evil" not in response.headers


def test_the_admin_shows_pages(client):
    assert is_a_page(client.get("/admin/nothing/", follow=True), 200)  # its login page
    assert is_a_page(client.post("/admin/login/", {"username": "a"}), 403)


def test_a_fault_tells_people_the_trace(client):
    response = client.get(f"{IMAGES}/test/crash")
    assert "trace id" in response.json()["detail"]
    assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Trace-Id"])
