"""A call's place in the line before a connection with a concurrency limit."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from imagegen.models.connection import EngineConnection


class TicketQuerySet(models.QuerySet["Ticket"]):
    def ahead_of(self, ticket: Ticket) -> TicketQuerySet:
        return self.filter(connection=ticket.connection_id, pk__lt=ticket.pk, deadline_at__gt=timezone.now())

    def overdue(self) -> TicketQuerySet:
        return self.filter(deadline_at__lt=timezone.now())


class Ticket(models.Model):
    """Drawn before the call, gone after it. Past `deadline_at` it counts no more."""

    connection = models.ForeignKey(EngineConnection, models.CASCADE, related_name="+")
    deadline_at = models.DateTimeField(db_index=True)

    objects = TicketQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.connection_id}: {self.pk}"
