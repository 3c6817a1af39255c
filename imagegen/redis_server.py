"""The one way to Redis, where EASEL_REDIS_URL names one.

A Redis that is away, or hangs, costs nobody more than a second or so: after a failure it is not asked for a
while, and whoever wanted something of it does without, or asks the database instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import redis
import structlog
from django.conf import settings
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

PREFIX = "easel:"
CONNECTIONS = 20
"""At most, for each worker; a question takes less than a millisecond."""
PATIENCE = 1.0
"""Seconds to connect, to answer, and to wait for one of the connections."""
REST = 5.0
"""Seconds for which a Redis that failed is not asked again."""


class RedisAway(Exception):
    """Redis did not answer, or did not within the last seconds."""


class Script:
    """A script that Redis runs as one step; it knows the script by its hash after the first time."""

    def __init__(self, text: str) -> None:
        self._script = redis.Redis().register_script(text)

    def run(self, keys: Sequence[str], *arguments: str | float) -> int:
        """Its number. Raises RedisAway."""
        names = [PREFIX + key for key in keys]
        return int(_ask(lambda: self._script(names, arguments, client=_client(settings.EASEL_REDIS_URL))))


class _CacheClient(RedisCacheClient):
    """Django's would have a pool of its own for each thread."""

    def get_client(self, key: Any = None, *, write: bool = False) -> redis.Redis:
        return _client(settings.EASEL_REDIS_URL)


class Cache(RedisCache):
    """Django's, without a 500 where Redis is away: nothing is known then, and nothing remembered."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = _CacheClient

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        try:
            return _ask(lambda: super(Cache, self).get(key, default, version))
        except RedisAway:
            return default

    def set(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> None:
        try:
            _ask(lambda: super(Cache, self).set(key, value, *args, **kwargs))
        except RedisAway:
            return


@cache
def _client(url: str) -> redis.Redis:
    """Its pool serves all threads; a process that was forked makes connections of its own.

    Only a connection that turns out to be cut is tried again, once and at once.
    """
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=PATIENCE,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    )
    return redis.Redis(connection_pool=pool)


_rests_until = 0.0


def _ask(question: Callable[[], T]) -> T:
    """Raises RedisAway. What is logged names neither the server nor its password."""
    global _rests_until
    if time.monotonic() < _rests_until:
        raise RedisAway
    try:
        return question()
    except redis.RedisError as error:
        _rests_until = time.monotonic() + REST
        logger.warning("Redis does not answer", error=type(error).__name__, seconds=REST)
        raise RedisAway from error
