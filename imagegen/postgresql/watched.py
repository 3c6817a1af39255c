"""Connections that know whether the last of them could be made, and whether they still hold."""

from __future__ import annotations

import time
from typing import Any, ClassVar, Self

import psycopg
from psycopg_pool import ConnectionPool

CONNECTS_WITHIN = 2
"""Seconds; libpq knows no less."""
LOOKS_UP_EVERY = 2.0
"""Seconds after which somebody who waits for a connection of the pool asks whether there will be any."""
TRUSTED_FOR = 1.0
"""Seconds for which a connection that held is taken to hold: to ask is a round trip, twice a generation."""


class Connection(psycopg.Connection[Any]):
    """One class for each process, whose pool is the only one."""

    away: ClassVar[bool] = False
    _held_at: float = 0.0

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        try:
            made = super().connect(conninfo, **kwargs)
        except psycopg.Error:
            Connection.away = True
            raise
        Connection.away = False
        return made

    def holds(self) -> bool:
        """Whether the server is still at its other end; after a restart it is not."""
        now = time.monotonic()
        if now - self._held_at > TRUSTED_FOR:
            try:
                ConnectionPool.check_connection(self)
            except psycopg.Error:
                return False
            self._held_at = now
        return True


def pool(*, connections: int) -> dict[str, Any]:
    """Options of a pool of so many at most. One that could not be made is not tried for long: whoever asks
    next has it tried anew, so that a server that is back is found at once."""
    return {
        "connection_class": Connection,
        "min_size": 1,
        "max_size": connections,
        "timeout": LOOKS_UP_EVERY,
        "reconnect_timeout": LOOKS_UP_EVERY,
    }
