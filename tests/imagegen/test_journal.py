"""What is changed from the shell is in the log of changes, as what is changed in the admin is."""

from __future__ import annotations

import getpass
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.core.management.base import CommandError

from imagegen.models import EngineConnection

KEY = "sk-of-nobody-0123456789"
pytestmark = pytest.mark.django_db


def manage(*arguments: str) -> list[tuple[str, str]]:
    """Run a command; return what it wrote down: of what, and which message."""
    LogEntry.objects.all().delete()
    call_command(*arguments)
    entries = LogEntry.objects.select_related("user").order_by("pk")
    assert {entry.user.username for entry in entries} == {"manage.py"}
    start = f"From the shell, by {getpass.getuser()}: "
    assert all(entry.change_message.startswith(start) for entry in entries)
    return [(entry.object_repr, entry.change_message.removeprefix(start)) for entry in entries]


def test_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", KEY)
    add = ("connections", "add", "up", "--engine", "openai", "--api-key-env", "KEY")
    [(settings, used), (name, told)] = manage(*add, "--use-for", "generate,portrait")
    assert (name, settings) == ("up", "Image settings")
    assert "the key: another was entered" in told and "used for portrait" in told and KEY not in told
    assert used == "generate connection to up; portrait connection to up."
    update = ("connections", "update", "up", "--deadline", "90", "--parameter", "quality=high", "--disable")
    [(name, told)] = manage(*update)
    assert "deadline from 120 to 90" in told and "the parameters" in told
    assert "enabled from on to off" in told and "the key" not in told and "high" not in told
    assert manage("connections", "update", "up", "--no-api-key") == [("up", "the key: it was removed.")]
    assert manage("connections", "remove", "up") == [("up", "removed.")]


def test_grants(outsider: User) -> None:
    found = manage("grant", "Painters", "--create", "--user", "outsider")
    assert found == [
        ("Painters", "created."),
        ("Painters", "given 'Can generate images'."),
        ("outsider", "put into the group Painters."),
    ]
    taken = manage("grant", "Painters", "--revoke", "--user", "outsider")
    assert taken == [("outsider", "taken out of the group Painters.")]
    assert manage("grant", "Painters", "--revoke") == [("Painters", "lost 'Can generate images'.")]


def test_quotas() -> None:
    Group.objects.create(name="Painters")
    given = ("quotas", "set", "Painters", "--pictures-per-day", "20")
    assert manage(*given) == [("Painters", "the quota: pictures per day from none to 20.")]
    assert manage("quotas", "remove", "Painters") == [("Painters", "the quota: it was removed.")]


def test_what_is_refused_is_not_written_down() -> None:
    for wrong in (("connections", "update", "nothing"), ("grant", "Nobody"), ("quotas", "remove", "Nobody")):
        with pytest.raises(CommandError):
            call_command(*wrong)
    with pytest.raises(CommandError):
        call_command("connections", "add", "up", "--engine", "openai", "--deadline", "0")
    assert not LogEntry.objects.exists() and not EngineConnection.objects.filter(name="up").exists()


def test_nobody_logs_in_as_the_shell(client: Any) -> None:
    manage("grant", "Painters", "--create")
    shell = User.objects.get(username="manage.py")
    assert not shell.is_active and not shell.has_usable_password() and not shell.is_staff
    call_command("grant", "Painters")
    assert User.objects.filter(username="manage.py").count() == 1


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError

    monkeypatch.setattr("getpass.getuser", nameless)
    call_command("grant", "Painters", "--create")
    assert LogEntry.objects.filter(change_message__startswith="From the shell, by user ").exists()
