"""Ten thousand files: a page of the list is one query, and that query one walk along an index."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagegen.models import Generation, ImageFile
from tests.imagegen.api.test_files import LIST

FILES = 10_000
CHATS = 50
SHARE = 5
"""One file in so many is the member's."""

NEW_ID = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "gen_random_uuid()"}


@pytest.fixture
def many(member: User, other: User) -> None:
    """The member's, in fifty chats, among many more of somebody else's."""
    start = timezone.now() - timedelta(days=30)
    asked = [Generation(user=member, prompt="a lake", deadline_at=start) for _ in range(FILES)]
    Generation.objects.bulk_create(asked, batch_size=500)
    sizes = dict.fromkeys(("width", "height", "native_width", "native_height", "size"), 64)
    ImageFile.objects.bulk_create(
        (
            ImageFile(
                owner=member,
                generation=asked[n],
                file=f"pictures/{n}.png",
                chat_id=f"c{n % CHATS}",
                message_id=f"m{n // 2}",
                created_at=start + timedelta(seconds=n),
                **sizes,
            )
            for n in range(FILES)
        ),
        batch_size=500,
    )
    columns = [field.column for field in ImageFile._meta.concrete_fields if field.name != "generation"]
    values = [
        "%s" if name == "owner_id" else NEW_ID[connection.vendor] if name == "id" else name
        for name in columns
    ]
    table = ImageFile._meta.db_table
    copy = f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {table}"
    with connection.cursor() as cursor:
        for _ in range(SHARE - 1):
            cursor.execute(f"{copy} WHERE owner_id = %s", [other.pk, member.pk])
        cursor.execute("ANALYZE")


def plan_of(sql: str) -> str:
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}")
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def page_query(api: Client, url: str) -> str:
    with CaptureQueriesContext(connection) as queries:
        response = api.get(url)
    assert response.status_code == 200 and response.json()["results"]
    assert len(queries) == 2, "who asks; the page"
    return str(queries[1]["sql"])


def assert_walks_an_index(plan: str, *, sorted_by_it: bool) -> None:
    """`sorted_by_it`: the index has the rows in order. Else PostgreSQL may sort the few that it found."""
    if connection.vendor == "sqlite":
        assert "SEARCH imagegen_imagefile USING INDEX" in plan
        assert "TEMP B-TREE" not in plan and "SCAN" not in plan
    else:
        assert re.search("Index Scan .*on imagegen_imagefile|Bitmap Heap Scan on imagegen_imagefile", plan)
        assert "Seq Scan" not in plan
        assert "Sort" not in plan or not sorted_by_it


def test_a_page_walks_an_index(api: Client, many: None) -> None:
    """However deep in the list, and of a chat or a message alike."""
    for query in ("chat_id=c7", "message_id=m7", "chat_id=c7&message_id=m103"):
        assert_walks_an_index(plan_of(page_query(api, f"{LIST}?{query}")), sorted_by_it=False)
    url = LIST
    for page in range(21):
        if page in (0, 1, 20):
            assert_walks_an_index(plan_of(page_query(api, url)), sorted_by_it=True)
        url = api.get(url).json()["next"]
