"""Where a secret could come to light, and the ways in which it would be written there.

Nothing here is taken from the product: what it spells in order to redact, this spells by itself.
"""

from __future__ import annotations

import base64
import html
import json
import pickle
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from django.apps import apps
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import get_resolver, reverse

from tests.stored import stored_names

LENGTH, STEP = 10, 7
"""Pieces that are looked for: of 16 characters in a row, half of a key, at least one is whole."""


def spellings(secret: str) -> dict[str, str]:
    """The secret as servers, proxies and libraries write it."""
    half = len(secret) // 2
    return {
        "clear": secret,
        "its first half": secret[:half],
        "its second half": secret[half:],
        "reversed": secret[::-1],
        "upper case": secret.upper(),
        "lower case": secret.lower(),
        "in a URL": quote(secret, safe=""),
        "in HTML": html.escape(secret),
        "in JSON": json.dumps(secret)[1:-1].replace("/", "\\/"),
        "hexadecimal": secret.encode().hex(),
        **{
            f"base64 behind {before!r}": base64.b64encode(f"{before}{secret}".encode()).decode()
            for before in ("", "u:", "key=")
        },
        "base64 for URLs": base64.urlsafe_b64encode(f"Bearer {secret}".encode()).decode(),
    }


def found(secret: str, text: str) -> list[str]:
    """In which spellings at least half of the secret stands in a text."""
    written = [text, html.unescape(text), unquote(text), text.replace("\\", "")]
    return [
        name
        for name, spelt in spellings(secret).items()
        if any(piece in form for piece in _pieces(spelt, secret) for form in written)
    ]


def _pieces(spelt: str, secret: str) -> Iterator[str]:
    """Without what base64 shares with the bytes before and behind the secret."""
    start = 12 if spelt.endswith("=") or len(spelt) > len(secret) else 0
    text = spelt[start : len(spelt) - 4 if start else None]
    return (text[k : k + LENGTH] for k in range(0, max(len(text) - LENGTH + 1, 1), STEP))


class Seen:
    """What somebody could have seen, by place."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}

    def add(self, place: str, *texts: Any) -> None:
        self.texts.setdefault(place, []).extend(
            text.decode("latin-1") if isinstance(text, bytes) else str(text) for text in texts
        )

    def answer(self, place: str, response: Any) -> Any:
        """A response, body and every header."""
        body = b"".join(response.streaming_content) if response.streaming else response.content
        self.add(place, body, response.headers, response.cookies)
        return response

    def leaks(self, *secrets: str) -> dict[str, list[str]]:
        """Where which spellings stand."""
        return {
            place: told
            for place, texts in self.texts.items()
            if (told := [spelling for secret in secrets for spelling in found(secret, "\n".join(texts))])
        }


def look_at_the_admin(seen: Seen, client: Client) -> None:
    """Every page of the admin, for every row that it has one for."""
    for route in _routes(get_resolver().url_patterns):
        if route.startswith("admin/") and "logout" not in route:
            for path in _paths(route):
                seen.answer(f"page {route}", client.get(f"/{path}"))


def _routes(patterns: Iterable[Any], before: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = f"{before}{pattern.pattern}"
        if inner := getattr(pattern, "url_patterns", None):
            yield from _routes(inner, route)
        elif "(?P" not in route and "content_type_id" not in route:
            yield route


def _paths(route: str) -> Iterator[str]:
    if "<" not in route:
        yield route
        return
    _, app, name, *_ = route.split("/")
    model = apps.get_model(app, name) if name != "usage" else apps.get_model("imagegen", "generation")
    before, _, rest = route.partition("<")
    for row in model._default_manager.all()[:60]:
        path = f"{before}{row.pk}{rest.partition('>')[2]}"
        yield from (path.replace("<str:operation>", operation) for operation in ("generate", "edit"))


def look_at_what_is_kept(seen: Seen, *folders: Path) -> None:
    """Rows as the database has them, sessions unpacked, cache, storage, and these folders."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            seen.add(f"table {table}", *cursor.fetchall())
    seen.add("sessions", *(session.get_decoded() for session in Session.objects.all()))
    seen.add("cache", *map(pickle.loads, getattr(cache, "_cache", {}).values()))
    for folder in folders:
        files = [path for path in folder.rglob("*") if path.is_file()]
        seen.add(f"folder {folder.name}", *files, *(path.read_bytes() for path in files))
    seen.add("names in the storage", *stored_names())


def look_at_commands(seen: Seen, *connections: str) -> None:
    tests = [("connections", "test", name) for name in connections]
    for command in (
        ("dumpdata",),
        ("connections", "list"),
        ("connections", "list", "--json"),
        ("quotas", "list"),
        *(("usage", "--since", "2020-01-01", "--csv", "--by", by) for by in ("user", "group", "connection")),
        *tests,
    ):
        told = StringIO()
        try:
            call_command(*command, stdout=told, stderr=told)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it says is looked at
            told.write(str(error))
        seen.add(f"manage.py {' '.join(command[:2])}", told.getvalue())


def admin_url(name: str, *args: Any) -> str:
    return reverse(f"admin:imagegen_engineconnection_{name}", args=args)
