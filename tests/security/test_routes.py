"""Every route outside of the admin, with each of its methods: who may, and that nobody else gets or changes
anything.

`ROUTES` has all that the resolver has: a route that is added has no line yet, and this says so; a method
that is added is answered otherwise than with 405. The admin's pages have a table of their own, in
test_admin_doors.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.middleware.csrf import get_token
from django.test import Client, RequestFactory
from django.urls import get_resolver

from imagegen.access import tokens
from imagegen.models import ImageFile
from tests.conftest import PASSWORD
from tests.fakes.server import picture
from tests.security.world import World, client_of, everything_stored, resolved

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "INVENTED")


@dataclass(frozen=True)
class Line:
    """What is answered to nobody, to who has an account alone, to who may make pictures, to a superuser, and
    to that superuser's browser on another site's page.

    `owner`: the address leads to something of quillon's, who is answered this; all others are others.
    `told`: the kinds of things of which a member is told something.
    """

    nobody: int
    outsider: int
    member: int
    root: int
    foreign: int = 403
    owner: int | None = None
    told: frozenset[str] = frozenset()


def _open(status: int = 200) -> Line:
    return Line(status, status, status, status, status)


MAKERS = Line(401, 403, 200, 200)
SIGNED_IN = Line(401, 200, 200, 200)
ADMINS = Line(401, 403, 403, 200)
THEIRS = Line(401, 404, 404, 200, owner=200)
TO_LOGIN = 302


def _images(prefix: str) -> dict[str, Line]:
    return {
        f"POST {prefix}generations": MAKERS,
        f"POST {prefix}edit": Line(401, 403, 404, 400),  # of quillon's picture
        f"GET {prefix}models": MAKERS,
        f"GET {prefix}config": ADMINS,
        f"POST {prefix}config/update": ADMINS,
        f"POST {prefix}verify": ADMINS,
    }


ROUTES: dict[str, Line] = {
    "GET ": _open(302),
    "GET favicon.ico": _open(),
    "GET healthz": _open(),
    "GET readyz": _open(),
    "GET metrics": _open(404),
    "GET api/schema": _open(),
    "GET api/docs": _open(),
    "POST api/auth/token": _open(),
    "POST api/auth/token/refresh": _open(),
    "POST api/auth/logout": _open(204),
    "GET api/auth/session": SIGNED_IN,
    "POST api/auth/session": Line(200, 200, 200, 200),
    "DELETE api/auth/session": Line(204, 204, 204, 204),
    "GET api/auth/keys": SIGNED_IN,
    "POST api/auth/keys": Line(401, 201, 201, 201),
    "DELETE api/auth/keys/<int:key_id>": Line(401, 404, 404, 404, owner=204),
    "POST api/mind/profile/generatePortrait": replace(MAKERS, nobody=403),
    "POST api/mind/profile/generatePortraitPrompt": replace(MAKERS, nobody=403),
    "GET api/mind/profile/generatePortraitPrompt": replace(MAKERS, nobody=403),
    "GET api/mind/storage/temp/<str:name>": replace(THEIRS, nobody=403),
    **_images("api/images/"),
    **_images("api/v1/images/"),
    "GET api/v1/files/": SIGNED_IN,
    "POST api/v1/files/": Line(401, 403, 201, 201),
    "DELETE api/v1/files/": Line(401, 204, 204, 204, owner=204),  # of quillon's chat: there they have none
    "GET api/v1/files/<str:file_id>": THEIRS,
    "DELETE api/v1/files/<str:file_id>": Line(401, 404, 404, 404, owner=204),
    "GET api/v1/files/<str:file_id>/content": THEIRS,
    "GET api/v1/files/<str:file_id>/thumbnail": THEIRS,
    "GET api/usage": replace(SIGNED_IN, told=frozenset({"quota"})),
    "GET account/login": Line(200, 302, 302, 302),
    "POST account/login": Line(302, 302, 302, 302),
    "POST account/logout": Line(302, 302, 302, 302),
    "GET account/password": Line(TO_LOGIN, 200, 200, 200),
    "POST account/password": Line(TO_LOGIN, 302, 302, 302),
    "GET account/keys": Line(TO_LOGIN, 200, 200, 200),
    "POST account/keys": Line(TO_LOGIN, 200, 200, 200),
    "POST account/keys/<int:key_id>/revoke": Line(TO_LOGIN, 404, 404, 404, owner=302),
}

BODIES: dict[str, dict[str, Any]] = {
    "token": {"username": "member", "password": PASSWORD},
    "session": {"username": "member", "password": PASSWORD},
    "login": {"username": "member", "password": PASSWORD},
    "password": {
        "old_password": PASSWORD,
        "new_password1": "long enough 4711",
        "new_password2": "long enough 4711",
    },
    "keys": {"name": "another"},
    "generations": {"prompt": "a fox", "size": "64x64"},
    "generatePortrait": {"prompt": "a fox"},
    "generatePortraitPrompt": {"subject": "woman"},
    "verify": {"engine": "dicebear"},
}
"""By the end of the route."""


def _of(line: str) -> tuple[str, str]:
    method, _, route = line.partition(" ")
    return method, route


def test_each_route_has_a_line() -> None:
    of_admin = {f"admin/{route}" for route in resolved(admin.site.get_urls())}
    assert {_of(line)[1] for line in ROUTES} == set(resolved(get_resolver().url_patterns)) - of_admin


def ask(client: Client, line: str, world: World, **headers: str) -> Any:
    """With a body that is good, about something of quillon's where there is something to choose."""
    method, route = _of(line)
    file = ImageFile.objects.get(pk=world.ids["imagegen/imagefile"])
    values = {
        "int:key_id": world.ids["access/apikey"],
        "str:file_id": str(file.pk),
        "str:name": str(file.temp_name),
    }
    path = "/" + re.sub("<(.*?)>", lambda match: values[match[1]], route)
    if method == "DELETE" and route.endswith("files/"):
        path += f"?chat_id={file.chat_id}"
    if method != "POST":
        return client.generic(method, path, headers=headers)
    if route.endswith("files/"):
        return client.post(path, {"file": SimpleUploadedFile("a.png", picture(64, 48))}, headers=headers)
    body = dict(BODIES.get(route.rpartition("/")[2], {}))
    if route.endswith("edit"):
        body = {"prompt": "a fox", "image": str(file.pk)}
    if route.endswith(("refresh", "auth/logout")):
        body = {"refresh": str(tokens.issue(user=User.objects.get(username="member")))}
    if route.startswith("account/"):
        return client.post(path, body, headers=headers)
    return client.post(path, json.dumps(body), content_type="application/json", headers=headers)


PEOPLE = ("nobody", "gone", "outsider", "member", "root", "owner")
ClientOf = Callable[[str], Client]


@pytest.fixture
def client_as(world: World, member: User, outsider: User, superuser: User) -> ClientOf:
    """One of PEOPLE. The member is in the group that may use the connection which edits; who is gone was a
    superuser."""
    member.groups.add(Group.objects.get(name="Kestrel circle"))
    names = {"gone": "left-long-ago", "root": superuser.username, "owner": "quillon"}

    def make(who: str) -> Client:
        return Client() if who == "nobody" else client_of(User.objects.get(username=names.get(who, who)))

    return make


@pytest.mark.parametrize("who", PEOPLE[:-1])
@pytest.mark.parametrize("line", ROUTES)
def test_who_may(world: World, client_as: ClientOf, line: str, who: str) -> None:
    expected, client = ROUTES[line], client_as(who)
    before = everything_stored()
    answer = ask(client, line, world)
    assert answer.status_code == getattr(expected, "nobody" if who == "gone" else who)
    told = expected.told if who == "member" else set()
    assert who == "root" or sorted(world.shown(answer)) == sorted(told)
    if answer.status_code >= 400 or expected.owner:
        assert everything_stored() == before


@pytest.mark.parametrize("line", [line for line in ROUTES if ROUTES[line].owner])
def test_the_owner_may(world: World, client_as: ClientOf, line: str) -> None:
    """So it is there, for those who were told that it is not."""
    client = client_as("owner")
    before = everything_stored()
    answer = ask(client, line, world)
    assert answer.status_code == ROUTES[line].owner
    assert world.shown(answer) if line.startswith("GET") else everything_stored() != before


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://testserver.evil.example"])
@pytest.mark.parametrize("line", ROUTES)
def test_another_sites_page_gets_and_changes_nothing(
    world: World, client_as: ClientOf, superuser: User, line: str, origin: str
) -> None:
    """With the cookie, and with a CSRF token, should it have got at one."""
    browser = client_of(superuser, enforce_csrf_checks=True)
    token = get_token(RequestFactory().get("/"))
    browser.cookies["csrftoken"] = token
    before = everything_stored()
    answer = ask(browser, line, world, origin=origin, **{"x-csrftoken": token})
    assert answer.status_code == ROUTES[line].foreign
    if answer.status_code == 403:
        assert everything_stored() == before and not world.shown(answer)


@pytest.mark.parametrize("route", sorted({_of(line)[1] for line in ROUTES}))
def test_there_are_no_other_methods(world: World, client_as: ClientOf, route: str) -> None:
    known = {method for method, named in map(_of, ROUTES) if named == route}
    clients = {who: client_as(who) for who in PEOPLE}
    before = everything_stored()
    for method in METHODS:
        if method in known or (method == "HEAD" and "GET" in known):
            continue
        for who, client in clients.items():
            answer = ask(client, f"{method} {route}", world)
            refused = {405} if who == "root" and route != "metrics" else {302, 401, 403, 404, 405}
            assert answer.status_code in refused, (method, who, answer.status_code)
            assert not world.shown(answer)
    assert everything_stored() == before


@pytest.mark.parametrize("line", [line for line in ROUTES if line.startswith("GET")])
def test_head_asks_for_the_same_rights_as_get(world: World, client_as: ClientOf, line: str) -> None:
    for client in map(client_as, PEOPLE):
        read, asked = (ask(client, f"{method} {_of(line)[1]}", world) for method in ("GET", "HEAD"))
        assert read.status_code == asked.status_code
