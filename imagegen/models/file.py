"""A picture in our own storage, and whose it is."""

from __future__ import annotations

import uuid
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.http import Http404
from django.utils import timezone

from imagegen.models.generation import VIEW_OTHERS, Generation

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

__all__ = ["VIEW_OTHERS", "FileQuerySet", "ImageFile", "picture_path", "thumbnail_path"]


def picture_path(instance: ImageFile, name: str) -> str:
    """Sharded by date. `name` is made by us: nothing of a person's text is in a path."""
    return f"pictures/{timezone.now():%Y/%m/%d}/{name}"


def thumbnail_path(instance: ImageFile, name: str) -> str:
    """Beside the picture."""
    return str(PurePosixPath(instance.file.name).with_name(name))


class FileQuerySet(models.QuerySet["ImageFile"]):
    def alive(self) -> FileQuerySet:
        return self.filter(models.Q(expires_at=None) | models.Q(expires_at__gt=timezone.now()))

    def owned_by(self, user: User | AnonymousUser) -> FileQuerySet:
        """What belongs to nobody any more belongs to no anonymous visitor either."""
        return self.none() if user.pk is None else self.alive().filter(owner=user.pk)

    def visible_to(self, user: User | AnonymousUser) -> FileQuerySet:
        """One's own, and everyone's for holders of `imagegen.view_others_pictures`."""
        if user.is_authenticated and user.has_perm(VIEW_OTHERS):
            return self.alive()
        return self.owned_by(user)

    def find_visible(self, user: User | AnonymousUser, **lookup: Any) -> ImageFile:
        """The one that `lookup` names. Raises Http404: somebody else's is as good as none.

        The owner is compared here, so that one's own costs no query for permissions.
        """
        file = self.alive().select_related("generation").filter(**lookup).first()
        if file is None or user.pk is None or (file.owner_id != user.pk and not user.has_perm(VIEW_OTHERS)):
            raise Http404
        return file


class ImageFile(models.Model):
    """One stored picture. `temp_name` is the name under which the portraits API serves it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="image_files"
    )
    generation = models.ForeignKey(Generation, models.SET_NULL, null=True, related_name="files")
    position = models.PositiveSmallIntegerField(default=0, help_text="Which of its generation's, from 0.")
    file = models.FileField(upload_to=picture_path, max_length=255, db_index=True)
    thumbnail = models.FileField(upload_to=thumbnail_path, max_length=255, blank=True, editable=False)
    name = models.CharField(max_length=255)
    temp_name = models.CharField(max_length=40, null=True, unique=True, editable=False)  # noqa: DJ001
    content_type = models.CharField(max_length=50)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    native_width = models.PositiveIntegerField(help_text="As the engine made it.")
    native_height = models.PositiveIntegerField()
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    sha256 = models.CharField(max_length=64)
    chat_id = models.CharField(max_length=255, blank=True)
    message_id = models.CharField(max_length=255, blank=True)
    meta = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, db_index=True)

    objects = FileQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"]),
            models.Index(fields=["chat_id", "owner", "-created_at", "-id"], name="imagefile_chat"),
            models.Index(fields=["message_id", "owner", "-created_at", "-id"], name="imagefile_message"),
            models.Index(fields=["-created_at", "-id"], name="imagefile_newest"),
            models.Index(
                fields=["chat_id", "-created_at", "-id"],
                condition=~models.Q(chat_id=""),
                name="imagefile_any_chat",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["generation", "position"], name="imagefile_position_once")
        ]
        permissions = [("view_others_pictures", "Can view others' pictures and prompts")]

    def __str__(self) -> str:
        return self.name
