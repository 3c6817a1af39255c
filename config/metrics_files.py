"""The files through which workers add up what they have counted. gunicorn's hooks call these.

A worker's files belong to its place and not to its process id: the next worker at that place goes on
where the last one ended. So a killed worker takes no number with it, and there are never more files than
places.

Nothing here may end a process: where the disk is full, a worker counts for itself.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from django.conf import settings

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the variable by which prometheus_client is told
KINDS = ("counter", "gauge_livesum", "histogram")
RESERVED = 2 * 1024 * 1024
"""Bytes of each file: some 8,000 series."""


def lay_out() -> None:
    """In the master, before there are workers: an empty folder, none where nobody may read the numbers."""
    folder: Path = settings.EASEL_METRICS_DIR
    shutil.rmtree(folder, ignore_errors=True)
    os.environ.pop(FOLDER, None)
    if settings.EASEL_METRICS_TOKEN or settings.EASEL_METRICS_ALLOWED:
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True)
            os.environ[FOLDER] = str(folder)


def join(place: int) -> None:
    """In a new worker, before anything is counted."""
    if FOLDER not in os.environ:
        return
    try:
        for kind in KINDS:
            _reserve(Path(os.environ[FOLDER]) / f"{kind}_{place}.db")
    except OSError:
        del os.environ[FOLDER]
        return
    from prometheus_client import values

    values.ValueClass = values.MultiProcessValue(lambda: place)  # type: ignore[no-untyped-call]


def leave(place: int) -> None:
    """In the master, once a worker is gone: it has nothing in flight any more."""
    if FOLDER in os.environ:
        from prometheus_client.multiprocess import mark_process_dead

        with suppress(OSError):
            mark_process_dead(place)  # type: ignore[no-untyped-call]


def _reserve(path: Path) -> None:
    """Have the disk's room for it before it is mapped into memory: a first write to a page that then finds no
    block would kill the worker. Raises OSError, and leaves no empty file, which could not be read."""
    try:
        with path.open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVED)
    except OSError:
        if path.exists() and not path.stat().st_size:
            path.unlink()
        raise
