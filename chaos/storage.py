"""A storage that fails while somebody wants it to: `EASEL_STORAGE=chaos.storage.FailingStorage`."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile

from imagegen.folder_storage import FolderStorage

FLAG = "storage-fault"
"""File in EASEL_DATA_DIR that names the fault: `full`, or `midway`, after half of the bytes."""


class FailingStorage(FolderStorage):
    """The folder, on a disk that is full now and then."""

    def _save(self, name: str, content: Any) -> str:
        match _fault():
            case "full":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            case "midway":
                content = _Half(content.read())
        return super()._save(name, content)


class _Half(ContentFile):  # type: ignore[type-arg]
    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        data = self.read()
        yield data[: len(data) // 2]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _fault() -> str:
    try:
        return Path(settings.DATA_DIR, FLAG).read_text()
    except FileNotFoundError:
        return ""
