"""Whether this process lives, and whether it can do its work."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import structlog
from django.core.files.storage import default_storage
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

logger = structlog.stdlib.get_logger(__name__)


class NotReady(Exception):
    """The message says what is missing; it is shown to anybody."""


@csrf_exempt  # a POST is told that there is none, not that it lacks a token
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@csrf_exempt
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Database, storage and migrations: 200 when all are well, else 503 and which is not."""
    found = {name: _outcome(name, check) for name, check in CHECKS.items()}
    ready = all(outcome == "ok" for outcome in found.values())
    return JsonResponse({"status": "ok" if ready else "unavailable", **found}, status=200 if ready else 503)


def _outcome(name: str, check: Callable[[], None]) -> str:
    try:
        check()
    except NotReady as error:
        return str(error)
    except Exception:
        logger.exception("not ready", check=name)
        return "unavailable"
    return "ok"


class _OneProbe:
    """Anybody may ask, and each probe is a connection beside the pool: so a process makes one at a time,
    and its answer is good for all who came before it was there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answered_at, self._well = 0.0, False

    def ask(self, probe: Callable[[], None]) -> None:
        """Raises what `probe` raises, and NotReady where another's did."""
        came = time.monotonic()
        with self._lock:
            if self._answered_at >= came:
                if not self._well:
                    raise NotReady("unavailable")
                return
            self._well = False
            try:
                probe()
                self._well = True
            finally:
                self._answered_at = time.monotonic()


_one_probe = _OneProbe()


def _database() -> None:
    """PostgreSQL past the pool, whose queue says more of the load than of the server."""
    probe = getattr(connection, "probe", None)
    if probe is not None:
        _one_probe.ask(probe)
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _storage() -> None:
    location = getattr(default_storage, "location", None)
    if location is None or not hasattr(default_storage, "base_location"):
        default_storage.exists("readyz")
        return
    folder = Path(location)
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        raise NotReady("not writable")


def _migrations() -> None:
    if not _migrated():
        _migrated.cache_clear()
        raise NotReady("not applied: run manage.py migrate")


@cache
def _migrated() -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


CHECKS = {"database": _database, "storage": _storage, "migrations": _migrations}
