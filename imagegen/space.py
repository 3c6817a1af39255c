"""Room on the disk for a picture, looked for before its engine is asked and paid."""

from __future__ import annotations

import os
from collections.abc import Iterator

from django.conf import settings
from django.core.files.storage import FileSystemStorage, default_storage

from imagegen import metrics
from imagegen.errors import NoSpace

MB = 1024 * 1024
RETRY_AFTER = 60.0


def check() -> None:
    """Raises NoSpace where less than EASEL_MIN_FREE_MB is free for answers, or for pictures in a folder."""
    least = settings.EASEL_MIN_FREE_MB * MB
    if least and any(_free(folder) < least for folder in _folders()):
        metrics.busy_refusals("no_space").inc()
        raise NoSpace(
            "There is no room for new pictures at the moment. Please tell an administrator.",
            retry_after=RETRY_AFTER,
        )


def _folders() -> Iterator[str]:
    yield os.fspath(settings.EASEL_INCOMING_DIR)
    if isinstance(default_storage, FileSystemStorage):
        yield os.fspath(default_storage.location)


def _free(folder: str) -> int:
    """Bytes that we may still write there, or where the folder will be made."""
    try:
        found = os.statvfs(folder)
    except (FileNotFoundError, NotADirectoryError):
        return _free(os.path.dirname(folder))
    return found.f_bavail * found.f_frsize
