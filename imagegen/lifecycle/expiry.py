"""Pictures whose time is over, and rows that mean nothing any more."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from imagegen import storage
from imagegen.access.models import RateLimit
from imagegen.lifecycle.report import Report
from imagegen.models import Generation, GroupRetention, ImageFile, ImageSettings, Ticket
from imagegen.models.file import FileQuerySet
from imagegen.overdue import close_overdue

BATCH = 200
"""Pictures that one transaction deletes."""


def overdue_files(now: datetime) -> FileQuerySet:
    """Past their own end, or past the retention that holds for their owner now.

    That is the most generous of the owner's groups, or the one in the settings where no group has one.
    """
    own = GroupRetention.objects.filter(group__user=OuterRef("owner"))
    kept_by_group = own.spares(OuterRef("created_at"), now)
    over = Q(expires_at__lte=now) | (Exists(own) & ~Exists(kept_by_group))
    days = ImageSettings.objects.current().retention_days
    if days:
        over |= ~Exists(own) & Q(created_at__lt=now - timedelta(days=days))
    return ImageFile.objects.filter(over)


def purge(report: Report) -> None:
    """Delete what is over. Any number of machines may do so at once."""
    now = timezone.now()
    if report.dry_run:
        report.count("pictures deleted", overdue_files(now).count())
        report.count("generations closed", Generation.objects.overdue().count())
        report.count("tickets deleted", Ticket.objects.overdue().count())
        report.count("rate limits deleted", RateLimit.objects.stale().count())
        return
    while number := _delete_batch(now):
        report.count("pictures deleted", number)
    report.count("generations closed", close_overdue())
    report.count("tickets deleted", Ticket.objects.overdue().delete()[0])
    report.count("rate limits deleted", RateLimit.objects.delete_stale())
    call_command("flushexpiredtokens", verbosity=0)
    call_command("clearsessions", verbosity=0)


def _delete_batch(now: datetime) -> int:
    """Pictures that another machine has in hand are left to it."""
    skip = connection.features.has_select_for_update_skip_locked
    with transaction.atomic():
        over = overdue_files(now).order_by().select_for_update(skip_locked=skip, of=("self",) if skip else ())
        picked = list(over.values_list("pk", flat=True)[:BATCH])
        return storage.delete_files(ImageFile.objects.filter(pk__in=picked)) if picked else 0
