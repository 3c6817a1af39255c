"""A folder in which a file has its name only once it is whole."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from django.core.files.storage import FileSystemStorage

PARTIAL = "partial"
"""Folder, inside the storage, of files that are being written. What a crash leaves there is rubbish."""


class FolderStorage(FileSystemStorage):
    """Writes under another name, forces the bytes to disk, and links: never over a file that is there.

    The folder's file system must know hard links. Raises OSError.
    """

    def _save(self, name: str, content: Any) -> str:
        part = f"{PARTIAL}/{secrets.token_hex(16)}"
        try:
            super()._save(part, content)  # type: ignore[misc]  # unknown to the stubs
            _force_to_disk(self.path(part))
            return self._publish(part, name)
        finally:
            self.delete(part)

    def _publish(self, part: str, name: str) -> str:
        """Give the file its name, or a free one where that is taken; return it."""
        while True:
            path = Path(self.path(name))
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(self.path(part), path)
            except FileExistsError:
                name = self.get_available_name(name)
            else:
                return name


def _force_to_disk(path: str) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
