"""`manage.py connections`: what ops script instead of clicking in the admin."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.db.models import QuerySet

from imagegen.access.journal import ADDITION, CHANGE, DELETION, record_from_shell
from imagegen.engines import ENGINES
from imagegen.engines.errors import EngineError
from imagegen.management.explained import ExplainedCommand, Help
from imagegen.models import EngineConnection, ImageSettings
from imagegen.models.settings import OPERATIONS

DETAILS = """examples:
  # a LiteLLM proxy; its key comes from the environment, never from the command line
  manage.py connections add litellm --engine openai --base-url http://litellm:4000/v1 \\
      --api-key-env LITELLM_KEY --model grok-imagine-image --use-for portrait,generate

  # a ComfyUI with a graph of your own, saved there by Workflow, Export (API)
  manage.py connections add gpu-1 --engine comfyui --base-url http://gpu-1:8188 \\
      --workflow sdxl.json --concurrency 1 --deadline 300
  manage.py connections test gpu-1
  manage.py connections update gpu-1 --use-for generate,edit

  manage.py connections update litellm --price 0.04 --parameter quality=high
  manage.py connections list --json

`manage.py connections add --help` lists what a connection has. A change counts from the next request on, in
every process. A key is stored encrypted and shown by nothing.
"""
ADD_DETAILS = """example:
  manage.py connections add litellm --engine openai --base-url http://litellm:4000/v1 \\
      --api-key-env LITELLM_KEY --model grok-imagine-image --use-for portrait,generate

NAME is what you call it: a-z, 0-9, dot, dash and underscore. Clients may ask for NAME/MODEL.
"""
FIELDS = {
    "base_url": "base_url",
    "model": "default_model",
    "deadline": "deadline",
    "concurrency": "concurrency",
    "price": "price",
}
KEY_LOST = "KEY CANNOT BE DECRYPTED"
UNTOLD = {"id", "created_at", "updated_at", "failures", "rests_until"}
JSON_FILES = ("workflow", "workflow_nodes", "edit_workflow", "edit_workflow_nodes")


class Command(ExplainedCommand):
    help = "Add, list, update, test and remove connections to image engines."
    details = DETAILS

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        add = actions.add_parser("add", help="add a connection", epilog=ADD_DETAILS, formatter_class=Help)
        add.add_argument(
            "--engine",
            required=True,
            choices=sorted(ENGINES),
            help="openai is for everything that speaks as OpenAI does, such as LiteLLM",
        )
        update = actions.add_parser("update", help="change what is named, leave the rest")
        listing = actions.add_parser("list", help="list all, without their keys")
        listing.add_argument("--json", action="store_true", dest="as_json", help="for scripts")
        test = actions.add_parser("test", help="reach the engine, at no cost; exit 1 if that fails")
        remove = actions.add_parser("remove", help="remove it; what it made stays")
        for action in (add, update, test, remove):
            action.add_argument("name", metavar="NAME")
        for action in (add, update):
            _add_fields(action)

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        getattr(self, f"_{action}")(**options)

    def _add(self, *, name: str, engine: str, **options: Any) -> None:
        if EngineConnection.objects.filter(name=name).exists():
            raise CommandError(f"There is a connection {name!r} already: use `update`, or another name.")
        self._save(EngineConnection(name=name, engine=engine), options)
        self.stdout.write(f"Added {name}.")

    @transaction.atomic
    def _update(self, *, name: str, **options: Any) -> None:
        """The row is locked: a whole row is written, and what others write of it meanwhile would be lost."""
        self._save(_find(name, among=EngineConnection.objects.select_for_update()), options)
        self.stdout.write(f"Updated {name}.")

    def _save(self, connection: EngineConnection, options: dict[str, Any]) -> None:
        """All or nothing: a mistake anywhere changes nothing."""
        before, flag = _values(connection), CHANGE if connection.pk else ADDITION
        for option, field in FIELDS.items():
            if options[option] is not None:
                setattr(connection, field, options[option])
        for field in JSON_FILES:
            if options[field] is not None:
                setattr(connection, field, _load(field, options[field]))
        if options["models"] is not None:
            connection.listed_models = [model for model in options["models"].split(",") if model]
        if options["trusted_origin"] is not None:
            connection.trusted_origins = options["trusted_origin"]
        if options["enabled"] is not None:
            connection.enabled = options["enabled"]
        for pair in options["parameter"] or []:
            _set_parameter(connection, pair)
        key = _key(options)
        if key is not None:
            connection.key = key
        try:
            connection.full_clean()
        except ValidationError as error:
            raise CommandError(_sentence(error)) from None
        with transaction.atomic():
            connection.save()
            changes = [*_changes(before, _values(connection)), *_select(connection, options["use_for"])]
            told = f"{'; '.join(changes) or 'saved without a change'}."
            record_from_shell(things=[connection], flag=flag, message=told)

    def _list(self, *, as_json: bool, **_: Any) -> None:
        current = ImageSettings.objects.current()
        rows = [_describe(connection, current) for connection in EngineConnection.objects.all()]
        if as_json:
            self.stdout.write(json.dumps(rows, indent=2))
            return
        for row in rows:
            used = f"  used for {', '.join(row['used_for'])}" if row["used_for"] else ""
            state = "" if row["enabled"] else "  (disabled)"
            key = KEY_LOST if row["key_is_lost"] else "key set" if row["has_key"] else "no key"
            what = "  ".join(filter(None, (row["engine"], row["base_url"], row["model"], key)))
            self.stdout.write(f"{row['name']:<20} {what}{used}{state}")

    def _test(self, *, name: str, **_: Any) -> None:
        try:
            found = _find(name).to_engine().check()
        except EngineError as error:
            raise CommandError(f"{name}: {error.message} {error.detail}".strip()) from None
        self.stdout.write(f"{name}: {found}")

    @transaction.atomic
    def _remove(self, *, name: str, **_: Any) -> None:
        connection = _find(name)
        record_from_shell(things=[connection], flag=DELETION, message="removed.")
        connection.delete()
        self.stdout.write(f"Removed {name}.")


def _add_fields(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--base-url", help="where the server is, such as https://api.openai.com/v1")
    parser.add_argument("--model", help="model asked for when a request names none")
    parser.add_argument(
        "--models", help="model ids to offer where the engine lists none, separated by commas"
    )
    parser.add_argument(
        "--deadline", type=int, metavar="SECONDS", help="that one call may take in all; 120 unless set"
    )
    parser.add_argument(
        "--concurrency", type=int, metavar="CALLS", help="at once; 0, as it is unless set: no limit"
    )
    parser.add_argument(
        "--price", metavar="DOLLARS", help="US dollars a picture, where the engine does not say what it took"
    )
    parser.add_argument(
        "--parameter",
        action="append",
        metavar="NAME=VALUE",
        help="sent with every request; VALUE is JSON or plain text, empty removes it",
    )
    parser.add_argument(
        "--trusted-origin",
        action="append",
        metavar="SCHEME://HOST:PORT",
        help="a private host that picture links in its answers may point to",
    )
    parser.add_argument(
        "--use-for",
        metavar="OPERATIONS",
        help=f"select it for these under Settings, Images: of {', '.join(OPERATIONS)}, separated by commas",
    )
    for field in JSON_FILES:
        what = "node map; without one it is guessed" if field.endswith("nodes") else "graph in API format"
        parser.add_argument(f"--{field.replace('_', '-')}", metavar="FILE", help=f"ComfyUI: the {what}")
    key = parser.add_mutually_exclusive_group()
    key.add_argument("--api-key-env", metavar="VARIABLE", help="environment variable that holds the key")
    key.add_argument("--api-key-stdin", action="store_true", help="read the key from standard input")
    key.add_argument("--no-api-key", action="store_true", help="forget the key")
    switch = parser.add_mutually_exclusive_group()
    switch.add_argument(
        "--enable", action="store_const", const=True, dest="enabled", help="it is, unless disabled"
    )
    switch.add_argument(
        "--disable", action="store_const", const=False, dest="enabled", help="keep it, and ask it for nothing"
    )


def _find(name: str, *, among: QuerySet[EngineConnection] | None = None) -> EngineConnection:
    try:
        return (EngineConnection.objects.all() if among is None else among).get(name=name)
    except EngineConnection.DoesNotExist:
        known = ", ".join(EngineConnection.objects.values_list("name", flat=True)) or "none"
        raise CommandError(f"There is no connection {name!r}. There are: {known}.") from None


def _key(options: dict[str, Any]) -> str | None:
    """A key never stands on the command line, where other users of the machine can read it."""
    if options["no_api_key"]:
        return ""
    variable = options["api_key_env"]
    if variable is None and not options["api_key_stdin"]:
        return None
    key = sys.stdin.readline() if variable is None else os.environ.get(variable, "")
    if not key.strip():
        where = "on standard input" if variable is None else f"in the environment variable {variable}"
        raise CommandError(f"There is no key {where}.")
    return key.strip()


def _load(field: str, path: str) -> Any:
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise CommandError(f"--{field.replace('_', '-')}: {path} cannot be read as JSON: {error}") from None


def _set_parameter(connection: EngineConnection, pair: str) -> None:
    name, separator, text = pair.partition("=")
    if not (name and separator):
        raise CommandError(f"--parameter takes NAME=VALUE, not {pair!r}.")
    if not text:
        connection.parameters.pop(name, None)
        return
    try:
        connection.parameters[name] = json.loads(text)
    except ValueError:
        connection.parameters[name] = text


def _values(connection: EngineConnection) -> dict[str, Any]:
    """What a change can be told from."""
    return {
        field.name: getattr(connection, field.name)
        for field in connection._meta.fields
        if field.name not in UNTOLD
    } | {"parameters": {**connection.parameters}}


def _changes(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Phrases. Of what may be long, or secret, only that it changed."""
    for name, value in after.items():
        if value == before[name]:
            continue
        if name == "encrypted_key":
            yield "the key: another was entered" if value else "the key: it was removed"
        elif name in ("parameters", *JSON_FILES):
            yield f"the {name.replace('_', ' ')}"
        else:
            yield f"{name.replace('_', ' ')} from {_shown(before[name])} to {_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "nothing" if value in ("", None, []) else str(value)


def _select(connection: EngineConnection, use_for: str | None) -> list[str]:
    """What it is used for now, as phrases."""
    if use_for is None:
        return []
    operations = [operation.strip() for operation in use_for.split(",") if operation.strip()]
    unknown = [operation for operation in operations if operation not in OPERATIONS]
    if unknown:
        raise CommandError(f"--use-for takes {', '.join(OPERATIONS)}, not {', '.join(unknown)}.")
    current = ImageSettings.objects.current()
    for operation in operations:
        setattr(current, f"{operation}_connection", connection)
    current.save()
    used = [f"{operation} connection to {connection}" for operation in operations]
    if used:
        record_from_shell(things=[current], flag=CHANGE, message=f"{'; '.join(used)}.")
    return [f"used for {operation}" for operation in operations]


def _describe(connection: EngineConnection, current: ImageSettings) -> dict[str, Any]:
    return {
        "name": connection.name,
        "engine": connection.engine,
        "base_url": connection.base_url,
        "model": connection.default_model,
        "enabled": connection.enabled,
        "has_key": bool(connection.encrypted_key),
        "key_is_lost": connection.key_is_lost,
        "used_for": [o for o in OPERATIONS if getattr(current, f"{o}_connection_id") == connection.pk],
    }


def _sentence(error: ValidationError) -> str:
    return " ".join(f"{field}: {' '.join(messages)}" for field, messages in error.message_dict.items())
