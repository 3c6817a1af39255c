"""Pages, filters and searches of both lists: the right rows in the right order, by few queries."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError
from django.db import connection, transaction
from django.db.models.expressions import RawSQL
from django.test import Client
from django.test.utils import CaptureQueriesContext

from imagegen import quotas
from imagegen.admin.gallery import pages
from imagegen.admin.gallery.files import ImageFileAdmin
from imagegen.admin.gallery.generations import GenerationAdmin
from imagegen.admin.gallery.pages import Place
from imagegen.models import Generation, GroupQuota, ImageFile, Quota
from tests.imagegen.admin.gallery.conftest import (
    FILES,
    GENERATIONS,
    SEE,
    Staff,
    asked,
    picture_of,
    row_of,
    shown,
)
from tests.imagegen.rollup.making import NOW

POSTGRESQL = connection.vendor == "postgresql"


def walk(client: Client, url: str, direction: str = "older") -> list[list[Any]]:
    """All pages from here on."""
    path, found = url.partition("?")[0], []
    while url:
        response = client.get(url)
        found.append(shown(response))
        link = response.context["links"][direction]
        url = f"{path}{link}" if link else ""
        assert len(found) < 50
    return found


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for admin in (GenerationAdmin, ImageFileAdmin):
        monkeypatch.setattr(admin, "size", 3)


@pytest.fixture
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on SQLite, and on PostgreSQL where looking everywhere takes too long."""
    monkeypatch.setattr(pages, "STRETCH", 4)
    monkeypatch.setattr(pages, "PATIENCE", 1)
    monkeypatch.setattr(pages, "_within", lambda milliseconds, rows: None)


@pytest.mark.parametrize("make", [asked, row_of])
@pytest.mark.usefixtures("small_pages")
def test_pages_there_and_back(viewer: Client, member: User, make: Callable[..., Any]) -> None:
    rows = [make(member, minutes=minute // 2) for minute in range(10)]  # two began at the same moment
    path = GENERATIONS if make is asked else FILES
    expected = list(type(rows[0]).objects.order_by("-created_at", "-id"))
    there = walk(viewer, path)
    assert [row for page in there for row in page] == expected
    assert [len(page) for page in there] == [3, 3, 3, 1]
    last = f"{path}?before={Place(there[2][-1].created_at, there[2][-1].pk)}"
    back = walk(viewer, last, "newer")
    assert [row for page in reversed(back) for row in page] == expected


@pytest.mark.usefixtures("small_pages")
def test_what_is_made_meanwhile_moves_nothing(viewer: Client, member: User) -> None:
    for minute in range(5):
        asked(member, minutes=minute)
    first = viewer.get(GENERATIONS)
    asked(member, minutes=-1)
    second = shown(viewer.get(GENERATIONS + first.context["links"]["older"]))
    assert not set(second) & set(shown(first)) and len(second) == 2


def test_the_only_page_has_no_links(viewer: Client, member: User) -> None:
    asked(member)
    for path in (GENERATIONS, FILES):
        assert not any(viewer.get(path).context["links"].values())


@pytest.mark.parametrize(
    "place", ["x", "20261127T192030.123456-zz", "\0", "99999999T999999.000000-" + "0" * 32, "'"]
)
def test_what_is_no_place_is_told(viewer: Client, member: User, place: str) -> None:
    asked(member)
    for name in ("before", "after"):
        response = viewer.get(GENERATIONS, {name: place})
        assert shown(response) == [] and 'role="alert"' in response.content.decode()


def fill(user: User, first: int, last: int) -> None:
    for number in range(first, last):
        generation = asked(user, minutes=number)
        row_of(user, number, generation=generation)


QUERIES = [
    "",
    "person=member",
    "group=Image+creators",
    "chat=c",
    "status=failed",
    "engine=openai",
    "since=2026-01-01",
    "prompt=lake",
]


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("path", [GENERATIONS, FILES])
def test_the_number_of_queries_is_the_same_for_few_and_many(
    viewer: Client, member: User, path: str, query: str, django_assert_num_queries: Any
) -> None:
    fill(member, 0, 5)
    url = f"{path}?{query}"
    viewer.get(url)
    with CaptureQueriesContext(connection) as few:
        assert viewer.get(url).status_code == 200
    fill(member, 5, 50)
    with django_assert_num_queries(len(few)):
        viewer.get(url)
    assert len(few) <= 12


def test_no_query_counts(viewer: Client, member: User) -> None:
    fill(member, 0, 5)
    with CaptureQueriesContext(connection) as queries:
        for path in (GENERATIONS, FILES, f"{GENERATIONS}?prompt=lake"):
            viewer.get(path)
    assert queries and not any("COUNT(" in query["sql"].upper() for query in queries)


FITS: dict[str, dict[str, Any]] = {
    "connection=proxy": {"connection_name": "proxy"},
    "engine=gemini": {"engine": "gemini"},
    "status=failed": {"status": "failed"},
    "error_code=quota_exceeded": {"status": "failed", "error_code": "quota_exceeded"},
    "status=failed&error_code=engine_timeout": {"status": "failed", "error_code": "engine_timeout"},
    "chat=c1": {"chat_id": "c1"},
    "trace=" + "0a" * 16: {"trace_id": "0a" * 16},
    "prompt=HARBOUR": {"prompt": "a harbour at night"},
    "since=2026-11-20": {},
    "connection=proxy&engine=gemini&prompt=harbour": {
        "connection_name": "proxy",
        "engine": "gemini",
        "prompt": "Harbour",
    },
}


@pytest.mark.parametrize("query", FITS)
def test_filters_of_generations(viewer: Client, member: User, other: User, query: str) -> None:
    fit = asked(member, **FITS[query])
    asked(other, minutes=60 * 24, prompt="nothing of it")
    assert shown(viewer.get(f"{GENERATIONS}?{query}")) == [fit]
    assert shown(viewer.get(f"{GENERATIONS}?{query}&person=other")) == []


@pytest.mark.parametrize("query", [query for query in FITS if "status" not in query and "error" not in query])
def test_filters_of_files(viewer: Client, member: User, other: User, query: str) -> None:
    generation = asked(member, **FITS[query])
    fit = row_of(member, 0, generation=generation, chat_id=generation.chat_id)
    row_of(other, 60 * 24, generation=asked(other, minutes=60 * 24, prompt="nothing of it"))
    assert shown(viewer.get(f"{FILES}?{query}")) == [fit]
    assert shown(viewer.get(f"{FILES}?{query}&person=other")) == []


def test_a_person_and_a_group(viewer: Client, member: User, other: User) -> None:
    other.groups.set([Group.objects.create(name="Others & more")])
    rows = {user: (asked(user), row_of(user, 0)) for user in (member, other)}
    for path, which in ((GENERATIONS, 0), (FILES, 1)):
        assert shown(viewer.get(path, {"person": "member"})) == [rows[member][which]]
        assert shown(viewer.get(path, {"group": "Others & more"})) == [rows[other][which]]
        assert shown(viewer.get(path, {"group": "Others & more", "person": "member"})) == []
        assert shown(viewer.get(path, {"group": "gone"})) == []


def test_an_unknown_person_is_told_and_others_suggested(viewer: Client, member: User) -> None:
    text = viewer.get(GENERATIONS, {"person": "Mem"}).content.decode()
    assert "There is nobody of the name “Mem”." in text and "?person=member" in text


def test_days_are_whole_and_included(viewer: Client, member: User) -> None:
    midnight = NOW.replace(hour=0, minute=0)
    late, early = (asked(member, created_at=midnight + timedelta(microseconds=step)) for step in (0, -1))
    for asked_for, rows in (
        ({"since": "2026-11-20"}, [late]),
        ({"until": "2026-11-19"}, [early]),
        ({"since": "2026-11-19", "until": "2026-11-20"}, [late, early]),
        ({"until": "9999-12-31"}, [late, early]),
    ):
        assert shown(viewer.get(GENERATIONS, asked_for)) == rows, asked_for
    assert (
        "before the first day"
        in viewer.get(GENERATIONS, {"since": "2026-11-20", "until": "2026-11-19"}).content.decode()
    )
    assert shown(viewer.get(GENERATIONS, {"since": "yesterday"})) == []


@pytest.mark.parametrize(
    "letters", ["100%", "snake_case", "back\\slash", "it's", 'the "red" one', "%", "_", "\\", "';--", "ÄÖÜ"]
)
def test_letters_mean_themselves(viewer: Client, member: User, letters: str) -> None:
    fit = asked(member, prompt=f"a poster that says {letters} in gold")
    asked(member, prompt="a poster with 100 snakeXcases and a backslash", minutes=1)
    assert shown(viewer.get(GENERATIONS, {"prompt": letters})) == [fit]
    row = row_of(member, 0, generation=fit)
    assert shown(viewer.get(FILES, {"prompt": letters})) == [row]
    assert letters.replace("&", "&amp;")[:1] in viewer.get(GENERATIONS, {"prompt": letters}).content.decode()


@pytest.mark.parametrize(
    "field",
    ["prompt", "person", "group", "connection", "engine", "chat", "trace", "since", "status", "error_code"],
)
@pytest.mark.parametrize("letters", ["\0", "a\0b", "<script>alert(1)</script>", "x" * 5000])
def test_hostile_filters_are_answered(viewer: Client, member: User, field: str, letters: str) -> None:
    asked(member)
    for path in (GENERATIONS, FILES):
        response = viewer.get(path, {field: letters})
        assert response.status_code == 200 and "<script>alert" not in response.content.decode()


@pytest.mark.usefixtures("small_pages", "short_stretches")
def test_what_is_rare_is_looked_for_in_stretches(viewer: Client, member: User) -> None:
    rare = {minute: asked(member, "a zeppelin", minute) for minute in (1, 9, 10, 11, 17)}
    for minute in set(range(20)) - set(rare):
        asked(member, minutes=minute)
    there = walk(viewer, f"{GENERATIONS}?prompt=zeppelin")
    assert [row for page in there for row in page] == list(rare.values())
    assert [len(page) for page in there] == [1, 0, 3, 0, 1, 0][: len(there)]
    first = viewer.get(f"{GENERATIONS}?prompt=zeppelin")
    assert first.context["page"].looked_to == NOW - timedelta(minutes=3)
    assert "There may be more." in first.content.decode()
    back = walk(
        viewer, f"{GENERATIONS}?prompt=zeppelin&after={Place(rare[17].created_at, rare[17].pk)}", "newer"
    )
    assert [row for page in reversed(back) for row in page] == [rare[minute] for minute in (1, 9, 10, 11)]


@pytest.mark.usefixtures("small_pages", "short_stretches")
def test_a_stretch_may_end_among_rows_of_one_moment(viewer: Client, member: User) -> None:
    for k in range(21):
        asked(member, "a lake" if k % 7 else "a zeppelin")
    zeppelins = Generation.objects.filter(prompt="a zeppelin").order_by("-created_at", "-id")
    there = walk(viewer, f"{GENERATIONS}?prompt=zeppelin")
    assert [row for page in there for row in page] == list(zeppelins)
    before_all = Place(NOW - timedelta(minutes=1), zeppelins[0].pk)
    back = walk(viewer, f"{GENERATIONS}?prompt=zeppelin&after={before_all}", "newer")
    assert [row for page in reversed(back) for row in page] == list(zeppelins)


def test_a_name_that_has_gone_stays_chosen(viewer: Client) -> None:
    response = viewer.get(GENERATIONS, {"connection": "gone", "error_code": "of_old"})
    for name in ("gone", "of_old"):
        assert f'<option value="{name}" selected>' in response.content.decode()


@pytest.mark.usefixtures("small_pages", "short_stretches")
def test_a_single_filter_needs_no_stretches(viewer: Client, member: User) -> None:
    for minute in range(9):
        asked(member, minutes=minute, engine="gemini" if minute == 8 else "openai")
    response = viewer.get(f"{GENERATIONS}?engine=gemini")
    assert len(shown(response)) == 1 and response.context["page"].looked_to is None


@pytest.mark.skipif(not POSTGRESQL, reason="PostgreSQL alone gives up")
def test_postgresql_gives_up_in_time(viewer: Client, member: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked sleeps; the stretch that follows is read all the same."""
    fit = asked(member, "a zeppelin")
    monkeypatch.setattr(pages, "PATIENCE", 50)
    looked = pages._within

    def slowly(milliseconds: int, rows: Any) -> Any:
        return looked(milliseconds, rows.model.objects.annotate(nap=RawSQL("pg_sleep(5)::text", ())))

    monkeypatch.setattr(pages, "_within", slowly)
    assert shown(viewer.get(f"{GENERATIONS}?prompt=zeppelin")) == [fit]


@pytest.mark.skipif(not POSTGRESQL, reason="of PostgreSQL alone")
def test_a_search_is_led_by_the_index_of_prompts(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + _sql(Generation.objects.filter(prompt__icontains="lake").order_by()))
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "generation_prompt" in plan


@pytest.mark.skipif(not POSTGRESQL, reason="of PostgreSQL alone")
@pytest.mark.parametrize("path", [GENERATIONS, FILES])
def test_within_a_stretch_that_index_is_not_read(viewer: Client, member: User, path: str) -> None:
    """Without three letters in a row it would be read as a whole."""
    fill(member, 0, 5)
    with CaptureQueriesContext(connection) as queries:
        viewer.get(path, {"prompt": "zz"})
    (asked_for,) = (one["sql"] for one in queries if "LIKE" in one["sql"])
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {asked_for}")
        assert "generation_prompt" not in str(cursor.fetchall())


def _sql(rows: Any) -> str:
    with CaptureQueriesContext(connection) as queries:
        list(rows)
    return str(queries[0]["sql"])


@pytest.mark.skipif(not POSTGRESQL, reason="of PostgreSQL alone")
def test_who_may_not_create_the_extension_is_told_what_to_do(db: None) -> None:
    migration = import_module("imagegen.migrations.0003_gallery")
    with connection.cursor() as cursor, connection.schema_editor(atomic=False) as editor:
        cursor.execute("DROP EXTENSION pg_trgm CASCADE")
        cursor.execute("CREATE ROLE powerless")
        cursor.execute("SET LOCAL ROLE powerless")
        with pytest.raises(CommandError, match="CREATE EXTENSION pg_trgm;"), transaction.atomic():
            migration.index_prompts(None, editor)
        cursor.execute("RESET ROLE")
        migration.index_prompts(None, editor)
        cursor.execute("SELECT count(*) FROM pg_indexes WHERE indexname = 'generation_prompt'")
        assert cursor.fetchone() == (1,)


OF_BOTH = ["", "person=member", "chat=c", "trace=" + "0a" * 16, "since=2026-01-01"]
OF_GENERATIONS = ["connection=studio", "engine=openai", "status=failed", "error_code=x"]


@pytest.mark.skipif(POSTGRESQL, reason="bench.volume has the plans of PostgreSQL")
@pytest.mark.parametrize(
    ("path", "query"),
    [(path, query) for path in (GENERATIONS, FILES) for query in OF_BOTH]
    + [(GENERATIONS, query) for query in OF_GENERATIONS],
)
def test_a_page_walks_an_index(viewer: Client, member: User, path: str, query: str) -> None:
    fill(member, 0, 30)
    with CaptureQueriesContext(connection) as queries:
        viewer.get(f"{path}?{query}")
    table = "imagegen_generation" if path == GENERATIONS else "imagegen_imagefile"
    asked_for = [one["sql"] for one in queries if f'FROM "{table}"' in one["sql"] and "LIMIT" in one["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {asked_for[0]}")
        plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
    assert re.search(f"SEARCH {table} USING .*INDEX" if query else f"SCAN {table} USING INDEX", plan), plan
    assert "USE TEMP B-TREE" not in plan or "trace" in query, plan


def test_a_refusal_is_seen(viewer: Client, api: Client, member: User) -> None:
    """Over REST, as it happens: it has a row, and costs nothing."""
    GroupQuota.objects.create(group=member.groups.get(), pictures_per_day=0)
    body = {"prompt": "one too many", "size": "64x64"}
    assert api.post("/api/images/generations", body, content_type="application/json").status_code == 429
    (row,) = shown(viewer.get(f"{GENERATIONS}?error_code=quota_exceeded"))
    assert (row.status, row.cost) == ("failed", None)
    text = viewer.get(f"{GENERATIONS}{row.pk}/change/").content.decode()
    assert "quota of pictures per day" in text and "quota_exceeded" in text
    assert quotas.usage(member, Quota())["pictures_per_day"].used == 0


def test_a_detail_says_when_and_by_which_connections(viewer: Client, member: User) -> None:
    path = [
        {
            "connection": "gpu-1",
            "model": "sdxl",
            "pictures": 0,
            "error": "engine_unavailable",
            "seconds": 1.5,
        },
        {"connection": "litellm", "model": "grok", "pictures": 2, "seconds": 2.25},
    ]
    generation = asked(
        member,
        path=path,
        pictures_asked=2,
        cost="0.08",
        parameters={"size": "64x64", "seed": None, "metadata": {}},
    )
    picture_of(generation, 1)
    response = viewer.get(f"{GENERATIONS}{generation.pk}/change/")
    text = response.content.decode()
    for word in (
        "gpu-1",
        "engine_unavailable",
        "litellm",
        "1.5 s",
        "2.2 s",
        "4.0 s in all",
        "$0.08",
        "64x64",
        "1 is not there any more",
    ):
        assert word in text, word
    assert "Seed" not in text and "Metadata" not in text


def test_what_is_under_way_is_shown(viewer: Client, member: User) -> None:
    generation = asked(member, status="running", finished_at=None)
    assert "under way" in viewer.get(GENERATIONS).content.decode()
    assert "Under way, until" in viewer.get(f"{GENERATIONS}{generation.pk}/change/").content.decode()


def test_expired_pictures_are_gone_here_too(viewer: Client, member: User) -> None:
    row = row_of(member, 0, generation=asked(member), expires_at=NOW - timedelta(days=400))
    assert shown(viewer.get(FILES)) == []
    assert viewer.get(f"{FILES}{row.pk}/change/").status_code == 404


def test_from_list_to_list_with_the_filters_of_both(viewer: Client) -> None:
    lists = viewer.get(f"{GENERATIONS}?engine=openai&status=failed").context["lists"]
    links = {title: url for title, url, _ in lists}
    assert links["Files"] == f"{FILES}?engine=openai"


def test_a_long_prompt_is_cut_in_the_list(viewer: Client, member: User) -> None:
    generation = asked(member, "word " * 6000)
    assert len(viewer.get(GENERATIONS).content) < 60_000
    assert "word " * 6000 in viewer.get(f"{GENERATIONS}{generation.pk}/change/").content.decode() + " "


def test_prompts_are_text(viewer: Client, member: User) -> None:
    generation = asked(member, "<img src=x onerror=alert(1)>")
    for path in (GENERATIONS, f"{GENERATIONS}{generation.pk}/change/"):
        assert "<img src=x" not in viewer.get(path).content.decode()


def test_rows_of_people_who_left(staff: Staff) -> None:
    row_of(None, 0, generation=asked(None))
    for path in (GENERATIONS, FILES):
        assert "nobody any more" in staff(SEE).get(path).content.decode()
        assert shown(staff().get(path)) == []
    assert Generation.objects.count() == ImageFile.objects.count() == 1
