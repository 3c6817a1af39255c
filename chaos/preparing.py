"""People, connections, and pictures to start from."""

from __future__ import annotations

import requests

from chaos.marks import encode
from chaos.service import Service
from tests.live import PASSWORD, free_port

USERS = 3
DEADLINES = {"busy": 6, "many": 8, "editing": 7, "closed": 5, "built-in": 5}
"""Seconds, for each connection: short, so that a run can wait for what is overdue."""

PEOPLE = f"""
from django.contrib.auth.models import User
from django.core.management import call_command
from imagegen.models import EngineConnection, ImageSettings
from imagegen.models.settings import Fallback
for k in range({USERS}):
    User.objects.create_user(f"person-{{k}}", password={PASSWORD!r})
    call_command("grant", "Image creators", "--user", f"person-{{k}}")
call_command("quotas", "set", "Image creators", "--pictures-per-day", "999999", "--money-per-month", "99999")
current = ImageSettings.objects.current()
for k, name in enumerate(["many", "busy"]):
    Fallback.objects.create(
        settings=current, connection=EngineConnection.objects.get(name=name), position=k
    )
"""


def add_connections(service: Service, engine: int) -> None:
    """`busy` takes six calls at once, one picture each; `many` makes ten pictures a call; nobody listens
    behind `closed`, so every portrait is somebody else's. `many`, then `busy` stand in."""
    ports = {"busy": engine, "many": engine, "editing": engine, "closed": free_port()}
    model = {"busy": "mock", "many": "dall-e-2", "editing": "mock", "closed": "mock"}
    more = {
        "busy": (
            "--concurrency", "6", "--price", "0.04", "--parameter", "sizes=any", "--use-for", "generate",
        ),
        "many": ("--price", "0.02"),
        "editing": (
            "--concurrency", "3", "--price", "0.05", "--parameter", "sizes=any", "--use-for", "edit",
        ),
        "closed": ("--price", "1", "--use-for", "portrait"),
    }  # fmt: skip
    for name, port in ports.items():
        service.manage(
            "connections", "add", name, "--engine", "openai", "--model", model[name],
            "--base-url", f"http://127.0.0.1:{port}/{name}/v1", "--deadline", str(DEADLINES[name]),
            "--api-key-env", "KEY", *more[name], KEY="sk-chaos",
        )  # fmt: skip
    service.manage("connections", "update", "built-in", "--deadline", str(DEADLINES["built-in"]))


def add_people(service: Service) -> list[str]:
    """Their access tokens."""
    service.manage("shell", "--no-imports", "-c", PEOPLE)
    names = [f"person-{k}" for k in range(USERS)]
    logins = [{"username": name, "password": PASSWORD} for name in names]
    return [str(service.post("/api/auth/token", login).json()["access"]) for login in logins]


def add_sources(service: Service, tokens: list[str]) -> list[str]:
    """A picture of each user's own to start edits from: its id."""
    return [_upload(service, token, encode(k, 256)) for k, token in enumerate(tokens)]


def _upload(service: Service, token: str, picture: bytes) -> str:
    answer = requests.post(
        f"{service.url}/api/v1/files/",
        files={"file": ("source.png", picture, "image/png")},
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )
    answer.raise_for_status()
    return str(answer.json()["id"])
