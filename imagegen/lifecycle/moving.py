"""Every stored file into another storage: copied, read back, and held against its SHA-256.

May be stopped at any moment and run again: what is there and right is left alone, what is there and wrong
(half a copy) is replaced.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, storages

from imagegen import storage_url
from imagegen.folder_storage import PARTIAL
from imagegen.lifecycle.report import Report
from imagegen.models import ImageFile

BATCH = 500
AT_ONCE = 4

COPIED, THERE, MISSING, WRONG = (
    "files copied and verified",
    "files there already, verified",
    "file missing in the source",
    "file differs from its row's SHA-256, not copied",
)


class SamePlace(ValueError):
    """Source and target are one."""


@dataclass(frozen=True)
class Item:
    """A name in the storage, and the SHA-256 it must have; None where no row says so (a thumbnail)."""

    pk: UUID
    name: str
    sha256: str | None


def open_storage(url: str) -> Storage:
    """The storage behind a line as EASEL_STORAGE has it. Raises ValueError with the rule."""
    return storages.create_storage(storage_url.parse(url))


def move(source: Storage, target: Storage, report: Report, *, delete_source: bool = False) -> None:
    """Copy pictures and thumbnails that have a row; `delete_source` removes each once it is verified.

    Raises SamePlace, and what the storages raise.
    """
    _refuse_same(source, target)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for batch in _batches():
            outcomes = pool.map(lambda item: _move(item, source, target, delete_source), batch)
            for item, outcome in zip(batch, outcomes, strict=True):
                if outcome in (COPIED, THERE):
                    report.count(outcome)
                elif ImageFile.objects.filter(pk=item.pk).exists():  # not deleted since
                    report.fault(outcome, item.name)


def _refuse_same(source: Storage, target: Storage) -> None:
    """However they are spelt: what is written to the one must not turn up in the other."""
    probe = target.save(f"{PARTIAL}/probe-{secrets.token_hex(16)}", ContentFile(b"probe"))
    try:
        if source.exists(probe):
            raise SamePlace("Source and target are the same place.")
    finally:
        target.delete(probe)


def _batches() -> Iterator[list[Item]]:
    """By key and not by one long query: this may take hours."""
    rows = ImageFile.objects.order_by("pk").values_list("pk", "file", "thumbnail", "sha256")
    batch = list(rows[:BATCH])
    while batch:
        yield [
            item
            for pk, file, thumbnail, sha256 in batch
            for item in (Item(pk, file, sha256), Item(pk, thumbnail, None))
            if item.name
        ]
        batch = list(rows.filter(pk__gt=batch[-1][0])[:BATCH])


def _move(item: Item, source: Storage, target: Storage, delete_source: bool) -> str:
    outcome = _bring(item, source, target)
    if delete_source and outcome in (COPIED, THERE):
        source.delete(item.name)
    return outcome


def _bring(item: Item, source: Storage, target: Storage) -> str:
    there = _sha256(target, item.name)
    wanted = item.sha256 or _sha256(source, item.name) or there
    if there is not None and there == wanted:
        return THERE
    if not source.exists(item.name):
        return MISSING
    if there is not None:
        target.delete(item.name)
    with source.open(item.name) as file:
        written = target.save(item.name, File(file, item.name))
    if written == item.name and _sha256(target, written) == wanted:
        return COPIED
    target.delete(written)
    return WRONG


def _sha256(storage: Storage, name: str) -> str | None:
    """Of what can be read there now; None where there is nothing."""
    if not storage.exists(name):
        return None
    digest = hashlib.sha256()
    with storage.open(name) as file:
        for piece in file.chunks():
            digest.update(piece)
    return digest.hexdigest()
