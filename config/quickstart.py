"""`make run`: from nothing to a first portrait, then the production server in the foreground.

The first start makes secrets, database, an admin, a member of "Image creators", and a portrait through
the HTTP API. Later starts find all that and change nothing.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from django.core.exceptions import ImproperlyConfigured

from config import environment
from config.secrets import generate as generate_secrets

GROUP, MEMBER = "Image creators", "member"
FIRST_PROMPT = "A cheerful watercolor portrait of a pixie at the edge of a glowing enchanted forest"
READY_WITHIN = 60.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104
"""All addresses of a machine -> one of them that it reaches itself by."""


@dataclass(frozen=True)
class Account:
    role: str
    username: str
    password: str


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    environment.load_dotenv()
    address = environment.listening()
    if _in_use(address):
        return _say(f"Port {address[1]} is in use. Stop what uses it, or choose another: PORT=8006 make run")
    _prepare()
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", "python:config.gunicorn", "config.wsgi"],
        env={"MALLOC_ARENA_MAX": "2", **os.environ},
        start_new_session=True,  # Ctrl-C reaches us alone, and we pass on a graceful stop
    )
    _pass_on_signals(server)
    try:
        with _Local(*address) as http:
            if not _wait_until_ready(server, http):
                return 1
            accounts = _create_accounts()
            _show(_welcome(http.public_url, accounts))
            if accounts:
                _show(_first_portrait(http, accounts[-1]))
            _show(_examples(http.public_url, accounts))
        _let_go_of_database()
        return server.wait()
    finally:
        server.terminate()
        server.wait()


class _Local(requests.Session):
    """Speaks to our own server where it listens, as a client that comes by its public URL."""

    def __init__(self, host: str, port: int) -> None:
        from django.conf import settings

        super().__init__()
        self.trust_env = False
        self.public_url: str = settings.EASEL_PUBLIC_URL
        self._address = f"http://{EVERYWHERE.get(host, host)}:{port}"
        self.headers["Host"] = urlsplit(self.public_url).netloc

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        return super().request(method, f"{self._address}{url!s}", *args, **kwargs)


def _prepare() -> None:
    """Secrets, tables, static files: whatever is not there yet."""
    generate_secrets(environment.read("EASEL_DATA_DIR").expanduser().resolve())
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    _collect_static()


def _let_go_of_database() -> None:
    from imagegen.database import close_pools

    close_pools()


def _collect_static() -> None:
    from django.conf import settings
    from django.core.management import call_command

    own = sorted(path for path in (environment.BASE_DIR / "imagegen" / "static").rglob("*") if path.is_file())
    files = [environment.BASE_DIR / "requirements.txt", *own]
    stamp = Path(settings.STATIC_ROOT) / ".collected"
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        call_command("collectstatic", verbosity=0, interactive=False)
        stamp.write_text(wanted)


def _create_accounts() -> list[Account]:
    """On a database without people: an admin, and a member of the group that may make pictures."""
    from django.contrib.auth.models import Group, Permission, User

    from imagegen.access.journal import SHELL

    if User.objects.exclude(username=SHELL).exists():
        return []
    chosen = environment.read("EASEL_ADMIN_PASSWORD")
    made = secrets.token_urlsafe(12)
    admin = Account(
        "admin", environment.read("EASEL_ADMIN_USERNAME"), "(EASEL_ADMIN_PASSWORD)" if chosen else made
    )
    member = Account("member", MEMBER, secrets.token_urlsafe(12))
    User.objects.create_superuser(admin.username, password=chosen or made)
    group, _ = Group.objects.get_or_create(name=GROUP)
    group.permissions.add(
        Permission.objects.get(content_type__app_label="features", codename="image_generation")
    )
    User.objects.create_user(member.username, password=member.password).groups.add(group)
    return [admin, member]


def _welcome(base: str, accounts: list[Account]) -> str:
    lines = ["", f"  Easel is running at {base}", f"  API docs {base}/api/docs    Admin {base}/admin/", ""]
    if accounts:
        lines += ["  Shown once:"]
        lines += [f"    {a.role:<7} {a.username:<10} {a.password}" for a in accounts]
        lines += [""]
    return "\n".join(lines)


def _examples(base: str, accounts: list[Account]) -> str:
    password = accounts[-1].password if accounts else "<password>"
    lines = [
        "  Try it:",
        f"    TOKEN=$(curl -s {base}/api/auth/token -H 'Content-Type: application/json' \\",
        f'      -d \'{{"username": "{MEMBER}", "password": "{password}"}}\' | cut -d\'"\' -f4)',
        "",
        *_curl(f"{base}/api/mind/profile/generatePortrait", '{"prompt": "A bald man with a red beard"}'),
        *_curl(f"{base}/api/images/generations", '{"prompt": "Blue hills at dawn", "size": "768x512"}'),
        "",
        "  Ctrl-C ends it.",
        "",
    ]
    return "\n".join(lines)


def _curl(url: str, body: str) -> list[str]:
    return [
        f'    curl -s {url} -H "Authorization: Bearer $TOKEN" \\',
        f"      -H 'Content-Type: application/json' -d '{body}' | cut -c1-300",
        "",
    ]


def _first_portrait(http: _Local, account: Account) -> str:
    """Ask as any client would; say where the picture is."""
    login = {"username": account.username, "password": account.password}
    token = http.post("/api/auth/token", json=login, timeout=30)
    token.raise_for_status()
    http.headers["Authorization"] = f"Bearer {token.json()['access']}"
    answer = http.post("/api/mind/profile/generatePortrait", json={"prompt": FIRST_PROMPT}, timeout=120)
    answer.raise_for_status()
    url = answer.json()["portrait"]["imageUrl"]
    picture = http.get(url, timeout=30)
    picture.raise_for_status()
    path = environment.read("EASEL_DATA_DIR").expanduser().resolve() / "first-portrait.png"
    path.write_bytes(picture.content)
    return (
        f"  A first portrait, made through the API: {http.public_url}{url}\n    a copy to look at: {path}\n"
    )


def _in_use(address: tuple[str, int]) -> bool:
    host, port = address
    with socket.socket(socket.AF_INET6 if host.startswith("[") else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError:
            return True
    return False


def _wait_until_ready(server: subprocess.Popen[bytes], http: _Local) -> bool:
    until = time.monotonic() + READY_WITHIN
    while time.monotonic() < until and server.poll() is None:
        with suppress(requests.RequestException):
            if http.get("/readyz", timeout=5).ok:
                return True
        time.sleep(0.2)
    return False


def _pass_on_signals(server: subprocess.Popen[bytes]) -> None:
    """The first Ctrl-C or SIGTERM lets running requests finish; another stops at once."""
    asked = False

    def stop(signum: int, frame: object) -> None:
        nonlocal asked
        server.send_signal(signal.SIGQUIT if asked else signal.SIGTERM)
        if not asked:
            _say("Stopping: finishing what runs. Ctrl-C again stops at once.")
        asked = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)  # the terminal was closed


def _show(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _say(line: str) -> int:
    print(line, file=sys.stderr, flush=True)  # noqa: T201
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ImproperlyConfigured as error:
        sys.exit(f"Easel cannot start: {error}")
