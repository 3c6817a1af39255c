"""The backend itself, under the name that Django looks for."""

from __future__ import annotations

import time
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg_pool import PoolTimeout

from imagegen.postgresql.watched import CONNECTS_WITHIN, Connection

PATIENCE = 30.0
"""Seconds to wait for a connection while others have them all."""


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """One that holds, from the pool if there is one. Raises PoolTimeout, soon where it is away."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                connection = super().get_new_connection(conn_params)
            except PoolTimeout:
                if Connection.away or time.monotonic() >= until:
                    raise
            else:
                pool: Any = self.pool  # type: ignore[attr-defined]  # unknown to the stubs
                if not pool or connection.holds() or time.monotonic() >= until:
                    return connection
                pool.putconn(connection)  # which makes another one for it

    def probe(self) -> None:
        """Ask the server, past the pool and its queue. Raises psycopg's OperationalError within seconds."""
        found = self.get_connection_params() | {"connect_timeout": CONNECTS_WITHIN, "autocommit": True}
        with psycopg.connect(**found) as connection:
            connection.execute("SELECT 1")
