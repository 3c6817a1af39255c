"""manage.py rotate_encryption: every key under the first encryption key, whatever happens meanwhile."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.db import connection as database
from django.test import Client

from imagegen.models import EngineConnection, secrets
from imagegen.models.connection import find_usable
from tests.imagegen.admin.conftest import BACKEND, form_of

KEY, OTHER = "sk-of-nobody-0123456789", "sk-entered-meanwhile-4321"
OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))


@pytest.fixture
def keys(settings: Any) -> Callable[..., None]:
    """What EASEL_ENCRYPTION_KEYS holds from now on."""

    def hold(*keys: str) -> None:
        settings.EASEL_ENCRYPTION_KEYS = list(keys)

    return hold


@pytest.fixture
def enter(db: None, keys: Callable[..., None]) -> Callable[..., EngineConnection]:
    """Store a connection whose key is encrypted with OLD, or another."""

    def make(name: str, key: str = KEY, under: str = OLD) -> EngineConnection:
        keys(under)
        connection = EngineConnection(name=name, engine="openai", base_url="http://127.0.0.1:9/v1")
        connection.key = key
        connection.save()
        return connection

    return make


def rotate(*arguments: str) -> str:
    out = io.StringIO()
    call_command("rotate_encryption", *arguments, stdout=out)
    return out.getvalue()


def ciphertexts() -> list[str]:
    """Whatever looks like one, in any column of any table."""
    with database.cursor() as cursor:
        found = []
        for table in database.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {database.ops.quote_name(table)}")
            found += [str(value) for row in cursor.fetchall() for value in row]
    return [value for value in found if value.startswith("gAAAA")]


def test_afterwards_nothing_needs_the_old_key(enter: Any, keys: Any) -> None:
    first, second, keyless = enter("first"), enter("second", OTHER), enter("keyless", "")
    keys(NEW, OLD)
    assert rotate() == "encrypted again: 2\n"
    keys(NEW)
    for connection, key in ((first, KEY), (second, OTHER), (keyless, "")):
        connection.refresh_from_db()
        assert connection.key == key
    assert len(ciphertexts()) == 2 and all(map(secrets.decrypt, ciphertexts())), "no other column has one"


def test_again_there_is_nothing_to_do(enter: Any, keys: Any) -> None:
    enter("first")
    keys(NEW, OLD)
    rotate()
    before = ciphertexts()
    assert rotate() == "under the first key already: 1\n"
    assert ciphertexts() == before
    EngineConnection.objects.all().delete()
    assert rotate() == "Nothing to do.\n"


def test_a_dry_run_changes_nothing(enter: Any, keys: Any) -> None:
    enter("first")
    keys(NEW, OLD)
    before = ciphertexts()
    assert rotate("--dry-run") == "Dry run. encrypted again: 1\n"
    assert ciphertexts() == before and not LogEntry.objects.exists()


@pytest.mark.parametrize("arguments", [(), ("--dry-run",)])
def test_what_cannot_be_decrypted_is_named_and_stays(enter: Any, keys: Any, arguments: tuple[str]) -> None:
    first, lost, last = enter("a-first"), enter("b-lost", under=LOST), enter("c-last", OTHER)
    keys(NEW, OLD)
    out = io.StringIO()
    with pytest.raises(CommandError, match="lacks the key that these were encrypted with") as refused:
        call_command("rotate_encryption", *arguments, stdout=out)
    assert refused.value.returncode == 1
    told = out.getvalue() + str(refused.value)
    assert "cannot be decrypted: b-lost\n" in told and "encrypted again: 2" in told
    assert not any(word in told for word in (KEY, OTHER, NEW, OLD, *ciphertexts()))
    keys(OLD if arguments else NEW)
    for connection in (first, last):
        connection.refresh_from_db()
        assert connection.key
    keys(LOST)
    lost.refresh_from_db()
    assert lost.key == KEY


def test_it_is_written_down_without_the_key(enter: Any, keys: Any) -> None:
    enter("first")
    keys(NEW, OLD)
    rotate()
    entry = LogEntry.objects.get()
    assert entry.object_repr == "first" and "the key: encrypted again, and the same." in entry.change_message


@pytest.mark.parametrize("under", [OLD, NEW], ids=["old", "new"])
def test_a_key_that_is_entered_meanwhile_stays(
    enter: Any, keys: Any, monkeypatch: pytest.MonkeyPatch, under: str
) -> None:
    """By a process that was not restarted, too: then it is rotated in its turn."""
    connection = enter("first")
    keys(under)
    entered = secrets.encrypt(OTHER)
    keys(NEW, OLD)
    rotate_one = secrets.rotate

    def rotate_late(token: str) -> str:
        rotated = rotate_one(token)
        if token != entered:
            EngineConnection.objects.filter(pk=connection.pk).update(encrypted_key=entered)
        return rotated

    monkeypatch.setattr(secrets, "rotate", rotate_late)
    assert rotate() == ("encrypted again: 1\n" if under == OLD else "under the first key already: 1\n")
    keys(NEW)
    connection.refresh_from_db()
    assert connection.key == OTHER


@pytest.mark.parametrize("what", ["row", "key"])
def test_what_is_removed_meanwhile_stays_removed(
    enter: Any, keys: Any, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    connection = enter("first")
    keys(NEW, OLD)
    rows, rotate_one = EngineConnection.objects.filter(pk=connection.pk), secrets.rotate

    def rotate_late(token: str) -> str:
        rows.delete() if what == "row" else rows.update(encrypted_key="")
        return rotate_one(token)

    monkeypatch.setattr(secrets, "rotate", rotate_late)
    assert rotate() == "removed meanwhile: 1\n"
    assert not ciphertexts()


def test_a_form_that_is_open_meanwhile_does_not_bring_the_old_ciphertext_back(
    enter: Any, keys: Any, client: Client, superuser: Any
) -> None:
    connection = enter("first")
    keys(NEW, OLD)
    client.force_login(superuser, backend=BACKEND)
    url = f"/admin/imagegen/engineconnection/{connection.pk}/change/"
    opened = form_of(client.get(url)) | {"deadline": 77}
    rotate()
    assert "Somebody else has saved this" in client.post(url, opened).content.decode()
    assert client.post(url, form_of(client.get(url)) | {"deadline": 77}).status_code == 302
    keys(NEW)
    connection.refresh_from_db()
    assert (connection.key, connection.deadline) == (KEY, 77)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(database.vendor == "sqlite", reason="in memory nobody waits, all fail")
def test_nor_does_an_update_from_the_shell(enter: Any, keys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = enter("first")
    keys(NEW, OLD)
    check = EngineConnection.full_clean

    def rotate_in_its_own_connection() -> None:
        try:
            rotate()
        finally:
            database.close()

    thread = threading.Thread(target=rotate_in_its_own_connection)

    def check_slowly(self: EngineConnection) -> None:
        check(self)
        thread.start()
        thread.join(0.5)

    monkeypatch.setattr(EngineConnection, "full_clean", check_slowly)
    call_command("connections", "update", "first", "--deadline", "77", stdout=io.StringIO())
    thread.join(30)
    keys(NEW)
    connection.refresh_from_db()
    assert (connection.key, connection.deadline) == (KEY, 77)


def test_what_serves_reads_it_on_the_next_request(enter: Any, keys: Any, superuser: Any) -> None:
    """Nothing is kept in memory that would have to be forgotten."""
    enter("first")
    keys(NEW, OLD)
    assert [found.key for found in find_usable(superuser) if found.name == "first"] == [KEY]
    rotate()
    keys(NEW)
    assert [found.key for found in find_usable(superuser) if found.name == "first"] == [KEY]
