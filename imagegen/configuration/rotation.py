"""Stored credentials, encrypted again under the first of `EASEL_ENCRYPTION_KEYS`, while Easel serves."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone

from imagegen.access.journal import CHANGE, record_from_shell
from imagegen.lifecycle.report import Report
from imagegen.models import EngineConnection, secrets

ROTATED, UNDER_FIRST, GONE = "encrypted again", "under the first key already", "removed meanwhile"
UNREADABLE = "cannot be decrypted"


def rotate_keys(report: Report) -> None:
    """Each connection's key, one after the other. Those that no key decrypts are faults, and stay."""
    for connection in EngineConnection.objects.exclude(encrypted_key=""):
        try:
            report.count(_rotate(connection, dry_run=report.dry_run))
        except ImproperlyConfigured:
            report.fault(UNREADABLE, connection)


def _rotate(connection: EngineConnection, *, dry_run: bool) -> str:
    """What became of it. A key that staff enter meanwhile is rotated in its turn: who entered it may have
    been served by a process that has the old first key still. Raises ImproperlyConfigured."""
    while token := _token_of(connection):
        if secrets.is_under_first_key(token):
            return UNDER_FIRST
        rotated = secrets.rotate(token)
        if dry_run or _replace(connection, token, rotated):
            return ROTATED
    return GONE


def _token_of(connection: EngineConnection) -> str:
    rows = EngineConnection.objects.filter(pk=connection.pk)
    return rows.values_list("encrypted_key", flat=True).first() or ""


@transaction.atomic
def _replace(connection: EngineConnection, old: str, new: str) -> bool:
    """Returns False, and changes nothing, where the stored one is not `old` any more.

    A form of the connection that is open now is refused, as after any change: it would write `old` back.
    """
    rows = EngineConnection.objects.filter(pk=connection.pk, encrypted_key=old)
    replaced = bool(rows.update(encrypted_key=new, updated_at=timezone.now()))
    if replaced:
        record_from_shell(things=[connection], flag=CHANGE, message="the key: encrypted again, and the same.")
    return replaced
