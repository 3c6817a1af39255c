"""Answers that a crash left in `EASEL_INCOMING_DIR` -> the pictures that were paid for.

An answer lies there from its last byte until rows point at its pictures. It is looked at once its
generation's deadline has passed: until then somebody may still be at work on it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from itertools import groupby
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from imagegen.engines import ENGINES
from imagegen.engines.base import Call, Engine, EngineConfig, EngineImage
from imagegen.engines.errors import EngineError, PromptRejected
from imagegen.engines.sizes import Size
from imagegen.engines.spool import Spool
from imagegen.generation import STORING_SECONDS
from imagegen.incoming import CallName
from imagegen.lifecycle import departure, stories
from imagegen.lifecycle.report import Report
from imagegen.models import EngineConnection, Generation, ImageFile, ImageSettings
from imagegen.models.settings import AUTO, parse_size
from imagegen.pictures import NotAPicture
from imagegen.storing import store_image, tool_name

HALF = ".part"
"""Ending of a file whose last byte had not come yet."""


class Busy(Exception):
    """Another run is at work on this machine."""


def longest_deadline() -> timedelta:
    """After which nobody is at work any more, whatever they had begun."""
    most = EngineConnection.objects.aggregate(most=Max("deadline"))["most"]
    return timedelta(seconds=(most or 0) + STORING_SECONDS)


@contextmanager
def alone() -> Iterator[None]:
    """One run at a time on this machine; the lock ends with its process. Raises Busy."""
    _folder().mkdir(parents=True, exist_ok=True)
    with (_folder() / ".reconcile.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy from None
        yield


def recover_answers(report: Report, *, discard: bool = False) -> None:
    """Store what is found, tell its generations' stories again, and clear up. One run at a time here.

    What cannot be read is reported and kept; `discard` removes it. Raises NotWritten.
    """
    oldest = timezone.now() - longest_deadline()
    for pk, names in groupby(_calls_found(report), key=lambda name: name.generation):
        calls = list(names)
        generation = Generation.objects.filter(pk=pk).first()
        if generation is None:
            spools = [_spool(name) for name in calls]
            old = [spool for spool in spools if _changed(spool) < oldest.timestamp()]
            report.count("answers too young", len(spools) - len(old))
            for spool in old:
                _keep(report, spool, "its generation is unknown", discard=discard)
        elif generation.deadline_at > timezone.now():
            report.count("answers too young", len(calls))
        else:
            _recover(report, generation, calls, discard=discard)


def _calls_found(report: Report) -> list[CallName]:
    """Every call that has files here, in order."""
    found = set()
    for name in sorted(os.listdir(_folder())):
        try:
            found.add(CallName.parse(name))
        except ValueError:
            if not name.startswith("."):
                report.fault("incoming file not ours, kept", name)
    return sorted(found)


def _recover(report: Report, generation: Generation, calls: Sequence[CallName], *, discard: bool) -> None:
    for name in calls:
        spool = _spool(name)
        _remove_halves(report, spool)
        if not spool.files():
            continue
        if stories.is_told(generation):
            _clear(report, spool, "answer cleared, its pictures have been recorded")
        elif departure.is_erased(generation):
            _clear(report, spool, "answer cleared, its person is gone")
        else:
            _recover_call(report, generation, name, spool, discard=discard)


def _recover_call(
    report: Report, generation: Generation, name: CallName, spool: Spool, *, discard: bool
) -> None:
    connection = EngineConnection.objects.filter(pk=name.connection).first()
    engine = _engine(connection, generation)
    try:
        images = _read(engine, spool, ask=not report.dry_run)
    except PromptRejected as error:
        if not report.dry_run:
            _refused(generation, error, engine)
        _clear(report, spool, "answer cleared, the engine had refused")
        return
    except EngineError as error:
        _keep(report, spool, error.detail or error.code, discard=discard)
        return
    stood_in = connection is not None and connection.pk != generation.connection_id
    model = engine.config.model if stood_in else generation.model
    most = engine.capabilities(model).per_call
    numbers = range(name.first, min(name.first + most, generation.pictures_asked))
    missing = stories.never_recorded(generation, numbers)
    wanted = [(k, image) for k, image in zip(numbers, images, strict=False) if k in missing]
    if report.dry_run:
        report.count("pictures recovered", len(wanted))
        return
    try:
        files = _store(generation, wanted, tool=tool_name(engine.name, model, generation))
    except NotAPicture as error:
        _keep(report, spool, str(error), discard=discard)
    else:
        for file in _record(generation, files, connection):
            report.tell("pictures recovered", file.file.name)
        _clear(report, spool, "answer cleared")


def _engine(connection: EngineConnection | None, generation: Generation) -> Engine:
    """The connection's; where that is gone, one of the same kind: to read an answer takes no credentials."""
    if connection is not None:
        return connection.to_engine()
    return ENGINES[generation.engine](EngineConfig(generation.connection_name))


def _read(engine: Engine, spool: Spool, *, ask: bool) -> list[EngineImage]:
    """What the answer holds. `ask`: what it only links to is fetched now. Raises EngineError."""
    call = Call(spool, time.monotonic() + engine.config.deadline, nullcontext)
    return engine.parse(engine.recover(call) if ask else spool.found())


def _store(
    generation: Generation, wanted: Sequence[tuple[int, EngineImage]], *, tool: str
) -> list[ImageFile]:
    """Raises NotWritten, and NotAPicture where none of them is one."""
    current = ImageSettings.objects.current()
    size = None if current.keep_native and not generation.is_portrait else _asked_size(generation)
    files, damaged = [], None
    for number, image in wanted:
        try:
            file = store_image(
                image, generation, number, size=size, tool=tool if current.write_provenance else "", meta={}
            )
        except NotAPicture as error:
            damaged = error
        else:
            files.append(file)
    if damaged and not files:
        raise damaged
    return files


def _asked_size(generation: Generation) -> Size | None:
    """None where the engine was to choose."""
    size = generation.parameters.get("size", AUTO)
    return None if size == AUTO else parse_size(size)


def _record(
    generation: Generation, files: Sequence[ImageFile], connection: EngineConnection | None
) -> list[ImageFile]:
    """Write the rows that nobody else has written meanwhile, and return them."""
    with transaction.atomic():
        mine = stories.record_found(generation, files, connection=connection)
    for file in files:
        if file not in mine and not ImageFile.objects.filter(file=file.file.name).exists():
            default_storage.delete(str(file.file))
    return mine


def _refused(generation: Generation, error: EngineError, engine: Engine) -> None:
    with transaction.atomic():
        stories.record_refusal(generation, error, engine.config.name)


def _keep(report: Report, spool: Spool, reason: str, *, discard: bool) -> None:
    if discard:
        _clear(report, spool, f"answer discarded ({reason})")
    else:
        report.fault("answer unreadable, kept", f"{spool.name} ({reason})")


def _clear(report: Report, spool: Spool, what: str) -> None:
    report.tell(what, spool.name)
    if not report.dry_run:
        spool.clear()


def _remove_halves(report: Report, spool: Spool) -> None:
    halves = [path for path in spool.files() if path.suffix == HALF]
    report.count("halves of answers removed", len(halves))
    if not report.dry_run:
        for path in halves:
            path.unlink(missing_ok=True)


def _folder() -> Path:
    return Path(settings.EASEL_INCOMING_DIR)


def _spool(name: CallName) -> Spool:
    return Spool(_folder(), str(name))


def _changed(spool: Spool) -> float:
    """When a byte of it came in last, in seconds since 1970; now, where it has just gone."""
    times = [path.stat().st_mtime for path in spool.files()]
    return max(times, default=time.time())
