"""The log of changes, Django's own: who changed what, also outside of the admin."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth.models import User

__all__ = ["ADDITION", "CHANGE", "DELETION", "record", "record_from_shell"]

SHELL = "manage.py"
"""The account that changes from the shell are written down for. Nobody can log in as it."""


def record(*, by: Any, things: Sequence[Any], flag: int, message: str) -> None:
    """Write down that the user `by` added, changed or deleted `things`; before they are deleted."""
    LogEntry.objects.log_actions(by.pk, things, flag, change_message=message)


def record_from_shell(*, things: Sequence[Any], flag: int, message: str) -> None:
    """The same of a command; the message gets the name that the system knows its user by."""
    record(by=_shell(), things=things, flag=flag, message=f"From the shell, by {_login()}: {message}")


def _shell() -> User:
    shell = User.objects.filter(username=SHELL).first()
    return shell or User.objects.create_user(SHELL, is_active=False)


def _login() -> str:
    """A container may run as a number that has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
