"""Processes that die where a test wants them to, and others that come after them.

A driver with Django set up forks one process for each task, so each is new: its own memory, its own
connections. A task is a function in this module. A `Break` strikes before or after a call of a function
of the product, by a signal that the process sends itself: SIGKILL ends it there, SIGSTOP holds it there.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tests.config.production import SECRETS, environment

if TYPE_CHECKING:
    from imagegen.landing import Slots

ROOT = Path(__file__).parents[3]
HOUR = 3600


@dataclass(frozen=True)
class Break:
    """Before or after the `nth` call of `target`, a dotted name."""

    target: str
    when: str
    nth: int = 1
    signal: int = signal.SIGKILL

    def __str__(self) -> str:
        return f"{self.when}-{'.'.join(self.target.split('.')[-2:])}-{self.nth}"


@dataclass(frozen=True)
class Outcome:
    """How a process ended: `done` with a value, `failed` with a traceback, `killed`, or `stopped`."""

    pid: int
    status: str
    value: Any = None


class Lab:
    """The driver, from outside."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.stopped: set[int] = set()
        self.environment = environment(
            folder,
            **SECRETS,
            DJANGO_SETTINGS_MODULE="config.settings",
            EASEL_LOG_LEVEL="ERROR",
            EASEL_PUBLIC_URL="http://testserver",
            **variables,
        )

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.imagegen.lifecycle.lab"],
            cwd=ROOT, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process.stdin is not None
        with self.process:
            self.process.stdin.close()
            try:
                self.process.wait(20)
            finally:
                self.process.kill()

    def run(
        self, task: str, *, at: Break | None = None, in_memory: bool = False, **arguments: Any
    ) -> Outcome:
        """Run one task to its end or its break; `in_memory`: as a worker, whose master outlives it."""
        return self._ask(task=task, arguments=arguments, at=asdict(at) if at else None, in_memory=in_memory)

    def value(self, task: str, **arguments: Any) -> Any:
        """What a task returns that is to succeed."""
        outcome = self.run(task, **arguments)
        assert outcome.status == "done", outcome.value
        return outcome.value

    def resume(self, stopped: Outcome) -> Outcome:
        return self._ask(resume=stopped.pid)

    def kill_stopped(self) -> None:
        """Whoever a failed test has left in the middle of something."""
        while self.stopped:
            with suppress(ProcessLookupError):
                os.kill(self.stopped.pop(), signal.SIGKILL)

    def _ask(self, **request: Any) -> Outcome:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the driver is gone"
        outcome = Outcome(**json.loads(line))
        (self.stopped.add if outcome.status == "stopped" else self.stopped.discard)(outcome.pid)
        return outcome


# Inside: the driver


def main() -> None:
    import django

    django.setup()
    from django.conf import settings

    from imagegen.landing import Slots

    _import_now()
    gc.freeze()
    for line in sys.stdin:
        request, slots = json.loads(line), Slots(0)
        if "resume" in request:
            pid = request["resume"]
            os.kill(pid, signal.SIGCONT)
        else:
            slots = Slots(2 if request.pop("in_memory") else 0)
            pid = os.fork()
            if pid == 0:
                _perform(**request, slots=slots)
        outcome = _wait(pid)
        for slot in slots.left():
            slot.save(settings.EASEL_INCOMING_DIR)
        sys.stdout.write(json.dumps(asdict(outcome)) + "\n")
        sys.stdout.flush()


def _import_now() -> None:
    """What every process would import for itself."""
    from django.core.management import load_command_class
    from django.urls import get_resolver
    from PIL import Image

    get_resolver().check()
    Image.init()
    for command in ("migrate", "purge_expired", "reconcile_files", "move_files"):
        app = "django.core" if command == "migrate" else "imagegen"
        load_command_class(app, command)


def _perform(task: str, arguments: dict[str, Any], at: dict[str, Any] | None, slots: Slots) -> None:
    from imagegen import landing

    landing.use(slots)
    try:
        if at:
            _break(Break(**at))
        answer = {"status": "done", "value": globals()[task](**arguments)}
    except BaseException:  # noqa: BLE001 - whatever it is, the test is told
        answer = {"status": "failed", "value": traceback.format_exc()}
    _result(os.getpid()).write_text(json.dumps(answer))
    os._exit(0)


def _wait(pid: int) -> Outcome:
    _, status = os.waitpid(pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return Outcome(pid, "stopped")
    if os.WIFSIGNALED(status):
        return Outcome(pid, "killed")
    return Outcome(pid, **json.loads(_result(pid).read_text()))


def _result(pid: int) -> Path:
    return Path(os.environ["EASEL_DATA_DIR"]) / f"result-{pid}.json"


def _break(at: Break) -> None:
    owner, name = _find(at.target)
    function, calls = getattr(owner, name), count(1)

    def broken(*args: Any, **kwargs: Any) -> Any:
        struck = next(calls) == at.nth
        if struck and at.when == "before":
            os.kill(os.getpid(), at.signal)
        result = function(*args, **kwargs)
        if struck and at.when == "after":
            os.kill(os.getpid(), at.signal)
        return result

    setattr(owner, name, broken)


def _find(target: str) -> tuple[Any, str]:
    """The module or class that holds the last name."""
    *path, name = target.split(".")
    for length in range(len(path), 0, -1):
        try:
            owner: Any = importlib.import_module(".".join(path[:length]))
        except ModuleNotFoundError:
            continue
        for part in path[length:]:
            owner = getattr(owner, part)
        return owner, name
    raise LookupError(target)


# Inside: tasks


def prepare() -> None:
    """Tables, and a person who may make pictures."""
    from django.contrib.auth.models import Permission, User

    _manage("migrate")
    user = User.objects.create_user("member")
    user.user_permissions.add(Permission.objects.get(codename="image_generation"))


def clear() -> None:
    """No pictures, and no story of any."""
    from django.conf import settings

    from imagegen.models import Generation, ImageFile

    ImageFile.objects.all().delete()
    Generation.objects.all().delete()
    for folder in (settings.MEDIA_ROOT, settings.EASEL_INCOMING_DIR):
        shutil.rmtree(folder, ignore_errors=True)


def connect(*, engine: str, key: str = "", **fields: Any) -> None:
    """The one connection that makes everything."""
    from imagegen.models import EngineConnection, ImageSettings

    connection, _ = EngineConnection.objects.get_or_create(name="up", defaults={"engine": engine})
    for name, value in {"engine": engine, **fields}.items():
        setattr(connection, name, value)
    connection.key = key
    connection.save()
    current = ImageSettings.objects.current()
    current.generate_connection = current.portrait_connection = connection
    current.save()


def post(*, path: str, body: Any) -> list[Any]:
    """A request of the person's, as far as the answer: its status and body."""
    from django.contrib.auth.models import User
    from django.test import Client

    from imagegen.access import tokens

    token = tokens.issue(user=User.objects.get(username="member")).access_token
    client = Client(headers={"authorization": f"Bearer {token}"}, raise_request_exception=False)
    response = client.post(path, body, content_type="application/json")
    return [response.status_code, response.json()]


def reconcile(*, options: Sequence[str] = (), incoming: str = "") -> str:
    """What the timers do when time has passed; see `manage`."""
    age()
    return manage(command="purge_expired") + manage(
        command="reconcile_files", options=options, incoming=incoming
    )


def manage(*, command: str, options: Sequence[str] = (), incoming: str = "") -> str:
    """A command of ours; on another machine where it has another folder for answers. What it printed."""
    from django.conf import settings

    if incoming:
        settings.EASEL_INCOMING_DIR = incoming
    return _manage(command, *options)


def _manage(command: str, *options: str) -> str:
    from django.core.management import call_command

    out = io.StringIO()
    call_command(command, *options, stdout=out)
    return out.getvalue()


def fill(*, number: int) -> None:
    """So many small files, each with its row."""
    from django.contrib.auth.models import User
    from django.core.files.base import ContentFile

    from imagegen.models import ImageFile

    rows = []
    for k in range(number):
        data = f"{k:03}".encode() * 1000
        row = ImageFile(
            owner=User.objects.get(), name=f"{k}", content_type="image/png", width=1, height=1,
            native_width=1, native_height=1, size=len(data), sha256=_sha256(data), position=k,
        )  # fmt: skip
        row.file.save(f"{k}.png", ContentFile(data), save=False)
        rows.append(row)
    ImageFile.objects.bulk_create(rows)


def digests(*, line: str) -> dict[str, str]:
    """SHA-256 of every file with a row, as it is in a storage."""
    from imagegen.lifecycle.moving import open_storage
    from imagegen.models import ImageFile

    storage = open_storage(line)
    names = ImageFile.objects.values_list("file", flat=True)
    return {name: _sha256(storage.open(name).read()) for name in names}


def age() -> None:
    """Time passes, more than any deadline."""
    from django.conf import settings
    from django.utils import timezone

    from imagegen.models import Generation

    Generation.objects.update(deadline_at=timezone.now() - timedelta(seconds=1))
    then = time.time() - 3 * HOUR
    for folder in (settings.MEDIA_ROOT, settings.EASEL_INCOMING_DIR):
        for path in Path(folder).rglob("*"):
            with suppress(FileNotFoundError):
                os.utime(path, (then, then))


def leave_running(*, number: int) -> None:
    """Generations whose processes died, and whose deadlines have passed."""
    from django.utils import timezone

    from imagegen.models import Generation

    then = timezone.now() - timedelta(seconds=1)
    Generation.objects.bulk_create(Generation(deadline_at=then) for _ in range(number))


def close_overdue() -> int:
    from imagegen import overdue

    return overdue.close_overdue()


def execute(*, model: str, where: dict[str, Any], **values: Any) -> int:
    """Update rows."""
    from django.apps import apps

    return int(apps.get_model(model).objects.filter(**where).update(**values))


def delete(*, model: str, where: dict[str, Any]) -> None:
    from django.apps import apps

    apps.get_model(model).objects.filter(**where).delete()


def state() -> dict[str, Any]:
    """All that must be consistent: rows, bytes, answers, generations."""
    from django.conf import settings
    from django.core.files.storage import default_storage
    from django.forms.models import model_to_dict

    from imagegen.models import Generation, ImageFile
    from tests.stored import stored_names

    files = [
        {
            "name": file.file.name,
            "position": file.position,
            "owner": file.owner and file.owner.username,
            "generation": str(file.generation_id),
            "size": [file.width, file.height],
            "whole": _sha256(default_storage.open(file.file.name).read()) == file.sha256,
            "temp_name": file.temp_name,
        }
        for file in ImageFile.objects.order_by("generation", "position")
    ]
    generations = [
        model_to_dict(generation, exclude=["user"]) | {"id": str(generation.pk)}
        for generation in Generation.objects.order_by("created_at")
    ]
    incoming = Path(settings.EASEL_INCOMING_DIR)
    return json.loads(  # type: ignore[no-any-return]
        json.dumps(
            {
                "files": files,
                "stored": stored_names(),
                "incoming": sorted(path.name for path in incoming.glob("[!.]*")),
                "generations": generations,
            },
            default=str,
        )
    )


def _sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    main()
