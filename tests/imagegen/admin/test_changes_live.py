"""What staff change at one server counts for the next request at another, which knew it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
import requests

from tests.admin_pages import AdminPages
from tests.live import PASSWORD, LiveEasel
from tests.serving.engines import SlowEngine

SETTINGS = "/admin/imagegen/imagesettings/1/change/"
SET_UP = f"""
from django.contrib.auth.models import User
from django.core.management import call_command
User.objects.create_user("ada", password={PASSWORD!r})
call_command("grant", "Image creators", "--user", "ada")
for name in "first", "second":
    call_command(
        "connections", "add", name, "--engine", "openai", "--base-url", "URL-OF-" + name,
        "--api-key-env", "KEY", "--model", "sd",
    )
call_command("connections", "update", "first", "--use-for", "generate")
"""
BUILT_IN, FIRST, SECOND = 1, 2, 3
"""Their numbers, in the order in which they were made."""


@dataclass
class Place:
    """Staff work at one server, members ask the other. Each is one process."""

    servers: list[LiveEasel]
    staff: AdminPages
    member: dict[str, str]
    first: SlowEngine
    second: SlowEngine

    def ask(self, server: int) -> requests.Response:
        """For a picture, without naming size or model."""
        body = {"prompt": "Blue hills"}
        return self.servers[server].post("/api/images/generations", body, headers=self.member)

    def ask_both(self) -> list[requests.Response]:
        """First at the server that has not made the change."""
        return [self.ask(1), self.ask(0)]

    def models(self) -> set[str]:
        answer = requests.get(
            f"{self.servers[1].url}/api/images/models", headers=self.member, timeout=60
        ).json()
        return {model["connection"] for model in answer}

    def change_connection(self, number: int, **changes: str | None) -> None:
        self.staff.change(f"/admin/imagegen/engineconnection/{number}/change/", **changes)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("easel")
    with ExitStack() as starting:
        first, second = (starting.enter_context(SlowEngine(0)) for _ in range(2))
        easel = starting.enter_context(LiveEasel(folder, EASEL_WORKERS="1"))
        beside = starting.enter_context(LiveEasel(folder, easel, EASEL_WORKERS="1"))
        set_up = SET_UP.replace('"URL-OF-" + name', f"{dict(first=first.url, second=second.url)}[name]")
        easel.manage("shell", "-c", set_up, KEY="sk-old")
        login = easel.post("/api/auth/token", {"username": "ada", "password": PASSWORD}).json()
        member = {"Authorization": f"Bearer {login['access']}"}
        yield Place([easel, beside], AdminPages(easel), member, first, second)


@pytest.fixture
def place(running: Place) -> Iterator[Place]:
    """Both servers have just made a picture with the first connection, and do so again afterwards."""
    running.first.requests.clear()
    running.second.requests.clear()
    assert [answer.status_code for answer in running.ask_both()] == [200, 200]
    assert (running.first.begun, running.second.begun) == (2, 0)
    yield running


def test_another_connection_is_chosen(place: Place) -> None:
    place.staff.change(SETTINGS, generate_connection=SECOND)
    assert [answer.status_code for answer in place.ask_both()] == [200, 200]
    assert (place.first.begun, place.second.begun) == (2, 2)
    place.staff.change(SETTINGS, generate_connection=FIRST)


def test_making_pictures_is_switched_off(place: Place) -> None:
    place.staff.change(SETTINGS, generation_enabled=None)
    answers = place.ask_both()
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].json()["detail"] == "Image generation is switched off."
    assert place.first.begun == 2
    place.staff.change(SETTINGS, generation_enabled="on")
    assert [answer.status_code for answer in place.ask_both()] == [200, 200]


def test_the_default_size_changes(place: Place) -> None:
    for size in ("96x64", "1024x1024"):
        place.staff.change(SETTINGS, default_size=size)
        made = [answer.json()[0] for answer in place.ask_both()]
        assert {f"{picture['width']}x{picture['height']}" for picture in made} == {size}


def test_a_connection_is_switched_off(place: Place) -> None:
    assert place.models() >= {"first", "second"}
    before = place.first.begun
    place.change_connection(FIRST, enabled=None)
    assert [answer.status_code for answer in place.ask_both()] == [403, 403]
    assert place.first.begun == before, "it is asked no more"
    assert "first" not in place.models()
    place.change_connection(FIRST, enabled="on")
    assert place.ask(1).status_code == 200


def test_a_key_is_changed(place: Place) -> None:
    assert place.first.requests[-1].headers["authorization"] == "Bearer sk-old"
    place.change_connection(FIRST, new_key="sk-new")
    place.ask_both()
    assert [one.headers["authorization"] for one in place.first.requests[-2:]] == ["Bearer sk-new"] * 2
    place.change_connection(FIRST, new_key="sk-old")


def test_a_connection_moves_and_is_for_others(place: Place) -> None:
    place.change_connection(FIRST, base_url=place.second.url, new_key="sk-old")
    assert place.ask(1).status_code == 200
    assert (place.first.begun, place.second.begun) == (2, 1)
    place.change_connection(FIRST, base_url=place.first.url, new_key="sk-old")


def test_a_quota_is_set(place: Place) -> None:
    quota = {"quota-TOTAL_FORMS": "1", "quota-0-generations_at_once": "0"}
    place.staff.change("/admin/auth/group/1/change/", **quota)
    assert [answer.status_code for answer in place.ask_both()] == [429, 429]
    place.servers[0].manage("quotas", "remove", "Image creators")
    assert place.ask(1).status_code == 200
