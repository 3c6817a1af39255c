"""The pool: a server that is away is told from one that is busy, and found again when it is back."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from imagegen.postgresql import base, watched
from tests.services import PostgreSQL

pytestmark = pytest.mark.django_db  # not in the tests' own database, but by Django


@pytest.fixture
def database(own_postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> Iterator[base.DatabaseWrapper]:
    """With a pool of one."""
    monkeypatch.setattr(watched.Connection, "away", False)
    settings = connections.configure_settings(
        {
            "default": {
                "ENGINE": "imagegen.postgresql",
                "NAME": "postgres",
                "USER": "easel",
                "HOST": "127.0.0.1",
                "PORT": str(own_postgresql.port),
                "OPTIONS": {"pool": watched.pool(connections=1)},
            }
        }
    )
    database = base.DatabaseWrapper(settings["default"], alias="own")
    yield database
    database.close()
    database.close_pool()


def ask(database: BaseDatabaseWrapper) -> int:
    with database.cursor() as cursor:
        cursor.execute("SELECT 1")
        return int(cursor.fetchone()[0])


def ask_anew(database: BaseDatabaseWrapper) -> int:
    """With a connection from the pool, given back."""
    try:
        return ask(database)
    finally:
        database.close()


def test_who_waits_for_a_busy_pool_gets_his_turn(
    database: base.DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often he looks up: here he does twenty times."""
    monkeypatch.setattr(database.pool, "timeout", 0.05)
    database.pool.open()
    held, answers = database.pool.getconn(), []
    waiting = threading.Thread(target=lambda: answers.append(ask_anew(database)))
    database.inc_thread_sharing()
    waiting.start()
    waiting.join(1)
    assert waiting.is_alive()
    database.pool.putconn(held)
    waiting.join(30)
    assert answers == [1]


def test_nobody_waits_long_for_a_server_that_is_away_and_it_is_found_when_it_is_back(
    database: base.DatabaseWrapper, own_postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool is left with a connection that is dead."""
    assert ask_anew(database) == 1
    own_postgresql.stop()
    waits = []
    getconn = database.pool.getconn
    monkeypatch.setattr(database.pool, "getconn", lambda: waits.append(1) or getconn())
    for _ in range(3):
        with pytest.raises(OperationalError):
            ask_anew(database)
        assert len(waits) <= 2, "he knew that it was away and waited on"
        waits.clear()
    with pytest.raises(Exception, match="refused"):
        database.probe()
    own_postgresql.start()
    assert ask_anew(database) == 1
    database.probe()


def test_one_that_was_tried_a_moment_ago_is_not_tried_again(
    database: base.DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    monkeypatch.setattr(watched.ConnectionPool, "check_connection", tried.append)
    for trusted_for, times in ((10.0, 1), (10.0, 1), (0.0, 2)):
        monkeypatch.setattr(watched, "TRUSTED_FOR", trusted_for)
        assert ask_anew(database) == 1
        assert len(tried) == times


def test_one_that_a_restart_cut_is_replaced(
    database: base.DatabaseWrapper, own_postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "TRUSTED_FOR", 0.0)
    assert ask_anew(database) == 1
    own_postgresql.stop()
    own_postgresql.start()
    assert ask_anew(database) == 1


def test_one_that_never_seems_to_hold_is_taken_in_the_end(
    database: base.DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked over it says best what is wrong. It was tried for ever."""
    tries = iter(range(100))
    monkeypatch.setattr(base, "PATIENCE", 0.0)
    monkeypatch.setattr(watched.Connection, "holds", lambda _: next(tries) < 0)
    assert ask_anew(database) == 1
