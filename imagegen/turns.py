"""Taking turns at a connection that takes only so many calls at once, whichever process they come from.

A call draws a ticket, and goes when fewer than the limit stand before it. Tickets are in Redis where
EASEL_REDIS_URL names one, else rows; they are drawn one at a time, so they are in order everywhere. Each has
a deadline, past which it counts no more: a machine that died holds nobody up.

Where Redis is away, the line forms anew in the database. Until the calls that it had let in have ended, the
engine may then have more of them at once than its limit.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import Error, transaction
from django.utils import timezone

from imagegen import metrics
from imagegen.database import AWAY, release_connections
from imagegen.engines.base import Call
from imagegen.engines.errors import EngineMisconfigured, NoTurn
from imagegen.models import EngineConnection, Ticket
from imagegen.redis_server import RedisAway, Script

logger = structlog.stdlib.get_logger(__name__)

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
CLEANING_UP = 30
"""Seconds past its deadline that a call may still need to end what it began."""


@contextmanager
def turn(connection: EngineConnection, call: Call) -> Iterator[None]:
    """Wait in line for a turn, within the call's deadline; give it back at the end.

    Raises NoTurn when the deadline passes first, and EngineMisconfigured, both with nothing charged.
    """
    if not connection.concurrency:
        yield
        return
    place = _Place(connection, call)
    try:
        with metrics.turn_seconds(connection.name, connection.engine).time():
            _wait(place, connection.concurrency, call)
        yield
    finally:
        place.leave()


def _wait(place: _Place, limit: int, call: Call) -> None:
    while True:
        ahead = place.ahead()
        if ahead is not None and ahead < limit:
            return
        pause = LONGEST_PAUSE if ahead is None else min(SHORTEST_PAUSE * (ahead - limit + 1), LONGEST_PAUSE)
        if call.deadline_at - time.monotonic() < pause:
            known = "the database is away" if ahead is None else f"{ahead} calls ahead, {limit} at once"
            raise NoTurn(detail=f"no turn within the deadline: {known}")
        time.sleep(pause)


class _Place:
    """A call's ticket, wherever it lies."""

    def __init__(self, connection: EngineConnection, call: Call) -> None:
        self.connection = connection
        self.seconds = max(call.deadline_at - time.monotonic(), 0) + CLEANING_UP
        self.until = timezone.now() + timedelta(seconds=self.seconds)
        self.in_redis = _InRedis(connection, self.seconds) if settings.EASEL_REDIS_URL else None
        self.row: Ticket | None = None

    def ahead(self) -> int | None:
        """How many stand before it; draws the ticket first. None where the database is away: nothing has
        been asked of the engine yet, so that is worth waiting for."""
        if self.in_redis and not self.row:
            with suppress(RedisAway):
                return self.in_redis.ahead()
        try:
            self.row = self.row or self._draw()
            return Ticket.objects.ahead_of(self.row).count()
        except AWAY as error:
            logger.warning("no ticket yet", connection=self.connection.name, error=type(error).__name__)
            return None
        finally:
            release_connections()

    def _draw(self) -> Ticket:
        """The lock makes the order of ids the order in which others see them. Raises EngineMisconfigured
        where the connection has been deleted."""
        with transaction.atomic():
            if not EngineConnection.objects.select_for_update().filter(pk=self.connection.pk).exists():
                raise EngineMisconfigured(detail="the connection has been deleted meanwhile")
            return Ticket.objects.create(connection=self.connection, deadline_at=self.until)

    def leave(self) -> None:
        """Where Redis or the database is away, the deadline ends it: a picture is not lost over it."""
        if self.in_redis:
            with suppress(RedisAway):
                self.in_redis.leave()
        if self.row:
            try:
                self.row.delete()
            except Error:
                logger.exception("turn not given back", connection=self.connection.name)
            release_connections()


class _InRedis:
    """A ticket in two sorted sets: the line by place, and the deadlines, by the clock of Redis.

    One that is not there, since Redis has forgotten all, is drawn again. All methods raise RedisAway.
    """

    def __init__(self, connection: EngineConnection, seconds: float) -> None:
        self.keys = [f"turns:{{{connection.pk}}}:{kind}" for kind in ("line", "deadlines")]
        self.ticket = uuid.uuid4().hex
        self.until = time.monotonic() + seconds

    def ahead(self) -> int:
        return _STAND.run(self.keys, self.ticket, max(self.until - time.monotonic(), 0))

    def leave(self) -> None:
        _LEAVE.run(self.keys, self.ticket)


_STAND = Script("""
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
for _, ticket in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
    redis.call('ZREM', KEYS[1], ticket)
    redis.call('ZREM', KEYS[2], ticket)
end
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
    local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] or 0
    redis.call('ZADD', KEYS[1], last + 1, ARGV[1])
    redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
end
return redis.call('ZRANK', KEYS[1], ARGV[1])
""")
_LEAVE = Script("""
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('ZREM', KEYS[1], ARGV[1])
""")
