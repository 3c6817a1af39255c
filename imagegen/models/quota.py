"""How much a group's members may make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import Group
from django.core.validators import MinValueValidator
from django.db import models

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True)
class Quota:
    """What one user may make; None is without limit. Days and months are calendar ones, in UTC."""

    pictures_per_day: int | None = None
    pictures_per_month: int | None = None
    money_per_month: Decimal | None = None
    generations_at_once: int | None = None


DIMENSIONS = tuple(field.name for field in fields(Quota))
NO_QUOTA = Quota()


class GroupQuotaQuerySet(models.QuerySet["GroupQuota"]):
    def of(self, user: User) -> Quota:
        """In each dimension the most generous of the user's groups that have a quota. Superusers: none."""
        if user.is_superuser:
            return NO_QUOTA
        rows = self.filter(group__user=user).values_list(*DIMENSIONS)
        return Quota(*map(_most_generous, zip(*rows, strict=True)))


def _most_generous(limits: Sequence[Any]) -> Any:
    known = [limit for limit in limits if limit is not None]
    return max(known) if len(known) == len(limits) else None


class GroupQuota(models.Model):
    """Empty is without limit, 0 is nothing at all. A group without a row says nothing about its members."""

    group = models.OneToOneField(Group, models.CASCADE, primary_key=True, related_name="quota")
    pictures_per_day = models.PositiveIntegerField(null=True, blank=True, help_text="UTC days.")
    pictures_per_month = models.PositiveIntegerField(
        null=True, blank=True, help_text="Calendar months, in UTC."
    )
    money_per_month = models.DecimalField(
        max_digits=12,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="US dollars. A request that would cost more than is left is refused.",
    )
    generations_at_once = models.PositiveIntegerField(
        null=True, blank=True, help_text="Requests of one member that are under way."
    )

    objects = GroupQuotaQuerySet.as_manager()

    class Meta:
        verbose_name = "quota"

    def __str__(self) -> str:
        limits = ((name, getattr(self, name)) for name in DIMENSIONS)
        said = (f"{n.replace('_', ' ')}: {amount(n, limit)}" for n, limit in limits if limit is not None)
        return ", ".join(said) or "none"


def amount(name: str, number: int | Decimal | None) -> str:
    """How much of a dimension, in words: money as $2.50."""
    if not name.startswith("money") or number is None:
        return str(number)
    dollars, _, rest = f"{number:.6f}".partition(".")
    return f"${dollars}.{rest.rstrip('0'):0<2}"
