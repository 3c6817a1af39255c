"""How many requests a second: the generic cell rate algorithm, in Redis or in the database.

One number per key, the time at which its allowance is whole again, moved in one atomic step. So the limit
is exact over any number of threads, processes and machines. Where EASEL_REDIS_URL names a Redis that is away,
the database counts meanwhile, from anew.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import cache

from django.conf import settings
from django.db import connections, router

from imagegen import metrics, prepared
from imagegen.access.errors import TooManyRequests
from imagegen.access.models import RateLimit
from imagegen.redis_server import RedisAway, Script
from imagegen.write_queue import writing

SECOND = 1_000_000_000  # nanoseconds, the unit of RateLimit.whole_at

# SQLite and PostgreSQL read the same statement. It writes no row where the limit is reached.
_TAKE = """
INSERT INTO {table} AS held (key, whole_at) VALUES (%(key)s, {now} + %(cost)s)
ON CONFLICT (key) DO UPDATE SET
    whole_at = CASE WHEN held.whole_at > {now} THEN held.whole_at ELSE {now} END + %(cost)s
    WHERE held.whole_at <= {now} + %(second)s - %(cost)s
"""
_NOW = {
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000000000 AS bigint)",
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000000 AS INTEGER)",
}
"""The database's clock, read once it is our turn: who has waited for it is not refused for that."""
_UNHURRIED = "RETURNING set_config('synchronous_commit', 'off', true)"
"""PostgreSQL does not wait for the disk (4 ms, twice a request): a crash may forget a second of counting."""

MICROSECONDS = 1_000_000
# Lua's numbers are exact up to 2^53: enough for microseconds since 1970. What limits nothing is forgotten.
_TAKE_IN_REDIS = Script("""
local cost, second, now = tonumber(ARGV[1]), 1000000, tonumber(ARGV[2])
if not now then
    local time = redis.call('TIME')
    now = time[1] * second + time[2]
end
local whole_at = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
if whole_at > now + second - cost then
    return whole_at + cost - second - now
end
redis.call('SET', KEYS[1], string.format('%.0f', whole_at + cost), 'EX', 60)
return 0
""")


def check(*, key: str, per_second: int) -> None:
    """Count one request. Raises TooManyRequests with the seconds to wait. 0 a second means no limit."""
    wait = take(key=key, per_second=per_second)
    if wait:
        raise TooManyRequests(wait)


def take(*, key: str, per_second: int, now: int | None = None) -> float:
    """Take one of `per_second` requests, all of which may come at once; return the seconds to wait.

    0 means go ahead. A refused request costs nothing. `now` is in nanoseconds since 1970.
    """
    if not per_second:
        return 0
    wait = _take_anywhere(key=key, per_second=per_second, now=now)
    if wait:
        metrics.rate_refusals(key.partition(":")[0]).inc()
    return wait


def _take_anywhere(*, key: str, per_second: int, now: int | None) -> float:
    if settings.EASEL_REDIS_URL:
        with suppress(RedisAway):
            return _take_in_redis(key=key, per_second=per_second, now=now)
    return _take_in_database(key=key, per_second=per_second, now=now)


def _take_in_redis(*, key: str, per_second: int, now: int | None) -> float:
    """By the clock of Redis, unless told the time. Raises RedisAway."""
    microseconds = "" if now is None else now // 1000
    return _TAKE_IN_REDIS.run([f"rate:{key}"], MICROSECONDS // per_second, microseconds) / MICROSECONDS


def _take_in_database(*, key: str, per_second: int, now: int | None) -> float:
    """By the database's clock, unless told the time."""
    cost = SECOND // per_second
    connection = connections[router.db_for_write(RateLimit)]
    statement = _statement(connection.vendor, "%(now)s" if now else _NOW[connection.vendor])
    with writing(), prepared.cursor(connection) as cursor:
        cursor.execute(statement, {"key": key, "now": now, "cost": cost, "second": SECOND})
        if cursor.rowcount:
            return 0
    now = now or time.time_ns()
    whole_at = RateLimit.objects.filter(key=key).values_list("whole_at", flat=True).first() or now
    return max(whole_at + cost - SECOND - now, 1) / SECOND


@cache
def _statement(vendor: str, now: str) -> str:
    table = connections[router.db_for_write(RateLimit)].ops.quote_name(RateLimit._meta.db_table)
    return _TAKE.format(table=table, now=now) + (_UNHURRIED if vendor == "postgresql" else "")
