"""Every page of the admin, by its address: who may open it, what it tells, who changes something by it.

`PAGES` has all routes that the admin resolves, and each with who may: a page that is added has no line
yet, and this says so. Whoever lacks one of the permissions of a line, and has all others that there
are, is refused and told nothing; whoever has them alone is told the kinds of things that stand there, and
no other.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.http import HttpResponse
from django.test import Client

from imagegen.models import EngineConnection
from tests.admin_pages import Form
from tests.security.world import (
    KEY,
    SECRET,
    World,
    all_permissions,
    client_of,
    everything_stored,
    resolved,
    staff_with,
)

ROOT = "/admin/"
FREE = ""
"""Needs no permission but to be staff."""
SEE, MAKE, KILL = "imagegen.view_others_pictures", "features.image_generation", "imagegen.delete_imagefile"
LOOK, SET_UP = "imagegen.view_engineconnection", "imagegen.change_engineconnection"
SCRAP = "imagegen.delete_engineconnection"
DISBAND = "auth.delete_group"

Told = Mapping[str, set[str]]
"""Permissions, with a blank between those that are needed together -> what is told to whoever has them."""
NOBODY: Told = {}
ALL_STAFF: Told = {FREE: set()}


def _may(told: set[str], model: str, *kinds: str) -> Told:
    """Whoever has one of Django's permissions for a model."""
    app, _, name = model.partition("/")
    return {f"{app}.{kind}_{name}": told for kind in kinds}


def _model(
    model: str, *, lists: Told, shows: Told, history: Told, adds: Told = NOBODY, deletes: Told = NOBODY
) -> dict[str, Told]:
    """Django's own pages of a model."""
    return {
        f"{model}/": lists,
        f"{model}/add/": adds,
        f"{model}/<path:object_id>/history/": history,
        f"{model}/<path:object_id>/delete/": deletes,
        f"{model}/<path:object_id>/change/": shows,
        f"{model}/<path:object_id>/": shows,
    }


def _complete(model: str) -> str:
    app, name, field = model.split("/")
    return f"autocomplete/?app_label={app}&model_name={name}&field_name={field}&term="


CONNECTION, USER, GROUP = "imagegen/engineconnection", "auth/user", "auth/group"
SETTINGS, KEYS, PAUSES = "imagegen/imagesettings", "access/apikey", "axes/accessattempt"
DASHBOARD: Told = {"imagegen.view_usage": {"figures", "connection", "group"}}
ENTRIES = {"admin.view_logentry": set(), "admin.change_logentry": set()}
ENTRY = {"connection", "person", "entry on connection"}
ONE = {"connection", "generation", "person", "picture", "prompt"}

PAGES: dict[str, Told] = {
    "": ALL_STAFF,
    "search/": ALL_STAFF,
    "search/?s=vermilion&extended=1": ALL_STAFF,
    "login/": ALL_STAFF,
    "logout/": NOBODY,
    "password_change/": ALL_STAFF,
    "password_change/done/": ALL_STAFF,
    "jsi18n/": ALL_STAFF,
    "r/<path:content_type_id>/<path:object_id>/": NOBODY,
    "<app_label>/": ALL_STAFF,
    "<url>": NOBODY,
    "autocomplete/": NOBODY,
    _complete("imagegen/imagefile/owner"): _may({"person"}, USER, "view", "change"),
    _complete("admin/logentry/user"): _may({"person"}, USER, "view", "change"),
    _complete("auth/user/groups"): _may({"group"}, GROUP, "view", "change"),
    _complete("imagegen/generation/connection"): _may({"connection"}, CONNECTION, "view", "change"),
    _complete("imagegen/imagefile/generation"): NOBODY,
    **_model(
        CONNECTION,
        lists=_may({"connection", "host"}, CONNECTION, "view", "change"),
        shows={LOOK: {"connection", "host", "group"}, SET_UP: {"connection", "host", "group", "mask"}},
        adds=_may({"group"}, CONNECTION, "add"),
        deletes=_may({"connection"}, CONNECTION, "delete"),
        history=_may({"connection", "person", "entry on connection"}, CONNECTION, "view", "change"),
    ),
    "imagegen/engineconnection/test/": NOBODY,
    "imagegen/engineconnection/models/": NOBODY,
    "imagegen/engineconnection/<int:pk>/test/": NOBODY,
    "imagegen/engineconnection/<int:pk>/models/": NOBODY,
    "imagegen/engineconnection/<int:pk>/try/": NOBODY,
    "imagegen/engineconnection/<int:pk>/workflow/<str:operation>/": {SET_UP: {"connection", "workflow"}},
    **_model(
        SETTINGS,
        lists=_may({"connection"}, SETTINGS, "view", "change"),
        shows=_may({"connection"}, SETTINGS, "view", "change"),
        history=_may(set(), SETTINGS, "view", "change"),
    ),
    **_model("imagegen/usage", lists=DASHBOARD, shows=DASHBOARD, history=DASHBOARD),
    "imagegen/generation/": {
        FREE: set(),
        SEE: ONE | {"figures", "group"},
        **_may({"connection"}, CONNECTION, "view", "change"),
    },
    "imagegen/generation/?prompt=heron&person=quillon": {
        FREE: set(),
        SEE: ONE - {"person"} | {"figures", "group"},
        **_may({"connection"}, CONNECTION, "view", "change"),
    },
    "imagegen/generation/delete/?chosen=<uuid:pk>": {f"{KILL} {SEE}": {"person", "picture"}},
    "imagegen/generation/<uuid:pk>/change/": {SEE: ONE | {"detail", "figures"}},
    "imagegen/imagefile/": {
        FREE: set(),
        SEE: {"generation", "group", "person", "picture"},
        **_may({"connection"}, CONNECTION, "view", "change"),
    },
    "imagegen/imagefile/delete/?chosen=<uuid:pk>": {f"{KILL} {SEE}": {"person"}},
    "imagegen/imagefile/<uuid:pk>/change/": {SEE: ONE - {"picture"}},
    "imagegen/imagefile/<uuid:pk>/content/": {SEE: {"generation", "picture"}},
    "imagegen/imagefile/<uuid:pk>/thumbnail/": {SEE: {"generation", "picture"}},
    **_model(
        USER,
        lists=_may({"person", "group"}, USER, "view", "change"),
        shows={"auth.view_user": {"person"}, "auth.change_user": {"person", "group"}},
        adds={"auth.add_user auth.change_user": set()},
        deletes=_may({"person"}, USER, "delete"),
        history=_may({"person", "entry on person"}, USER, "view", "change"),
    ),
    "auth/user/<id>/password/": _may({"person"}, USER, "change"),
    **_model(
        GROUP,
        lists=_may({"group"}, GROUP, "view", "change"),
        shows={
            **_may({"group"}, GROUP, "view", "change"),
            "auth.view_group imagegen.view_groupquota imagegen.view_groupretention": {"group", "quota"},
        },
        adds=_may(set(), GROUP, "add"),
        deletes=_may({"group"}, GROUP, "delete"),
        history=_may({"group", "person", "entry on group"}, GROUP, "view", "change"),
    ),
    **_model(
        KEYS,
        lists=_may({"API key", "person"}, KEYS, "view", "change", "delete"),
        shows=_may({"API key", "person"}, KEYS, "view", "change", "delete"),
        deletes=_may({"API key"}, KEYS, "delete"),
        history=_may({"API key", "person", "entry on key"}, KEYS, "view", "change", "delete"),
    ),
    **_model(
        PAUSES,
        lists=_may({"wrong password"}, PAUSES, "view", "change", "delete"),
        shows=_may({"wrong password"}, PAUSES, "view", "change", "delete"),
        deletes=_may(set(), PAUSES, "delete"),
        history=_may(set(), PAUSES, "view", "change", "delete"),
    ),
    **_model(
        "admin/logentry",
        lists={
            **ENTRIES,
            f"admin.view_logentry {LOOK}": ENTRY,
            f"admin.view_logentry {SET_UP}": ENTRY,
            "admin.view_logentry auth.view_user": {"person", "entry on person"},
            "admin.view_logentry auth.change_user": {"person", "entry on person"},
            "admin.view_logentry auth.view_group": {"person", "group", "entry on group"},
            "admin.view_logentry access.view_apikey": {"person", "API key", "entry on key"},
            f"admin.view_logentry {SEE}": {"person", "generation", "entry on picture"},
        },
        shows={**ENTRIES, f"admin.view_logentry {LOOK}": ENTRY, f"admin.view_logentry {SET_UP}": ENTRY},
        history={
            **ENTRIES,
            f"admin.view_logentry {LOOK}": ENTRY - {"person"},
            f"admin.view_logentry {SET_UP}": ENTRY - {"person"},
        },
    ),
}
"""Addresses as the admin resolves them, some with a question."""


def _plain(route: str) -> str:
    """Without the signs of a regular expression."""
    return re.sub(r"\^|\$|\(\?P(<\w+>).*?\)", lambda match: match[1] or "", route)


ROUTES = sorted(set(map(_plain, resolved(admin.site.get_urls()))))


def test_each_page_has_a_line() -> None:
    assert {page.partition("?")[0] for page in PAGES} == set(ROUTES)


def address(page: str, ids: Mapping[str, str]) -> str:
    """Where `page` has the things of the world, or what leads nowhere."""
    kind = "/".join(page.split("/")[:2])
    values = {
        "app_label": "imagegen",
        "url": "nothing/here",
        "str:operation": "generate",
        "path:content_type_id": str(ContentType.objects.get_for_model(EngineConnection).pk),
    }
    nowhere = {"uuid:pk": "5ca1ab1e-0000-4000-8000-000000000000"}
    if page.startswith("r/"):
        kind = "imagegen/engineconnection"
    return ROOT + re.sub(
        "<(.*?)>",
        lambda match: values.get(match[1]) or ids.get(kind) or nowhere.get(match[1], "987654"),
        page,
    )


def without(told: Iterable[str]) -> Iterator[set[str]]:
    """All permissions but one of each line: as many as one can have without being let in."""
    lines = (line.split() for line in told if line != FREE)
    lacking = set(map(frozenset, itertools.product(*lines)))
    least = (one for one in lacking if not any(other < one for other in lacking))
    yield from (all_permissions() - one for one in least)


def refused(world: World, answer: Any) -> bool:
    return answer.status_code in (403, 404, 405) and not world.shown(answer)


def strangers(member: User) -> Iterator[Client]:
    """Nobody, somebody who may everything and is no staff, and a superuser who has left."""
    yield Client()
    member.user_permissions.set(Permission.objects.all())
    yield client_of(member)
    yield client_of(User.objects.get(username="left-long-ago"))


@pytest.mark.parametrize("page", PAGES)
def test_who_is_not_staff_is_asked_to_log_in(world: World, member: User, page: str) -> None:
    own = page.startswith("password_change/")
    for client in strangers(member):
        answer = client.get(address(page, world.ids), follow=True)
        assert answer.status_code == 200 and not world.shown(answer)
        assert answer.request["PATH_INFO"] in (
            "/admin/login/",
            *(["/account/login", "/account/password"] if own else []),
        )


@pytest.mark.parametrize("page", PAGES)
def test_without_its_permission_a_page_tells_nothing(world: World, page: str) -> None:
    for held in without(PAGES[page]):
        client = staff_with(held)
        answer = client.get(address(page, world.ids), follow=True)
        if FREE in PAGES[page]:
            assert answer.status_code == 200 and world.shown(answer) == PAGES[page][FREE]
            continue
        assert refused(world, answer), (answer.status_code, world.shown(answer))
        guess = client.get(address(page, {}), follow=True)
        assert guess.status_code == answer.status_code, "nobody is told which ids there are"


OPENED = [(page, line) for page, told in PAGES.items() for line in told]


@pytest.mark.parametrize(("page", "line"), OPENED)
def test_with_its_permission_alone_a_page_tells_what_it_is_for(world: World, page: str, line: str) -> None:
    answer = staff_with(line.split()).get(address(page, world.ids), follow=True)
    assert answer.status_code == 200
    assert sorted(world.shown(answer)) == sorted(PAGES[page][line])


SENT: dict[str, tuple[str, ...]] = {
    "imagegen/engineconnection/": (f"{LOOK} {SCRAP}", f"{SET_UP} {SCRAP}"),
    "imagegen/engineconnection/add/": ("imagegen.add_engineconnection",),
    "imagegen/engineconnection/<path:object_id>/delete/": (SCRAP,),
    "imagegen/engineconnection/<path:object_id>/change/": (SET_UP,),
    "imagegen/engineconnection/<int:pk>/try/": (f"{SET_UP} {MAKE}",),
    "imagegen/engineconnection/<int:pk>/workflow/<str:operation>/": (SET_UP,),
    "imagegen/imagesettings/<path:object_id>/change/": ("imagegen.change_imagesettings",),
    "imagegen/generation/delete/": (f"{KILL} {SEE}",),
    "imagegen/imagefile/delete/": (f"{KILL} {SEE}",),
    "auth/user/": ("auth.view_user auth.delete_user", "auth.change_user auth.delete_user"),
    "auth/user/add/": ("auth.add_user auth.change_user",),
    "auth/user/<path:object_id>/delete/": ("auth.delete_user",),
    "auth/user/<path:object_id>/change/": ("auth.change_user",),
    "auth/user/<id>/password/": ("auth.change_user",),
    "auth/group/": (f"auth.view_group {DISBAND}", f"auth.change_group {DISBAND}"),
    "auth/group/add/": ("auth.add_group",),
    "auth/group/<path:object_id>/delete/": (DISBAND,),
    "auth/group/<path:object_id>/change/": ("auth.change_group",),
    "access/apikey/": ("access.delete_apikey",),
    "access/apikey/<path:object_id>/delete/": ("access.delete_apikey",),
    "axes/accessattempt/": ("axes.delete_accessattempt",),
    "axes/accessattempt/<path:object_id>/delete/": ("axes.delete_accessattempt",),
}
"""By which addresses something is changed, and who may. By all others nobody changes anything."""

NEW_PASSWORD = dict.fromkeys(("password1", "password2"), "long enough 4711")
FILLED_IN: dict[str, dict[str, str]] = {
    "imagegen/engineconnection/add/": {"name": "another", "engine": "openai"},
    "imagegen/engineconnection/<path:object_id>/change/": {"deadline": "77"},
    "imagegen/engineconnection/<int:pk>/workflow/<str:operation>/": {"action": "remove"},
    "imagegen/imagesettings/<path:object_id>/change/": {"default_steps": "31"},
    "auth/user/add/": {"username": "newcomer", **NEW_PASSWORD},
    "auth/user/<path:object_id>/change/": {"first_name": "Changed"},
    "auth/user/<id>/password/": NEW_PASSWORD,
    "auth/group/add/": {"name": "Another"},
    "auth/group/<path:object_id>/change/": {"name": "Another"},
}
"""What is entered into the form that a superuser is shown."""


ASKED: dict[str, str] = {
    "imagegen/engineconnection/test/": "imagegen.add_engineconnection",
    "imagegen/engineconnection/models/": "imagegen.add_engineconnection",
    "imagegen/engineconnection/<int:pk>/test/": SET_UP,
    "imagegen/engineconnection/<int:pk>/models/": SET_UP,
}
"""What is answered without a change, to a form, and who is."""

CONFIRMED: dict[str, tuple[str, set[str]]] = {
    "imagegen/engineconnection/": (f"{LOOK} {SCRAP}", {"connection"}),
    "auth/user/": ("auth.view_user auth.delete_user", {"person"}),
    "auth/group/": (f"auth.view_group {DISBAND}", {"group"}),
    "access/apikey/": ("access.delete_apikey", {"API key"}),
    "axes/accessattempt/": ("axes.delete_accessattempt", set()),
}
"""What is told to whoever is asked whether those that are ticked shall be deleted."""


def filled_in(page: str, world: World, root: Client) -> dict[str, Any]:
    """What a superuser's browser would send from `page`, with something changed."""
    pk = world.ids.get("/".join(page.split("/")[:2]), "1")
    connection = EngineConnection.objects.get(name="vermilion-lab")
    sent = {
        **{"action": "delete_selected", "_selected_action": pk, "chosen": pk, "words": "on", "post": "yes"},
        **{"prompt": "a fox", "seen": connection.updated_at.isoformat()},
    }
    if page.endswith(("add/", "change/", "password/")):
        shown = root.get(address(page, world.ids))
        if b'_form"' in shown.content:
            sent |= Form(shown.content.decode(), "_form").data
    return sent | FILLED_IN.get(page, {})


def known(page: str, held: set[str]) -> set[str]:
    """What `page` tells whoever has these permissions."""
    lines = (told for asked, told in PAGES.items() if asked.partition("?")[0] == page)
    return {
        kind for told in lines for line, kinds in told.items() if set(line.split()) <= held for kind in kinds
    }


@pytest.fixture
def root(superuser: User) -> Client:
    return client_of(superuser)


@pytest.mark.parametrize("page", ROUTES)
def test_who_is_not_staff_sends_nothing(world: World, root: Client, member: User, page: str) -> None:
    sent = filled_in(page, world, root)
    for client in strangers(member):
        before = everything_stored()
        answer = client.post(address(page, world.ids), sent)
        assert answer.status_code in (200, 302, 405) and not world.shown(answer)
        assert everything_stored() == before


@pytest.mark.parametrize("page", ROUTES)
def test_without_its_permission_nothing_is_changed(world: World, root: Client, page: str) -> None:
    sent = filled_in(page, world, root)
    for held in without(SENT.get(page, ())):
        client, before = staff_with(held), everything_stored()
        answer = client.post(address(page, world.ids), sent)
        assert answer.status_code < 500
        assert everything_stored() == before
        assert world.shown(answer) <= known(page, held)


@pytest.mark.parametrize(("page", "line"), [(page, line) for page, lines in SENT.items() for line in lines])
def test_with_its_permission_alone_it_is(world: World, root: Client, page: str, line: str) -> None:
    sent = filled_in(page, world, root)
    client, before = staff_with(line.split()), everything_stored()
    answer = client.post(address(page, world.ids), sent)
    assert answer.status_code in (200, 302)
    assert everything_stored() != before


@pytest.mark.parametrize("page", ASKED)
def test_nothing_is_asked_of_an_engine_without_the_permission(world: World, root: Client, page: str) -> None:
    url, sent = address(page, world.ids), filled_in(page, world, root)
    for held in without([ASKED[page]]):
        assert refused(world, staff_with(held).post(url, sent))
    answer = staff_with([ASKED[page]]).post(url, sent)
    assert answer.status_code == 200 and not world.shown(answer)


@pytest.mark.parametrize("page", CONFIRMED)
def test_the_question_before_a_deletion_names_what_was_ticked_alone(
    world: World, root: Client, page: str
) -> None:
    line, told = CONFIRMED[page]
    sent = {name: value for name, value in filled_in(page, world, root).items() if name != "post"}
    answer = staff_with(line.split()).post(address(page, world.ids), sent)
    assert answer.status_code == 200 and "Are you sure" in answer.content.decode()
    assert world.shown(answer) == told


@pytest.mark.parametrize("page", ROUTES)
def test_a_page_of_another_origin_sends_nothing(
    world: World, root: Client, superuser: User, page: str
) -> None:
    sent = filled_in(page, world, root)
    strict = client_of(superuser, enforce_csrf_checks=True)
    before = everything_stored()
    for headers in ({}, {"origin": "https://evil.example"}, {"origin": "null"}):
        answer = strict.post(address(page, world.ids), sent, headers=headers)
        assert refused(world, answer), answer.status_code
    assert everything_stored() == before


@pytest.mark.parametrize("page", ROUTES)
def test_there_are_no_other_methods(world: World, root: Client, page: str) -> None:
    before = everything_stored()
    for method in ("OPTIONS", "TRACE", "PUT", "PATCH", "DELETE", "PROPFIND", "INVENTED"):
        answer = root.generic(method, address(page, world.ids))
        assert refused(world, answer) and answer.status_code == 405
        assert {"GET", "HEAD"} <= set(answer.headers["Allow"].split(", "))
    assert everything_stored() == before


def test_each_kind_of_thing_is_told_somewhere(world: World) -> None:
    """So its marks are those that pages show; and of a secret nobody is told, with whatever permission."""
    told = {kind for lines in PAGES.values() for kinds in lines.values() for kind in kinds}
    assert told == world.marks.keys() - {SECRET}
    answer = HttpResponse(f"my {KEY}")
    answer.request = {"PATH_INFO": "/", "QUERY_STRING": ""}  # type: ignore[attr-defined]
    assert world.shown(answer) == {SECRET}
