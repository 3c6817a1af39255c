"""Pictures deleted by staff: with their bytes, and written down with who did it.

What was made still counts in quotas, usage and the dashboard: that is read from generations, which stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.http import Http404, HttpRequest

from imagegen import storage
from imagegen.lifecycle.departure import erase_words
from imagegen.models import Generation, ImageFile
from imagegen.models.file import FileQuerySet
from imagegen.models.generation import GenerationQuerySet

DELETE_PICTURES = "imagegen.delete_imagefile"
ERASE_WORDS = "imagegen.delete_generation"
MOST = 100
"""Rows of one deletion."""
SHOWN = 24
"""Thumbnails that the question shows."""


@dataclass(frozen=True)
class Removal:
    """What would go: files, and the words of generations where somebody wants these to go too.

    `generations` is None where files alone were chosen.
    """

    files: FileQuerySet
    generations: GenerationQuerySet | None = None
    may_erase: bool = False

    @cached_property
    def pictures(self) -> list[ImageFile]:
        return list(self.files.select_related("owner"))

    @property
    def shown(self) -> list[ImageFile]:
        return self.pictures[:SHOWN]

    @cached_property
    def ended(self) -> list[Generation]:
        """One that is still under way needs its words."""
        if self.generations is None:
            return []
        return list(self.generations.filter(finished_at__isnull=False).select_related("user"))

    def carry_out(self, request: HttpRequest, *, words_too: bool) -> str:
        """All or nothing; the bytes follow once the rows are gone. Returns what was done, as a sentence."""
        with transaction.atomic():
            locked = self.files.select_for_update(of=("self",)).select_related("owner")
            entries = [_entry(request, file, DELETION, _of_file(file), "Deleted.") for file in locked]
            deleted = storage.delete_files(ImageFile.objects.filter(pk__in=[e.object_id for e in entries]))
            erased = 0
            if words_too and self.may_erase and self.ended:
                told = "Erased the prompt and all that was sent with it."
                entries += [_entry(request, one, CHANGE, _of_generation(one), told) for one in self.ended]
                erased = erase_words(Generation.objects.filter(pk__in=[one.pk for one in self.ended]))
            LogEntry.objects.bulk_create(entries)
        done = f"{_number(deleted, 'picture')} deleted"
        return f"{done}, {_number(erased, 'prompt')} erased." if erased else f"{done}."


def of_files(files: FileQuerySet) -> Removal:
    """Raises Http404 where there is none."""
    removal = Removal(files)
    if not removal.pictures:
        raise Http404
    return removal


def of_generations(generations: GenerationQuerySet, *, may_erase: bool) -> Removal:
    """Their files, those included whose time is over. Raises Http404 where there is none."""
    removal = Removal(ImageFile.objects.filter(generation__in=generations), generations, may_erase)
    if not removal.pictures and not removal.ended:
        raise Http404
    return removal


def _entry(request: HttpRequest, row: ImageFile | Generation, flag: int, name: str, message: str) -> LogEntry:
    assert request.user.pk is not None  # noqa: S101 - the admin lets in nobody else
    return LogEntry(
        user_id=request.user.pk,
        content_type=ContentType.objects.get_for_model(type(row)),
        object_id=str(row.pk),
        object_repr=name[:200],
        action_flag=flag,
        change_message=message,
    )


def _of_file(file: ImageFile) -> str:
    """Never its name: somebody may have chosen it."""
    return f"Picture of {file.owner or 'nobody'}, {file.created_at:%Y-%m-%d %H:%M} UTC"


def _of_generation(generation: Generation) -> str:
    return f"Generation of {generation.user or 'nobody'}, {generation.created_at:%Y-%m-%d %H:%M} UTC"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
