"""A small Easel in use, in which everything that somebody may not see has a name of its own.

`World.shown` says of which kinds an answer's bytes tell something: a page is opened by everybody, and what it
tells each of them is compared with what they may know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from axes.models import AccessAttempt
from django.apps import apps
from django.contrib.admin.models import CHANGE
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db.models import Model
from django.test import Client
from django.urls import URLPattern, URLResolver
from django.utils import timezone

from imagegen import thumbnails
from imagegen.access.journal import record
from imagegen.access.models import issue_key
from imagegen.configuration.masks import mask
from imagegen.models import EngineConnection, Generation, GroupQuota, GroupRetention, ImageFile, ImageSettings
from tests.conftest import PASSWORD
from tests.imagegen.admin.conftest import BACKEND
from tests.imagegen.admin.gallery.conftest import picture_of

KEY = "sk-vermilion-5c0ffee5-zq7x"
GRAPH = {
    "1": {"class_type": "SaveImage", "inputs": {"images": ["2", 0]}, "_meta": {"title": "vermilion-node"}},
    "2": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
}

SECRET = "secret"
"""What no answer tells anybody: keys, hashes, what somebody typed for a password."""


@dataclass(frozen=True)
class World:
    """`ids` has the object of each kind that an address leads to, by `app/model`; `marks` the bytes that tell
    something of each kind of thing."""

    ids: Mapping[str, str]
    marks: Mapping[str, list[bytes]] = field(repr=False)

    def shown(self, answer: Any) -> set[str]:
        """Kinds of which the answer tells something, in its body or its headers, that was not asked with."""
        body = b"".join(answer) if answer.streaming else answer.content
        told = body + str(answer.headers).encode()
        asked = "{PATH_INFO}?{QUERY_STRING}".format(**answer.request).encode()
        return {
            kind
            for kind, marks in self.marks.items()
            if any(mark in told and mark not in asked for mark in marks)
        }


def all_permissions() -> set[str]:
    rows = Permission.objects.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in rows}


def staff_with(permissions: Iterable[str], **options: Any) -> Client:
    """Somebody of the staff who has these permissions and no other."""
    person = User.objects.create_user(f"clerk-{User.objects.count()}", is_staff=True)
    for app, _, codename in (name.partition(".") for name in permissions):
        person.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return client_of(person, **options)


def client_of(person: User, **options: Any) -> Client:
    """With the cookie of their session. It answers a 500 as a 500."""
    client = Client(raise_request_exception=False, **options)
    client.force_login(person, backend=BACKEND)
    return client


def resolved(patterns: Iterable[Any], prefix: str = "") -> Iterator[str]:
    """All that leads to a view."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from resolved(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route


def everything_stored() -> dict[str, list[Any]]:
    """All rows but those of sessions."""
    models: list[type[Model]] = [model for model in apps.get_models() if model is not Session]
    return {model._meta.label: sorted(map(repr, model._default_manager.values_list())) for model in models}


def build() -> World:
    """quillon has pictures and a key, from a time when they were permitted."""
    quillon = User.objects.create_user("quillon", "q@vermilion.example", PASSWORD, first_name="Quill")
    User.objects.create_superuser("left-long-ago", password=PASSWORD, is_active=False)
    circle = Group.objects.create(name="Kestrel circle")
    GroupQuota.objects.create(group=circle, pictures_per_day=31415926)
    GroupRetention.objects.create(group=circle, days=2718281)
    connection = _connection(circle)
    settings = ImageSettings.objects.current()
    settings.edit_connection = connection
    settings.save()
    generation, file = _picture(quillon, connection)
    thumbnail = _bytes(thumbnails.find_or_make(file))
    key, text = issue_key(user=quillon, name="pocket-machine")
    attempt = AccessAttempt.objects.create(
        username="guessed-name", ip_address="198.51.100.77", failures_since_start=3, user_agent="guesser",
        get_data="typed-instead-of-a-name", post_data="typed-for-a-password", path_info="/account/login",
    )  # fmt: skip
    changed = {"connection": connection, "person": quillon, "key": key, "group": circle, "picture": file}
    for kind, thing in changed.items():
        record(by=quillon, things=[thing], flag=CHANGE, message=f"entry-on-{kind}.")
    entry = _entry_on(connection)
    rows: list[Model] = [
        quillon, circle, key, attempt, entry, connection, settings, generation, file
    ]  # fmt: skip
    return World(
        {row._meta.label_lower.replace(".", "/"): str(row.pk) for row in rows},
        {
            SECRET: [
                *_encode(KEY, KEY[3:20], connection.encrypted_key, text, key.hash, quillon.password),
                *_encode("typed-instead-of-a-name", "typed-for-a-password"),
            ],
            "mask": _encode(mask(KEY)),
            "connection": _encode("vermilion-lab"),
            "host": _encode("vermilion-host", "vermilion-parameter"),
            "workflow": _encode("vermilion-node"),
            "prompt": _encode("a heron that nobody else asked for", "nothing-blurred"),
            "detail": _encode("what vermilion said in detail"),
            "generation": _encode(generation.pk, generation.trace_id, "heron-chat"),
            "picture": [_bytes(file.file), thumbnail, *_encode(file.pk, file.file.name, file.temp_name)],
            "person": _encode("quillon", "q@vermilion.example"),
            "API key": _encode("pocket-machine", key.prefix),
            "wrong password": _encode("guessed-name", "198.51.100.77"),
            "group": _encode("Kestrel circle"),
            "quota": _encode("31415926", "2718281"),
            "figures": _encode("vermilion_fault"),
            **{f"entry on {kind}": _encode(f"entry-on-{kind}") for kind in changed},
        },
    )


def _encode(*texts: Any) -> list[bytes]:
    return [str(text).encode() for text in texts]


def _bytes(stored: Any) -> bytes:
    with stored.open("rb") as opened:
        data: bytes = opened.read()
    return data


def _connection(circle: Group) -> EngineConnection:
    """To a port where nobody listens."""
    connection = EngineConnection(
        name="vermilion-lab", engine="comfyui", base_url="http://127.0.0.1:9/vermilion-host", workflow=GRAPH,
        parameters={"batch": 1, "client": "vermilion-parameter"}, deadline=5,
    )  # fmt: skip
    connection.key = KEY
    connection.save()
    connection.allowed_groups.add(circle, Group.objects.create(name="Second circle"))
    return connection


def _picture(owner: User, connection: EngineConnection) -> tuple[Generation, ImageFile]:
    """Of two that were asked for; the other failed."""
    now = timezone.now()
    generation = Generation.objects.create(
        user=owner, operation="generate", connection=connection, connection_name=connection.name,
        engine=connection.engine, prompt="a heron that nobody else asked for", pictures_asked=2,
        parameters={"negative_prompt": "nothing-blurred"}, pictures_failed=1, status="partial",
        error_code="vermilion_fault", error_detail="what vermilion said in detail", chat_id="heron-chat",
        trace_id="5ca1ab1e" * 4, created_at=now - timedelta(minutes=9), deadline_at=now,
        finished_at=now - timedelta(minutes=8),
    )  # fmt: skip
    file = picture_of(generation)
    file.temp_name = "2026-01-01_heronheronheron1.png"
    file.save()
    return generation, file


def _entry_on(thing: Model) -> Any:
    entries = apps.get_model("admin.LogEntry")._default_manager
    return entries.get(content_type=ContentType.objects.get_for_model(thing), object_id=str(thing.pk))
