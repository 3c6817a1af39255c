"""A user is deleted: what becomes of their pictures and of the words they asked with."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models.signals import pre_delete

from imagegen import storage
from imagegen.models import Generation, ImageFile, ImageSettings
from imagegen.models.generation import GenerationQuerySet


def watch() -> None:
    """Called once, when the app is ready."""
    pre_delete.connect(_before_delete, sender=settings.AUTH_USER_MODEL, dispatch_uid="imagegen.departure")


def _before_delete(instance: Any, **_: Any) -> None:
    """In the transaction that deletes the user: if that fails, nothing here has happened."""
    if ImageSettings.objects.current().delete_pictures_with_user:
        erase(instance)


def erase(user: Any) -> None:
    """Delete a user's pictures, and everything in their generations that they wrote themselves."""
    storage.delete_files(ImageFile.objects.filter(owner=user))
    erase_words(Generation.objects.filter(user=user))


def erase_words(generations: GenerationQuerySet) -> int:
    """Empty everything that a person wrote themselves; return in how many.

    What was made, when, at which cost and by which connection stays: bills are made of that.
    """
    return generations.update(
        prompt="",
        parameters={},
        chat_id="",
        message_id="",
        error_detail="",
        idempotency_key="",
        fingerprint="",
    )


def is_erased(generation: Generation) -> bool:
    """Whether its person is gone and wanted, by today's setting, all pictures to go along."""
    return generation.user_id is None and ImageSettings.objects.current().delete_pictures_with_user
