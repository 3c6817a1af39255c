"""How long a group's members keep their pictures."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.contrib.auth.models import Group
from django.db import models

if TYPE_CHECKING:
    from django.db.models.expressions import Combinable


class GroupRetentionQuerySet(models.QuerySet["GroupRetention"]):
    def spares(self, born: Combinable, now: datetime) -> GroupRetentionQuerySet:
        """Those that let a picture stay that was made at `born`."""
        days = GroupRetention.objects.exclude(days=0).order_by().values_list("days", flat=True).distinct()
        still = models.Q(days=0)
        for number in days:
            still |= models.Q(days=number, born__gte=now - timedelta(days=number))
        made = models.ExpressionWrapper(born, models.DateTimeField())
        return self.annotate(born=made).filter(still)


class GroupRetention(models.Model):
    """Comes before the retention in the settings. A user has the most generous of their groups."""

    group = models.OneToOneField(Group, models.CASCADE, primary_key=True, related_name="retention")
    days = models.PositiveIntegerField(help_text="Days after which pictures are deleted; 0: never.")

    objects = GroupRetentionQuerySet.as_manager()

    class Meta:
        verbose_name = "retention"

    def __str__(self) -> str:
        return f"{self.days} days" if self.days else "for ever"
