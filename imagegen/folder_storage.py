"""A folder in which a file has its name only once it is whole."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import IO, Any, TypeVar

from django.core.files.storage import FileSystemStorage

PARTIAL = "partial"
"""Folder, inside the storage, of files that are being written. What a crash leaves there is rubbish."""

AT_ONCE = 4 * 1024 * 1024
"""Bytes of a content that are read and written in one go."""

_T = TypeVar("_T")


class FolderStorage(FileSystemStorage):
    """Writes under another name and links, never over a file that is there. Then bytes and name are forced
    to disk together.

    The folder's file system must know hard links, and take a new name to disk with its file, as ext4, XFS
    and btrfs do. Raises OSError.
    """

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Whether a name is free shows when a file is to get it: see `_publish`."""
        if max_length and len(name) > max_length:
            return super().get_available_name(name, max_length)
        return name

    def _save(self, name: str, content: Any) -> str:
        part = f"{PARTIAL}/{secrets.token_hex(16)}"
        path = self.path(part)
        with self._begin(path) as file:
            try:
                _write(file, content)
                name = self._publish(path, name)
            finally:
                self.delete(part)
            try:
                _force_to_disk(file)
            except OSError:
                self.delete(name)
                raise
        return name

    def _begin(self, part: str) -> IO[bytes]:
        file = _in_folder(lambda path: open(path, "xb"), part)  # noqa: SIM115 - whoever called closes it
        if self.file_permissions_mode is not None:
            os.fchmod(file.fileno(), self.file_permissions_mode)
        return file

    def _publish(self, part: str, name: str) -> str:
        """Give the file its name, or a free one where that is taken; return it."""
        while True:
            path = self.path(name)
            try:
                _in_folder(partial(os.link, part), path)
            except FileExistsError:
                name = super().get_available_name(name)
            else:
                return name


def _in_folder(act: Callable[[str], _T], path: str) -> _T:
    """Do what makes a file at `path`; where its folder is missing, make that first."""
    try:
        return act(path)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return act(path)


def _write(file: IO[bytes], content: Any) -> None:
    """The disk is at work from the first piece on, and not only once it is waited for."""
    for chunk in content.chunks(AT_ONCE):
        file.write(chunk)
        file.flush()
        _let_go(file)


def _force_to_disk(file: IO[bytes]) -> None:
    os.fsync(file.fileno())
    _let_go(file)


def _let_go(file: IO[bytes]) -> None:
    """The kernel begins to write what is not on disk yet, and takes the memory back of what is, for the next
    picture: one from elsewhere costs far more, above all on a virtual machine (docs/performance.md), and
    whoever looks at a picture keeps it. Where it cannot, the picture gets to disk all the same.
    """
    with suppress(AttributeError, OSError):
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
