"""Taking turns at a connection that takes only so many calls at once, whichever process they come from.

A call draws a ticket, and goes when fewer than the limit stand before it. Tickets are rows, drawn one at
a time, so they are in order everywhere; each has a deadline, past which it counts no more: a machine that
died holds nobody up.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog
from django.db import DatabaseError, transaction
from django.utils import timezone

from imagegen.database import release_connections
from imagegen.engines.base import Call
from imagegen.engines.errors import EngineTimeout, EngineUnavailable
from imagegen.models import EngineConnection, Ticket

logger = structlog.stdlib.get_logger(__name__)

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
CLEANING_UP = 30
"""Seconds past its deadline that a call may still need to end what it began."""


@contextmanager
def turn(connection: EngineConnection, call: Call) -> Iterator[None]:
    """Wait in line for a turn, within the call's deadline; give it back at the end.

    Raises EngineTimeout when the deadline passes first, and EngineUnavailable where the database does not
    say whose turn it is: with nothing charged.
    """
    if not connection.concurrency:
        yield
        return
    with _database_told():
        ticket = _draw(connection, call.deadline_at - time.monotonic())
    try:
        with _database_told():
            _wait(ticket, connection.concurrency, call)
        yield
    finally:
        _give_back(ticket)


@contextmanager
def _database_told() -> Iterator[None]:
    """Nobody was asked for anything yet: this must not read as pictures that were made and lost."""
    try:
        yield
    except DatabaseError as error:
        raise EngineUnavailable(detail=f"no turn: database: {type(error).__name__}") from error


def _draw(connection: EngineConnection, seconds: float) -> Ticket:
    """The lock makes the order of ids the order in which others see them."""
    until = timezone.now() + timedelta(seconds=max(seconds, 0) + CLEANING_UP)
    with transaction.atomic():
        EngineConnection.objects.select_for_update().filter(pk=connection.pk).exists()
        return Ticket.objects.create(connection=connection, deadline_at=until)


def _give_back(ticket: Ticket) -> None:
    """Where the database is away, the ticket's deadline ends it: a picture is not lost over it."""
    try:
        ticket.delete()
    except DatabaseError:
        logger.exception("turn not given back", connection=ticket.connection.name)
    release_connections()


def _wait(ticket: Ticket, limit: int, call: Call) -> None:
    while True:
        ahead = Ticket.objects.ahead_of(ticket).count()
        release_connections()
        if ahead < limit:
            return
        pause = min(SHORTEST_PAUSE * (ahead - limit + 1), LONGEST_PAUSE)
        if call.deadline_at - time.monotonic() < pause:
            raise EngineTimeout(
                "The image engine is busy with other pictures. Please try again later.",
                detail=f"no turn within the deadline: {ahead} calls ahead, {limit} at once",
            )
        time.sleep(pause)
