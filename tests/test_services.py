"""Beside PostgreSQL and Redis, tests really use them: in each worker of pytest-xdist too."""

from __future__ import annotations

import os

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from redis import Redis

from tests.services import BESIDE_SERVICES

pytestmark = pytest.mark.skipif(
    BESIDE_SERVICES not in os.environ, reason="not beside them: make test-services"
)


@pytest.mark.django_db
def test_the_database_is_postgresql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT version()")
        assert cursor.fetchone()[0].startswith("PostgreSQL")


def test_what_is_cached_lies_in_redis() -> None:
    cache.set("lies-in-redis", 1)
    with Redis.from_url(settings.EASEL_REDIS_URL) as client:
        assert [key for key in client.scan_iter() if b"lies-in-redis" in key]
