"""What a user has used of their quota, and whether a request still fits.

Nothing is counted but the rows of generations: one that runs holds the pictures it was asked for and the
money set aside for it, until its deadline; one that has ended holds the pictures it stored and what it
cost. So failures and crashes give back by themselves, and a deleted picture stays counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Case, Count, DecimalField, F, Q, Sum, When
from django.utils import timezone

from imagegen import metrics
from imagegen.errors import QuotaExceeded
from imagegen.models import Generation, Quota
from imagegen.models.generation import QUOTA_EXCEEDED
from imagegen.models.quota import NO_QUOTA, amount

LONGEST_RUN = timedelta(hours=2)
"""More than a generation can last: a connection's deadline is an hour at most."""
SOON = 5.0
"""Seconds after which a place among those at once may be free."""
CENT_OF_A_CENT = Decimal("0.000001")

Number = int | Decimal


@dataclass(frozen=True)
class Allowance:
    """One dimension of a quota. `limit` is None without one, `resets_at` where no calendar resets it."""

    limit: Number | None
    used: Number
    resets_at: datetime | None = None

    @property
    def left(self) -> Number | None:
        return None if self.limit is None else max(self.limit - self.used, type(self.used)(0))

    def refuses(self, asked: Number) -> bool:
        """What may turn out to cost nothing does not start either once all is used."""
        return self.limit is not None and (self.used + asked > self.limit or self.used >= self.limit)


def usage(user: User, quota: Quota) -> dict[str, Allowance]:
    """What is used now in each of the DIMENSIONS. One query; what it reads is all in one index."""
    now = timezone.now()
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    month = today.replace(day=1)
    next_month = (month + timedelta(days=32)).replace(day=1)
    used = _count(user, now=now, today=today, month=month)
    return {
        "pictures_per_day": Allowance(quota.pictures_per_day, used["today"] or 0, today + timedelta(days=1)),
        "pictures_per_month": Allowance(quota.pictures_per_month, used["month"] or 0, next_month),
        "money_per_month": Allowance(
            quota.money_per_month, Decimal(used["money"] or 0).quantize(CENT_OF_A_CENT), next_month
        ),
        "generations_at_once": Allowance(quota.generations_at_once, used["at_once"]),
    }


def _count(user: User, *, now: datetime, today: datetime, month: datetime) -> dict[str, Any]:
    runs = Q(finished_at=None, deadline_at__gt=now)
    delivered = Q(status__in=(Generation.Status.SUCCEEDED, Generation.Status.PARTIAL))
    pictures = Case(
        When(runs, then=F("pictures_asked")),
        When(delivered, then=F("pictures_asked") - F("pictures_failed")),
    )
    money = Case(When(runs, then=F("reserved")), default=F("cost"), output_field=DecimalField())
    this_month = Q(created_at__gte=month)
    counted = Generation.objects.filter(user=user, created_at__gte=min(month, now - LONGEST_RUN))
    return counted.exclude(error_code=QUOTA_EXCEEDED).aggregate(
        today=Sum(pictures, filter=Q(created_at__gte=today)),
        month=Sum(pictures, filter=this_month),
        money=Sum(money, filter=this_month),
        at_once=Count("created_at", filter=runs),
    )


def check(user: User, quota: Quota, *, pictures: int, money: Decimal) -> None:
    """Make sure that a request still fits. Raises QuotaExceeded.

    To be called in the transaction that writes the generation's row: until it ends, no other request of
    this user is counted, in whichever process.
    """
    if quota == NO_QUOTA:
        return
    # On SQLite the transaction itself lets nobody else write.
    User.objects.select_for_update(no_key=True).filter(pk=user.pk).exists()
    asked: dict[str, Number] = {
        "pictures_per_day": pictures,
        "pictures_per_month": pictures,
        "money_per_month": money,
        "generations_at_once": 1,
    }
    allowances = usage(user, quota)
    refusals = [
        (_refusal(name, allowance, asked[name]), name)
        for name, allowance in allowances.items()
        if allowance.refuses(asked[name])
    ]
    if refusals:
        refusal, name = max(refusals, key=lambda refusal: refusal[0].retry_after or 0)
        metrics.quota_refusals(name).inc()
        raise refusal


def _refusal(name: str, allowance: Allowance, asked: Number) -> QuotaExceeded:
    limit, used, wanted = (amount(name, number) for number in (allowance.limit, allowance.used, asked))
    exceeded = f"This would exceed your quota of {name.replace('_', ' ')}, which is {limit}"
    if allowance.resets_at is None:
        return QuotaExceeded(
            f"{exceeded}: {used} running. Please try again when one has ended.", retry_after=SOON
        )
    return QuotaExceeded(
        f"{exceeded}: {used} used, {wanted} asked for. "
        f"It resets on {allowance.resets_at:%Y-%m-%d} at 00:00 UTC.",
        retry_after=(allowance.resets_at - timezone.now()).total_seconds(),
    )
