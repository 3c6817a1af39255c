import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from imagegen.access.models import RateLimit
from imagegen.access.rates import SECOND, take

NOW = 1_800_000_000 * SECOND


def granted(count: int, *, per_second: int, now: int, key: str = "k") -> int:
    return sum(take(key=key, per_second=per_second, now=now) == 0 for _ in range(count))


@pytest.mark.django_db
@pytest.mark.parametrize("rate", [1, 3, 7, 10, 1000])
def test_a_second_s_worth_may_come_at_once(rate, shared_in):
    assert granted(rate + 3, per_second=rate, now=NOW) == rate


@pytest.mark.django_db
def test_the_allowance_grows_back_evenly(shared_in):
    assert granted(10, per_second=10, now=NOW) == 10
    assert granted(5, per_second=10, now=NOW + SECOND // 10) == 1
    assert granted(5, per_second=10, now=NOW + SECOND // 2) == 4
    assert granted(50, per_second=10, now=NOW + 60 * SECOND) == 10


@pytest.mark.django_db
def test_the_wait_is_long_enough_and_no_longer(shared_in):
    granted(4, per_second=4, now=NOW)
    wait = take(key="k", per_second=4, now=NOW)
    assert wait == pytest.approx(0.25)
    later = NOW + round(wait * SECOND)
    assert take(key="k", per_second=4, now=later - 2) > 0
    assert take(key="k", per_second=4, now=later) == 0


@pytest.mark.django_db
def test_keys_do_not_share(shared_in):
    assert granted(2, per_second=1, now=NOW, key="a") == granted(2, per_second=1, now=NOW, key="b") == 1


@pytest.mark.django_db
def test_redis_asks_nothing_of_the_database_and_goes_by_its_own_clock(on_redis):
    with CaptureQueriesContext(connection) as queries:
        assert [take(key="k", per_second=1) > 0 for _ in range(2)] == [False, True]
    assert len(queries) == 0
    assert 0 < on_redis.client().ttl("easel:rate:k") <= 60


@pytest.mark.django_db
def test_no_limit_asks_nothing_of_the_database():
    with CaptureQueriesContext(connection) as queries:
        assert granted(5, per_second=0, now=NOW) == 5
    assert len(queries) == 0


@pytest.mark.django_db
def test_one_statement_for_a_granted_request(settings):
    settings.EASEL_REDIS_URL = ""
    with CaptureQueriesContext(connection) as queries:
        take(key="k", per_second=5)
    assert len(queries) == 1


@pytest.mark.django_db
def test_who_has_waited_for_the_database_is_not_refused_for_that(settings, monkeypatch):
    """Many ask at once, and one of them has read its own clock a while before it gets its turn."""
    settings.EASEL_REDIS_URL = ""
    take(key="k", per_second=1000)
    before = time.time_ns() - 10 * SECOND
    monkeypatch.setattr(time, "time_ns", lambda: before)
    assert take(key="k", per_second=1000) == 0


@pytest.mark.django_db
def test_stale_rows_go_and_live_ones_stay(settings):
    settings.EASEL_REDIS_URL = ""
    take(key="old", per_second=1, now=time.time_ns() - 5 * SECOND)
    take(key="new", per_second=1)
    assert RateLimit.objects.all().delete_stale() == 1
    assert list(RateLimit.objects.values_list("key", flat=True)) == ["new"]


@pytest.mark.django_db(transaction=True)
def test_exact_over_many_connections(shared_in, tmp_path: Path, monkeypatch):
    """Each thread has a connection of its own to one database, as each process has."""

    def create_table() -> None:
        with connection.schema_editor() as editor:
            editor.create_model(RateLimit)
        connection.close()

    def work(_: int) -> int:
        try:
            return granted(20, per_second=30, now=NOW)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        if (
            shared_in == "database" and connection.vendor == "sqlite"
        ):  # in memory, as tests have it, connections do not compete
            monkeypatch.setitem(connections.databases["default"], "NAME", str(tmp_path / "race.sqlite3"))
            pool.submit(create_table).result()
        assert sum(pool.map(work, range(8))) == 30
