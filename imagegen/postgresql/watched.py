"""Connections that know whether the last of them could be made."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import psycopg

CONNECTS_WITHIN = 2
"""Seconds; libpq knows no less."""
LOOKS_UP_EVERY = 2.0
"""Seconds after which somebody who waits for a connection of the pool asks whether there will be any."""


class Connection(psycopg.Connection[Any]):
    """One class for each process, whose pool is the only one."""

    away: ClassVar[bool] = False

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        try:
            made = super().connect(conninfo, **kwargs)
        except psycopg.Error:
            Connection.away = True
            raise
        Connection.away = False
        return made


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
