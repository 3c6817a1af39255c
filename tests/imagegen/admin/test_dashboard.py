"""The dashboard: right figures, few queries, for those who may see them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagegen.admin.dashboard import charts
from imagegen.models import EngineConnection, Generation
from imagegen.rollup import periods
from tests.imagegen.rollup.making import NOW, begun

PAGE = "/admin/imagegen/usage/"
BACKEND = "django.contrib.auth.backends.ModelBackend"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def looker(outsider: User, client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Staff with no permission but this one."""
    outsider.is_staff = True
    outsider.save()
    outsider.user_permissions.add(Permission.objects.get(codename="view_usage"))
    client.force_login(outsider, backend=BACKEND)
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    monkeypatch.setattr(periods, "SECONDS_AT_A_LOOK", 600.0)  # a busy machine must not fail a test
    return client


def look(client: Client, **asked: Any) -> Any:
    response = client.get(PAGE, asked)
    assert response.status_code == 200
    return response


def values(response: Any) -> list[str]:
    return [tile.value for tile in response.context["tiles"]]


def test_who_may_see_it(client: Client, outsider: User, member: User) -> None:
    assert client.get(PAGE).status_code == 302
    for user in (outsider, member):
        client.force_login(user, backend=BACKEND)
        assert client.get(PAGE).status_code == 302, "not staff"
    User.objects.filter(pk=outsider.pk).update(is_staff=True)
    client.force_login(outsider, backend=BACKEND)
    assert client.get(PAGE).status_code == 403
    index = client.get("/admin/")
    assert index.status_code == 200 and PAGE not in index.content.decode()
    outsider.user_permissions.add(Permission.objects.get(codename="view_usage"))
    assert client.get(PAGE).status_code == 200
    assert PAGE in client.get("/admin/").content.decode()


@pytest.mark.parametrize("path", ["add/", "1/change/", "1/delete/"])
def test_rows_are_counted_and_not_entered(looker: Client, path: str) -> None:
    begun(3 * HOUR)
    periods.roll_up_all()
    assert looker.get(PAGE + path).status_code in (302, 403)
    assert looker.post(PAGE + path, {"post": "yes"}).status_code in (302, 403)
    assert looker.post(PAGE).status_code in (200, 403, 405)


def test_a_new_installation_is_told_what_to_do_first(looker: Client, superuser: User) -> None:
    page = look(looker).content.decode()
    assert "No picture has been asked for yet" in page and "engineconnection" not in page
    looker.force_login(superuser, backend=BACKEND)
    assert "/admin/imagegen/engineconnection/" in look(looker).content.decode()


@pytest.mark.parametrize("asked", ["24h", "7d", "30d", "90d"])
def test_settled_and_recent_ones_are_shown_together(looker: Client, asked: str) -> None:
    begun(timedelta(minutes=5), cost=Decimal("0.04"), seconds=2)
    begun(20 * HOUR, pictures_asked=3, cost=Decimal("0.12"), seconds=2)
    begun(5 * HOUR, status="failed", error_code="engine_timeout", pictures_failed=1)
    begun(5 * HOUR, status="failed", error_code="quota_exceeded", pictures_failed=1)
    begun(timedelta(minutes=1), status="running", finished_at=None)
    response = look(looker, range=asked)
    pictures, rate, refused, p50, p95, money = values(response)
    assert (pictures, rate, refused, money) == ("4", "33.3 %", "1", "$0.16")
    assert 1.8 < float(p50.removesuffix(" s")) < 2.2 and 1.8 < float(p95.removesuffix(" s")) < 2.2
    assert [error[:3] for error in response.context["errors"]] == [("engine_timeout", "1", "0")]
    drawn = response.context["charts"][0].columns
    assert sum(int(column.words[0][2]) for column in drawn) == 4
    assert "refused 1 request" in response.content.decode()


def test_lines_are_drawn_between_neighbours_and_single_points_as_dots() -> None:
    lines, dots = charts.paths([2, 4, None, None, 1], 4)
    assert lines == "M10.00 50.00L30.00 0.00"
    assert dots == "M90.00 75.00h0.01"
    assert charts.paths([None], 1) == ("", "")


@pytest.mark.parametrize(("asked", "ago"), [("24h", 30 * HOUR), ("7d", 9 * DAY), ("30d", 40 * DAY)])
def test_the_time_before_is_only_compared_with(looker: Client, asked: str, ago: timedelta) -> None:
    begun(ago)
    begun(ago)
    begun(4 * HOUR if asked != "30d" else 3 * DAY)
    response = look(looker, range=asked)
    assert values(response)[0] == "1"
    assert response.context["tiles"][0].change == "▼ 50 % less"


def test_filters(looker: Client, member: User) -> None:
    begun(5 * HOUR, user=member, pictures_asked=2)
    begun(5 * HOUR, connection_name="proxy", engine="gemini", operation="edit", pictures_asked=5)
    begun(timedelta(minutes=1), connection_name="proxy", engine="gemini", pictures_asked=9)
    for asked, pictures in (
        ({}, "16"),
        ({"connection": "studio"}, "2"),
        ({"engine": "gemini"}, "14"),
        ({"engine": "gemini", "operation": "edit"}, "5"),
        ({"group": "Image creators"}, "2"),
        ({"group": "gone"}, "0"),
        ({"connection": "x" * 51, "range": "for ever", "group": "\0"}, "16"),
    ):
        assert values(look(looker, **asked))[0] == pictures, asked
    shown = {title: [bar.name for bar in bars] for title, bars in look(looker).context["breakdowns"]}
    assert shown["By group"] == ["In no group", "Image creators"]
    assert shown["By connection"] == ["proxy", "studio"]


def test_how_each_connection_is(looker: Client, select: Callable[..., EngineConnection]) -> None:
    studio = select("studio", "dicebear", concurrency=4)
    EngineConnection.objects.filter(pk=studio.pk).update(failures=3, rests_until=NOW + timedelta(seconds=20))
    begun(5 * DAY, connection=studio)
    begun(2 * DAY, connection=studio, status="failed", error_code="engine_timeout")
    begun(timedelta(minutes=3), connection=studio, status="failed", error_code="engine_unavailable")
    begun(timedelta(minutes=1), connection=studio, status="running", finished_at=None)
    (one,) = [row for row in look(looker).context["conditions"] if row.connection.name == "studio"]
    assert (one.state, one.mood, one.running) == ("Resting until 15:30:20", "bad", 1)
    assert (one.code, one.succeeded_at, one.p95) == ("engine_unavailable", NOW - 5 * DAY, "–")


def test_neither_persons_nor_prompts_are_on_it(looker: Client, member: User) -> None:
    begun(timedelta(minutes=1), user=member, status="failed", error_code="engine_timeout")
    page = look(looker).content.decode()
    assert "secret hill" not in page and "member" not in page
    assert "error_code=engine_timeout" not in page, "no way to generations they may not see"
    User.objects.filter(username="outsider").update(is_superuser=True)
    assert "/admin/imagegen/generation/?error_code=engine_timeout" in look(looker).content.decode()


@pytest.mark.parametrize("asked", ["24h", "90d"])
def test_the_number_of_queries_is_the_same_for_few_and_for_many(looker: Client, asked: str) -> None:
    begun(100 * DAY)
    look(looker)  # content types and the like are read once in a process
    counts = []
    for number in (3, 40):
        Generation.objects.bulk_create(
            Generation(
                operation="generate", connection_name=f"c{k % 7}", engine="openai", prompt="x",
                status="failed" if k % 3 else "succeeded", error_code=f"e{k % 5}" if k % 3 else "",
                created_at=NOW - k * 2 * HOUR, finished_at=NOW - k * 2 * HOUR + timedelta(seconds=k),
                deadline_at=NOW,
            )
            for k in range(number)
        )  # fmt: skip
        periods.roll_up_all(since=NOW - 200 * DAY)
        with CaptureQueriesContext(connection) as queries:
            look(looker, range=asked)
        counts.append(len(queries))
        assert not [query for query in queries if "INSERT" in query["sql"]]
    assert counts[0] == counts[1] <= 20


def test_what_is_not_counted_yet_is_said(looker: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(20 * HOUR)
    monkeypatch.setattr(periods, "MOST_AT_A_LOOK", 2)
    response = look(looker)
    assert "Not all is counted yet" in response.content.decode()
    monkeypatch.setattr(periods, "MOST_AT_A_LOOK", 400)
    assert "Not all is counted yet" not in look(looker).content.decode()
