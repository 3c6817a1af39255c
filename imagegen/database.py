"""Database connections while waiting."""

from __future__ import annotations

from django.db import connections


def release_connections() -> None:
    """Give this thread's connections back before a long wait, unless a transaction is open.

    Otherwise a few hundred waiting requests exhaust the pool. SQLite keeps its connection: closing one
    costs a checkpoint of the write-ahead log.
    """
    for connection in connections.all(initialized_only=True):
        if connection.vendor != "sqlite" and not connection.in_atomic_block:
            connection.close()
