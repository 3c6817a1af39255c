"""What lies in the storage."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.files.storage import default_storage


def stored_names(folder: str = "") -> list[str]:
    """Every file, by name."""
    return sorted(_walk(folder))


def _walk(folder: str) -> Iterator[str]:
    try:
        folders, files = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    prefix = f"{folder}/" if folder else ""
    yield from (f"{prefix}{name}" for name in files)
    for name in folders:
        yield from _walk(f"{prefix}{name}")
