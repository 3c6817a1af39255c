"""Every setting that comes from the environment or `.env`: its name, type, default and meaning.

This is the one list. `config/settings.py` reads from it, and docs/settings.md is made from it
(`python -m config.environment`); `make check` fails when that page is stale.

A value may also come from a file: `<NAME>_FILE` holds its path. Secrets are best given that way.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
DOCS_PAGE = BASE_DIR / "docs" / "settings.md"


@dataclass(frozen=True)
class Variable:
    """One environment variable. `shown` stands for the default where that is computed; `least` and `most`
    bound a number, `choices` names all that a text may be."""

    name: str
    type: type
    default: Any
    help: str
    shown: str = ""
    least: int = 0
    most: int | None = None
    choices: tuple[str, ...] = ()

    @property
    def rule(self) -> str:
        if self.choices:
            return f"must be {', '.join(self.choices[:-1])} or {self.choices[-1]}"
        if self.type is bool:
            return "must be true or false"
        to = "" if self.most is None else f" to {self.most}"
        return f"must be a whole number from {self.least}{to}"


# fmt: off
GROUPS: dict[str, list[Variable]] = {
    "Where it runs": [
        Variable("EASEL_DATA_DIR", Path, BASE_DIR / "var",
                 "Folder for the SQLite database, the pictures and the generated secrets.", "./var"),
        Variable("PORT", int, 8005, "Port to listen on.", least=1, most=65535),
        Variable("EASEL_BIND", str, "127.0.0.1", "Address to listen on, such as `0.0.0.0` or `::1`."),
        Variable("EASEL_PUBLIC_URL", str, "",
                 "Where clients reach Easel. Decides allowed hosts, Secure cookies and HSTS (with https).",
                 "http://127.0.0.1:$PORT"),
        Variable("EASEL_ALLOWED_HOSTS", list, [], "Further host names to answer to, separated by commas."),
        Variable("EASEL_TRUSTED_PROXIES", list, [],
                 "Addresses or networks of reverse proxies whose `X-Forwarded-For` and "
                 "`X-Forwarded-Proto` are believed, separated by commas."),
        Variable("DEBUG", bool, False, "Django's debug mode. Never in production."),
    ],
    "Secrets": [
        Variable("SECRET_KEY", str, "",
                 "Signs sessions and tokens: at least 50 random characters. `make run` makes one in "
                 "`EASEL_DATA_DIR/secrets`; with DEBUG a fixed one will do."),
        Variable("EASEL_ENCRYPTION_KEYS", list, [],
                 "Fernet keys for the engines' credentials at rest, separated by commas. The first "
                 "encrypts, all decrypt. `make run` makes one in `EASEL_DATA_DIR/secrets`."),
        Variable("EASEL_ADMIN_USERNAME", str, "admin", "Name of the superuser that `make run` creates."),
        Variable("EASEL_ADMIN_PASSWORD", str, "",
                 "Password of that superuser; without it a random one is made and shown once."),
    ],
    "Database and storage": [
        Variable("DATABASE_URL", str, "",
                 "`postgres://user:password@host:5432/name`, or `sqlite:////path`.",
                 "SQLite in `EASEL_DATA_DIR`"),
        Variable("EASEL_DATABASE_POOL", int, 10, "PostgreSQL connections that one worker keeps at most."),
        Variable("EASEL_REDIS_URL", str, "",
                 "`redis://:password@host:6379/0` or `rediss://` for TLS; holds rates, turns, cache. Without "
                 "it rates and turns are in the database, and each process has a cache of its own."),
        Variable("EASEL_STORAGE", str, "",
                 "Where pictures lie: `file:///path`, `s3://bucket/prefix?endpoint_url=…&region_name=…` with "
                 "credentials as boto3 reads them, or the dotted path of a Django storage class.",
                 "the folder `files` in `EASEL_DATA_DIR`"),
        Variable("EASEL_ACCEL_REDIRECT", str, "",
                 "nginx's internal location for the folder, such as `/_files/`, where nginx stands in front "
                 "and is to send the pictures itself. Needs EASEL_TRUSTED_PROXIES."),
        Variable("EASEL_S3_PRESIGNED", int, 0,
                 "Seconds for which a redirect to S3 holds, where S3 is to send the pictures itself. "
                 "0: Easel sends them."),
    ],
    "Serving": [
        Variable("EASEL_WORKERS", int, 2, "Worker processes.", least=1, most=500),
        Variable("EASEL_THREADS", int, 800, "Threads a worker. A waiting generation holds one.", least=1),
        Variable("EASEL_MAX_WAITING", int, 1000,
                 "Generations that may wait at once, over all workers; one more gets 503."),
        Variable("EASEL_GRACEFUL_TIMEOUT", int, 120, "Seconds that a stop lets running requests finish in."),
        Variable("EASEL_SOCKET_TIMEOUT", int, 60,
                 "Seconds after which a client that neither sends nor reads is dropped.", least=1),
        Variable("EASEL_CLIENT_PACE", int, 4096,
                 "Bytes a second that a client sends and reads at least; a slower one is dropped after "
                 "`EASEL_SOCKET_TIMEOUT` of it.", least=1),
        Variable("EASEL_REQUEST_TIMEOUT", int, 600,
                 "Seconds in which a request has come whole, its body included, at whatever pace.", least=1),
    ],
    "Limits": [
        Variable("EASEL_RATE_USER", int, 10, "Requests a second that one user may make. 0: no limit."),
        Variable("EASEL_RATE_ADDRESS", int, 20, "Requests a second from one address. 0: no limit."),
        Variable("EASEL_LOGIN_ATTEMPTS", int, 5, "Wrong passwords before a pause."),
        Variable("EASEL_LOGIN_PAUSE", int, 300, "Seconds of that pause."),
        Variable("EASEL_ACCESS_TOKEN_MINUTES", int, 30, "Life of an access token."),
        Variable("EASEL_REFRESH_TOKEN_DAYS", int, 14, "Life of a refresh token."),
        Variable("EASEL_MIN_FREE_MB", int, 200,
                 "Megabytes that must be free on the disk, else new generations get 503 before an engine is "
                 "asked. 0: no limit."),
        Variable("EASEL_PORTRAIT_DAYS", int, 7, "Days after which a portrait's link is gone."),
    ],
    "Watching": [
        Variable("EASEL_LOG_LEVEL", str, "INFO", "DEBUG, INFO, WARNING or ERROR.",
                 choices=("DEBUG", "INFO", "WARNING", "ERROR")),
        Variable("EASEL_LOG_FORMAT", str, "json", "`json`, or `console` for people.",
                 choices=("json", "console")),
        Variable("EASEL_METRICS_TOKEN", str, "",
                 "Who sends it as a Bearer token may read `/metrics`: at least 16 characters."),
        Variable("EASEL_METRICS_ALLOWED", list, [],
                 "Addresses or networks that may read `/metrics` without it, separated by commas. Without "
                 "either of the two nothing is counted, and `/metrics` is a 404."),
        Variable("OTEL_EXPORTER_OTLP_ENDPOINT", str, "",
                 "Where OpenTelemetry spans are sent. Without it only the trace id is made."),
    ],
}
# fmt: on

VARIABLES = {variable.name: variable for group in GROUPS.values() for variable in group}


def load_dotenv() -> None:
    """Read `.env` beside `manage.py`, where there is one. The environment wins over it."""
    path = BASE_DIR / ".env"
    if path.is_file():
        environ.Env.read_env(str(path))


def read(name: str) -> Any:
    """The value of a variable, in its type. An empty one counts as absent.

    Raises ImproperlyConfigured with the name and the rule.
    """
    variable = VARIABLES[name]
    raw = _raw(name).strip()
    if not raw:
        return variable.default
    try:
        return _cast(variable, raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name} {variable.rule}, not {raw!r}.") from None


def listening() -> tuple[str, int]:
    """Host and port to listen on; an address of IPv6 in brackets. Raises ImproperlyConfigured."""
    host = str(read("EASEL_BIND"))
    return f"[{host}]" if ":" in host and not host.startswith("[") else host, read("PORT")


def read_all() -> None:
    """Raises ImproperlyConfigured where any variable is wrong, whoever reads it and when."""
    for name in VARIABLES:
        read(name)


def _raw(name: str) -> str:
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return os.environ.get(name, "")
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not a text"
        raise ImproperlyConfigured(f"{name}_FILE names {path}, which cannot be read: {why}.") from None


def _cast(variable: Variable, raw: str) -> Any:
    if variable.choices and raw not in variable.choices:
        raise ValueError(raw)
    if variable.type is list:
        return [part.strip() for part in raw.split(",") if part.strip()]
    if variable.type is bool:
        if raw.lower() not in {"1", "0", "true", "false", "yes", "no", "on", "off"}:
            raise ValueError(raw)
        return raw.lower() in {"1", "true", "yes", "on"}
    if variable.type is int and not variable.least <= int(raw) <= (variable.most or int(raw)):
        raise ValueError(raw)
    return variable.type(raw)


def page() -> str:
    """docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "From the environment, or from `.env` beside `manage.py`; the environment wins. `<NAME>_FILE` may",
        "name a file that holds the value. Engines and defaults for pictures are set in the admin instead.",
        "",
        "<!-- Made by `python -m config.environment`. Do not edit. -->",
    ]
    for title, group in GROUPS.items():
        lines += ["", f"## {title}", "", "| name | default | meaning |", "|---|---|---|"]
        lines += [f"| `{v.name}` | {_shown(v)} | {v.help} |" for v in group]
    return "\n".join(lines) + "\n"


def _shown(variable: Variable) -> str:
    if variable.shown:
        return variable.shown
    return f"`{variable.default}`" if variable.default not in ("", []) else "none"


if __name__ == "__main__":
    DOCS_PAGE.write_text(page())
