"""What was made, counted: few rows that stay, instead of all generations read again for each look at them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.db import models


class Span(models.TextChoices):
    """How long a period is. Periods begin at full hours and days, in UTC."""

    HOUR = "hour"
    DAY = "day"

    @property
    def length(self) -> timedelta:
        return timedelta(days=1) if self == Span.DAY else timedelta(hours=1)

    def start_of(self, moment: datetime) -> datetime:
        """When the period began that `moment` lies in."""
        hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return hour.replace(hour=0) if self == Span.DAY else hour


class UsagePeriodQuerySet(models.QuerySet["UsagePeriod"]):
    def mark_stale(self, moments: Iterable[datetime]) -> None:
        """The periods around these moments are to be counted again.

        To be called in the transaction that changes what is counted, after the change: whoever counts one
        of them at the time is waited for, or sees the change.
        """
        keys = {(span, span.start_of(moment)) for moment in moments for span in Span}
        self.bulk_create(
            [UsagePeriod(span=span, starts_at=start) for span, start in sorted(keys)],
            update_conflicts=True,
            unique_fields=["span", "starts_at"],
            update_fields=["stale"],
        )


class UsagePeriod(models.Model):
    """An hour or a day that is counted, even if nothing happened in it. `stale`: to be counted (again)."""

    span = models.CharField(max_length=4, choices=Span)
    starts_at = models.DateTimeField()
    stale = models.BooleanField(default=True)

    objects = UsagePeriodQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["span", "starts_at"], name="usageperiod_once")]

    def __str__(self) -> str:
        return f"{self.span} {self.starts_at:%Y-%m-%d %H:%M}"


KIND = ("connection_name", "engine", "operation", "error_code")
"""What generations have in common that are counted in one row."""


class Usage(models.Model):
    """How many generations of one kind there were in one period, and what came of them.

    Everybody's are counted once with `by_group` off; with it on, each person's are counted for each of
    their groups, or for none (an empty name): these do not add up to everybody's. Names are those of the
    day, and stay when a connection, group or user goes.
    """

    span = models.CharField(max_length=4, choices=Span)
    starts_at = models.DateTimeField()
    by_group = models.BooleanField()
    group_name = models.CharField(max_length=150, blank=True)
    connection_name = models.CharField(max_length=50)
    engine = models.CharField(max_length=30)
    operation = models.CharField(max_length=10)
    error_code = models.CharField(max_length=40, blank=True)
    generations = models.PositiveIntegerField(help_text="All that have ended, those below included.")
    failures = models.PositiveIntegerField(help_text="Ended without a picture, though no quota refused them.")
    refusals = models.PositiveIntegerField(help_text="Refused by a quota.")
    pictures = models.PositiveIntegerField()
    cost = models.DecimalField(max_digits=16, decimal_places=6, help_text="US dollars.")
    latencies = models.JSONField(default=dict, help_text="Number of the bucket -> deliveries in it.")
    last_at = models.DateTimeField(help_text="When the last of them began.")

    class Meta:
        verbose_name = "usage"
        verbose_name_plural = "dashboard"
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["span", "by_group", "starts_at", "group_name", *KIND], name="usage_kind_once"
            )
        ]

    def __str__(self) -> str:
        return (
            f"{self.span} {self.starts_at:%Y-%m-%d %H:%M}: {self.connection_name} {self.error_code}".strip()
        )
