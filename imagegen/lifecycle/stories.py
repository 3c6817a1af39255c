"""What a generation's row says of its pictures, and how it is told again when some turn up later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from imagegen.engines.errors import EngineError
from imagegen.models import EngineConnection, Generation, ImageFile, UsagePeriod

Status = Generation.Status
RECOVERED = "recovered"
"""In a step of `Generation.path`: the positions of pictures that were found after a crash."""


def is_told(generation: Generation) -> bool:
    """Whether the process that made the pictures also wrote the end.

    Rows are written in one transaction with it, so all pictures were recorded then. What still lies about
    was to be cleared, or is what a deletion left.
    """
    delivered = generation.status in (Status.SUCCEEDED, Status.PARTIAL)
    return delivered and not any(RECOVERED in step for step in generation.path)


def never_recorded(generation: Generation, positions: Iterable[int]) -> set[int]:
    """Those pictures that have no row, and did not have one that somebody deleted."""
    if is_told(generation):
        return set()
    return {position for position in positions if position < generation.pictures_asked} - _found(generation)


def record_found(
    generation: Generation, files: Sequence[ImageFile], *, connection: EngineConnection | None
) -> list[ImageFile]:
    """Write rows for pictures found after a crash; return those that nobody else had written meanwhile.

    To be called in a transaction: locks the generation's row, and tells its story again.
    """
    locked = Generation.objects.select_for_update().filter(pk=generation.pk).first()
    if locked is None:
        return []
    missing = never_recorded(locked, [file.position for file in files])
    mine = [file for file in files if file.position in missing]
    for file in mine:
        file.owner_id = locked.user_id
    if mine:
        ImageFile.objects.bulk_create(mine)
        _tell(locked, mine, connection)
    return mine


def record_refusal(generation: Generation, error: EngineError, connection_name: str) -> None:
    """The answer that a crash left says no. To be called in a transaction."""
    locked = Generation.objects.select_for_update().filter(pk=generation.pk, status=Status.FAILED).first()
    if locked is not None and locked.error_code != error.code:
        locked.path = [*locked.path, {"connection": connection_name, "pictures": 0, "error": error.code}]
        locked.error_code, locked.error_message, locked.error_detail = error.code, error.message, error.detail
        locked.save()
        UsagePeriod.objects.mark_stale([locked.created_at])


def _found(generation: Generation) -> set[int]:
    return {position for step in generation.path for position in step.get(RECOVERED, ())}


def _tell(generation: Generation, files: Sequence[ImageFile], connection: EngineConnection | None) -> None:
    """Whether more may have been charged than the cost shows stays open until every picture is there."""
    step: dict[str, Any] = {
        "connection": connection.name if connection else generation.connection_name,
        "pictures": len(files),
        RECOVERED: [file.position for file in files],
        "after": generation.error_code or generation.status,
    }
    generation.path = [*generation.path, step]
    generation.pictures_failed = generation.pictures_asked - len(_found(generation))
    generation.error_message = ""
    if generation.pictures_failed:
        generation.status = Status.PARTIAL
    else:
        generation.status = Status.SUCCEEDED
        generation.error_code = generation.error_detail = ""
        generation.may_have_charged = False
    if connection:
        price = connection.price * len(files)
        generation.cost = (generation.cost or Decimal(0)) + price or None
        if connection.pk != generation.connection_id:
            generation.model = connection.default_model
        generation.connection = connection
        generation.connection_name, generation.engine = connection.name, connection.engine
    generation.save()
    UsagePeriod.objects.mark_stale([generation.created_at])
