"""What was asked for, and what became of it. Written before the engine is called, closed after."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from imagegen import prepared
from imagegen.models.connection import EngineConnection

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

QUOTA_EXCEEDED = "quota_exceeded"
"""The error code of a request that was refused, so that it is seen. Its row counts against nothing."""


VIEW_OTHERS = "imagegen.view_others_pictures"
"""The permission to see prompts and pictures of others."""


class GenerationQuerySet(models.QuerySet["Generation"]):
    def visible_to(self, user: User | AnonymousUser) -> GenerationQuerySet:
        """One's own, and everyone's for holders of `imagegen.view_others_pictures`."""
        if user.pk is None:
            return self.none()
        return self.all() if user.has_perm(VIEW_OTHERS) else self.filter(user=user.pk)

    def overdue(self) -> GenerationQuerySet:
        """Left running past their deadline: whoever ran them is gone."""
        return self.filter(status=Generation.Status.RUNNING, deadline_at__lt=timezone.now())


class Generation(models.Model):
    """One request for pictures. `deadline_at` is when anybody may close it if nobody has."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        PARTIAL = "partial"
        FAILED = "failed"
        CANCELED = "canceled"

    class Operation(models.TextChoices):
        GENERATE = "generate"
        EDIT = "edit"
        PORTRAIT = "portrait"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="generations",
        db_index=False,  # those below begin with it; PostgreSQL would read all of a user's past through it
    )
    operation = models.CharField(max_length=10, choices=Operation)
    connection = models.ForeignKey(EngineConnection, models.SET_NULL, null=True, related_name="generations")
    connection_name = models.CharField(max_length=50)
    engine = models.CharField(max_length=30)
    model = models.CharField(max_length=200, blank=True)
    prompt = models.TextField()
    parameters = models.JSONField(default=dict, help_text="What was asked for beside the prompt.")
    path = models.JSONField(default=list, help_text="Which connections were asked, and how that ended.")
    pictures_asked = models.PositiveSmallIntegerField(default=1)
    pictures_failed = models.PositiveSmallIntegerField(default=0)
    status = models.CharField(max_length=10, choices=Status, default=Status.RUNNING)
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True, help_text="What the caller was told.")
    error_detail = models.TextField(blank=True, help_text="What staff need in order to mend it.")
    may_have_charged = models.BooleanField(default=False)
    reserved = models.DecimalField(
        max_digits=12, decimal_places=6, default=0, help_text="US dollars set aside for it while it runs."
    )
    cost = models.DecimalField(max_digits=12, decimal_places=6, null=True, help_text="US dollars.")
    chat_id = models.CharField(max_length=255, blank=True)
    message_id = models.CharField(max_length=255, blank=True)
    trace_id = models.CharField(max_length=32, blank=True)
    idempotency_key = models.CharField(max_length=255, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the body it came with.")
    created_at = models.DateTimeField(default=timezone.now)
    deadline_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    objects = GenerationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        # Whatever a list is filtered by, an index goes on in its order: a page is read and nothing else. On
        # PostgreSQL migration 0003 adds one of three-letter pieces for searches in `prompt`.
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="generation_newest"),
            models.Index(fields=["user", "-created_at", "-id"], name="generation_user"),
            models.Index(fields=["connection_name", "-created_at", "-id"], name="generation_connection"),
            models.Index(fields=["engine", "-created_at", "-id"], name="generation_engine"),
            models.Index(
                fields=["status", "-created_at", "-id"],
                condition=~models.Q(status="succeeded"),  # nearly all are
                name="generation_status",
            ),
            models.Index(
                fields=["error_code", "-created_at", "-id"],
                condition=~models.Q(error_code=""),
                name="generation_error",
            ),
            models.Index(
                fields=["chat_id", "-created_at", "-id"],
                condition=~models.Q(chat_id=""),
                name="generation_chat",
            ),
            models.Index(fields=["trace_id"], condition=~models.Q(trace_id=""), name="generation_trace"),
            models.Index(  # with all that a count reads: PostgreSQL then reads no rows
                fields=["user", "created_at"],
                include=[
                    "status",
                    "finished_at",
                    "deadline_at",
                    "pictures_asked",
                    "pictures_failed",
                    "reserved",
                    "cost",
                ],
                condition=~models.Q(error_code=QUOTA_EXCEEDED),
                name="generation_counted",
            ),
            models.Index(
                fields=["deadline_at"], condition=models.Q(status="running"), name="generation_running"
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "idempotency_key"],
                condition=~models.Q(idempotency_key=""),
                name="generation_idempotency",
            )
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def is_portrait(self) -> bool:
        return self.operation == self.Operation.PORTRAIT

    def close(self, status: Status, **fields: Any) -> bool:
        """Write the end of it. Only a row that is still open is closed: False where somebody else has."""
        end = {**fields, "status": status, "finished_at": timezone.now()}
        return prepared.update(self, end, where_null="finished_at")
