"""The storage and the rows, held against each other: bytes without a row, rows without bytes.

A day's folder at a time, in one listing and one query, so that memory holds the names of one day.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models.functions import Substr
from django.utils import timezone

from imagegen import pictures, storage
from imagegen.folder_storage import PARTIAL
from imagegen.lifecycle import departure, stories
from imagegen.lifecycle.recovery import longest_deadline
from imagegen.lifecycle.report import Report
from imagegen.models import Generation, ImageFile
from imagegen.storing import for_a_time

ROOT = "pictures"
DAY = len("pictures/2026/12/31")
BATCH = 500
_MADE = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(\d{1,5})-[0-9a-f]+(_\w+)?\.\w+", re.ASCII)
_UPLOADED = re.compile(r"upload-[0-9a-f-]{36}-[0-9a-f]+(_\w+)?\.\w+", re.ASCII)


class EmptyStorage(Exception):
    """There are rows and not one file: this is hardly the storage that the rows speak of."""


@dataclass
class Inventory:
    """One run.

    Args:
        discard: remove bytes that can be given to nobody.
        remove_rows: remove rows whose bytes are gone.
    """

    report: Report
    discard: bool = False
    remove_rows: bool = False

    def __post_init__(self) -> None:
        self.oldest: datetime = timezone.now() - longest_deadline()

    def take(self) -> None:
        """Raises EmptyStorage before rows are removed, and what the storage raises."""
        for name in _names(PARTIAL):
            self._remove(name, "halves of files removed")
        seen = set()
        for folder, names in _folders(ROOT):
            seen.add(folder)
            self._compare(folder, names)
        folders = ImageFile.objects.order_by().values_list(Substr("file", 1, DAY), flat=True).distinct()
        for folder in [folder for folder in folders.iterator() if folder not in seen]:
            if self.remove_rows and not seen:
                raise EmptyStorage
            self._compare(folder, [])

    def _compare(self, folder: str, names: Sequence[str]) -> None:
        unclaimed = {f"{folder}/{name}" for name in names}
        rows = ImageFile.objects.filter(file__startswith=f"{folder}/").order_by()
        bare, gone = [], []
        for pk, file, thumbnail in rows.values_list("pk", "file", "thumbnail").iterator(BATCH):
            if file not in unclaimed:
                bare.append((pk, file))
            if thumbnail and thumbnail not in unclaimed:
                gone.append((pk, thumbnail))
            unclaimed -= {file, thumbnail}
        for pk, file in bare:
            self._without_bytes(pk, file)
        for pk, thumbnail in gone:
            self._without_thumbnail(pk, thumbnail)
        for batch in _batches(sorted(unclaimed)):
            self._without_row(batch)

    def _without_bytes(self, pk: UUID, name: str) -> None:
        """The listing is older than the rows, so both are asked again."""
        row = ImageFile.objects.filter(pk=pk)
        if default_storage.exists(name) or not row.exists():
            return
        if not self.remove_rows:
            self.report.fault("rows without bytes", name)
            return
        self.report.tell("rows without bytes removed", name)
        if not self.report.dry_run:
            storage.delete_files(row)

    def _without_thumbnail(self, pk: UUID, name: str) -> None:
        """It is made again when somebody asks for it."""
        if default_storage.exists(name):
            return
        self.report.count("missing thumbnails forgotten")
        if not self.report.dry_run:
            ImageFile.objects.filter(pk=pk, thumbnail=name).update(thumbnail="")

    def _without_row(self, names: Sequence[str]) -> None:
        made = {name: match for name in names if (match := _MADE.fullmatch(name.rpartition("/")[2]))}
        generations = Generation.objects.in_bulk({UUID(match[1]) for match in made.values()})
        for name in names:
            base = name.rpartition("/")[2]
            if storage.is_thumbnail(base):
                self._remove(name, "thumbnails without a row removed")
            elif _UPLOADED.fullmatch(base):
                self._remove(name, "uploads without a row removed")
            elif name not in made:
                self.report.fault("file not ours, kept", name)
            elif generation := generations.get(UUID(made[name][1])):
                self._give_back(name, generation, int(made[name][2]))
            else:
                self._cannot_give_back(name, "its generation is unknown")

    def _give_back(self, name: str, generation: Generation, position: int) -> None:
        if generation.deadline_at > timezone.now():
            self.report.count("files too young")
        elif departure.is_erased(generation):
            self._remove(name, "files removed, their person is gone")
        elif not stories.never_recorded(generation, [position]):
            self._remove(name, "files removed, their picture has or had a row")
        elif self._is_old(name):
            self._adopt(name, generation, position)

    def _adopt(self, name: str, generation: Generation, position: int) -> None:
        with default_storage.open(name) as file:
            data = file.read()
        try:
            picture = replace(pictures.prepare(data, thorough=True), data=data)
        except pictures.NotAPicture as error:
            self._cannot_give_back(name, str(error))
            return
        if self.report.dry_run:
            self.report.tell("files adopted", name)
            return
        row = storage.describe(picture, generation, position, sha256=picture.sha256, **for_a_time(generation))
        row.file.name = name
        with transaction.atomic():
            mine = stories.record_found(generation, [row], connection=generation.connection)
        if mine:
            self.report.tell("files adopted", name)
        else:
            self._remove(name, "files removed, their picture has or had a row")

    def _cannot_give_back(self, name: str, reason: str) -> None:
        if self.discard:
            self._remove(name, f"files discarded ({reason})")
        elif self._is_old(name):
            self.report.fault("file without a row, kept", f"{name} ({reason})")

    def _remove(self, name: str, what: str) -> None:
        """Unless it is young, or somebody has given it a row since it was listed."""
        if not self._is_old(name) or ImageFile.objects.filter(file=name).exists():
            return
        self.report.tell(what, name)
        if not self.report.dry_run:
            default_storage.delete(name)

    def _is_old(self, name: str) -> bool:
        if not default_storage.exists(name):
            return False  # somebody else was quicker
        old = default_storage.get_modified_time(name) < self.oldest
        if not old:
            self.report.count("files too young")
        return old


def _folders(path: str) -> Iterator[tuple[str, list[str]]]:
    """Every folder that has files, with their names."""
    folders, names = _list(path)
    if names:
        yield path, names
    for folder in sorted(folders):
        yield from _folders(f"{path}/{folder}")


def _names(path: str) -> list[str]:
    return [f"{path}/{name}" for name in _list(path)[1]]


def _list(path: str) -> tuple[list[str], list[str]]:
    try:
        folders, names = default_storage.listdir(path)
    except FileNotFoundError:
        return [], []
    return folders, [name for name in names if name]


def _batches(names: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(names)
    while batch := list(islice(rest, BATCH)):
        yield batch
