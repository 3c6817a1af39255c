"""Requests for pictures: what was asked, what became of it, and where its pictures are."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Left
from django.http import Http404, HttpRequest, HttpResponseBase

from imagegen.admin.dashboard import words
from imagegen.admin.gallery import deletion
from imagegen.admin.gallery.filters import GenerationFilters
from imagegen.admin.gallery.listing import GalleryAdmin
from imagegen.models import Generation, ImageFile
from imagegen.models.generation import GenerationQuerySet

EXCERPT = 220
"""Letters of a prompt in the list."""
SHOWN = 2
"""Thumbnails of one generation in the list."""
LISTED = [
    "user__username", "operation", "connection_name", "engine", "model", "pictures_asked", "pictures_failed",
    "status", "error_code", "error_message", "cost", "created_at", "finished_at",
]  # fmt: skip


@admin.register(Generation)
class GenerationAdmin(GalleryAdmin):
    filters = GenerationFilters
    size = 25
    list_title = "Generations"
    list_template = "imagegen/gallery/generations.html"

    def visible(self, request: HttpRequest) -> GenerationQuerySet:
        return Generation.objects.visible_to(request.user)

    def rows(self, request: HttpRequest, question: QuerySet[Any]) -> QuerySet[Any]:
        listed: QuerySet[Any] = question.annotate(start=Left("prompt", EXCERPT + 1))
        return listed.select_related("user").only(*LISTED)

    def complete(self, request: HttpRequest, rows: list[Any]) -> None:
        """One query for the pictures of all of them."""
        files = defaultdict(list)
        made = ImageFile.objects.visible_to(request.user).filter(generation__in=[row.pk for row in rows])
        for file in made.order_by("position").only("generation", "position", "width", "height"):
            files[file.generation_id].append(file)
        for row in rows:
            row.shown, row.further = files[row.pk][:SHOWN], max(0, len(files[row.pk]) - SHOWN)
            row.excerpt = f"{row.start[:EXCERPT]}…" if len(row.start) > EXCERPT else row.start
            row.took, row.dollars = _took(row), words.money(row.cost)

    def detail(self, request: HttpRequest, pk: UUID) -> HttpResponseBase:
        generation = self.visible(request).select_related("user").filter(pk=pk).first()
        if generation is None:
            raise Http404
        files = list(ImageFile.objects.visible_to(request.user).filter(generation=pk).order_by("position"))
        made = generation.pictures_asked - generation.pictures_failed
        return self.show(
            request,
            "imagegen/gallery/generation.html",
            "Generation",
            generation=generation,
            files=files,
            gone=made - len(files) if generation.finished_at else 0,
            took=_took(generation),
            dollars=words.money(generation.cost),
            asked=_asked(generation.parameters),
            steps=_steps(generation),
            can_delete=self.has_delete_permission(request) and generation.finished_at is not None,
        )

    def removal(self, request: HttpRequest, chosen: list[UUID]) -> deletion.Removal:
        may_erase = request.user.has_perm(deletion.ERASE_WORDS)
        return deletion.of_generations(self.visible(request).filter(pk__in=chosen), may_erase=may_erase)


def _took(generation: Generation) -> str:
    """From the request to its end; empty while it is under way."""
    if generation.finished_at is None:
        return ""
    return words.duration((generation.finished_at - generation.created_at).total_seconds())


def _asked(parameters: dict[str, Any]) -> list[tuple[str, str]]:
    """What was asked for beside the prompt, as far as something was."""
    return [
        (name.replace("_", " ").capitalize(), value if isinstance(value, str) else json.dumps(value))
        for name, value in parameters.items()
        if value not in (None, "", {}, [])
    ]


def _steps(generation: Generation) -> list[dict[str, Any]]:
    """Which connections were asked in turn, when each was done, and what it brought."""
    steps, passed = [], 0.0
    for step in generation.path:
        seconds = step.get("seconds")
        passed += seconds or 0
        until = generation.created_at + timedelta(seconds=passed) if seconds is not None else None
        steps.append({**step, "until": until, "took": words.duration(seconds)})
    return steps
