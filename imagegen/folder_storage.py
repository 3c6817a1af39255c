"""A folder in which a file has its name only once it is whole."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from django.core.files.storage import FileSystemStorage

PARTIAL = "partial"
"""Folder, inside the storage, of files that are being written. What a crash leaves there is rubbish."""

AT_ONCE = 4 * 1024 * 1024
"""Bytes of a content that are read and written in one go."""


class FolderStorage(FileSystemStorage):
    """Writes under another name and links, never over a file that is there. Then bytes and name are forced
    to disk together.

    The folder's file system must know hard links, and take a new name to disk with its file, as ext4, XFS
    and btrfs do. Raises OSError.
    """

    def _save(self, name: str, content: Any) -> str:
        part = f"{PARTIAL}/{secrets.token_hex(16)}"
        with self._begin(Path(self.path(part))) as file:
            try:
                _write(file, content)
                name = self._publish(part, name)
            finally:
                self.delete(part)
            try:
                _force_to_disk(file)
            except OSError:
                self.delete(name)
                raise
        return name

    def _begin(self, part: Path) -> IO[bytes]:
        try:
            file = part.open("xb")
        except FileNotFoundError:
            part.parent.mkdir(parents=True, exist_ok=True)
            file = part.open("xb")
        if self.file_permissions_mode is not None:
            os.fchmod(file.fileno(), self.file_permissions_mode)
        return file

    def _publish(self, part: str, name: str) -> str:
        """Give the file its name, or a free one where that is taken; return it."""
        while True:
            path = Path(self.path(name))
            try:
                os.link(self.path(part), path)
            except FileNotFoundError:
                path.parent.mkdir(parents=True, exist_ok=True)
            except FileExistsError:
                name = self.get_available_name(name)
            else:
                return name


def _write(file: IO[bytes], content: Any) -> None:
    for chunk in content.chunks(AT_ONCE):
        file.write(chunk)
    file.flush()


def _force_to_disk(file: IO[bytes]) -> None:
    """And give the kernel its memory back for the next picture: one from elsewhere costs far more, above all
    on a virtual machine (docs/performance.md), and whoever looks at a picture keeps it. Where it cannot, the
    picture is on disk all the same.
    """
    os.fsync(file.fileno())
    with suppress(AttributeError, OSError):
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
