"""Database connections: held while there is something to ask, and not while anybody waits."""

from __future__ import annotations

import atexit
from collections.abc import Callable

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections
from django.http import HttpRequest, HttpResponseBase

AWAY = (OperationalError, InterfaceError)
"""How it shows that a database is away, at its end, or locked."""


def release_connections() -> None:
    """Give this thread's connection back before a long wait, unless a transaction is open.

    Otherwise a few hundred waiting requests exhaust the pool. SQLite keeps its connection: closing one
    costs a checkpoint of the write-ahead log.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor != "sqlite" and not connection.in_atomic_block:
        connection.close()


class ReleaseMiddleware:
    """Release before the answer is sent: Django would hold on until a slow client has read all of it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        release_connections()
        return response


@atexit.register
def close_pools() -> None:
    """End the pools and their threads. A later query opens them again."""
    for connection in connections.all() if settings.configured else ():
        if connection.vendor == "postgresql":
            connection.close()
            connection.close_pool()  # type: ignore[attr-defined]  # of the PostgreSQL backend
