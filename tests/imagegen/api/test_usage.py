"""GET /api/usage: what is left, told to whoever is signed in, and to nobody else."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from imagegen.models import Generation, GroupQuota

URL = "/api/usage"


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    noon = datetime.fromisoformat("2026-11-22T12:00:00+00:00")
    monkeypatch.setattr(timezone, "now", lambda: noon)


def made(user: User, **fields: Any) -> None:
    now = timezone.now()
    Generation.objects.create(
        **{"user": user, "status": "succeeded", "created_at": now, "deadline_at": now, "finished_at": now}
        | fields
    )


def test_used_and_left(api: Client, member: User, other: User, creators: Group) -> None:
    GroupQuota.objects.create(
        group=creators, pictures_per_day=5, pictures_per_month=None, money_per_month=Decimal("0.5"),
        generations_at_once=2,
    )  # fmt: skip
    made(member, pictures_asked=3, pictures_failed=1, cost=Decimal("0.6"))
    made(member, pictures_asked=4, created_at=datetime.fromisoformat("2026-11-21T23:59:59+00:00"))
    made(member, pictures_asked=9, created_at=datetime.fromisoformat("2026-10-31T23:59:59+00:00"))
    made(other, pictures_asked=7)
    made(
        member, status="running", finished_at=None, reserved=1,
        deadline_at=datetime.fromisoformat("2026-11-22T12:01:00+00:00"),
    )  # fmt: skip
    answer = api.get(URL)
    assert answer.status_code == 200
    midnight, december = "2026-11-23T00:00:00Z", "2026-12-01T00:00:00Z"
    assert answer.json() == {
        "pictures_per_day": {"limit": 5, "used": 3, "left": 2, "resets_at": midnight},
        "pictures_per_month": {"limit": None, "used": 7, "left": None, "resets_at": december},
        "money_per_month": {"limit": 0.5, "used": 1.6, "left": 0.0, "resets_at": december},
        "generations_at_once": {"limit": 2, "used": 1, "left": 1, "resets_at": None},
    }


def test_without_a_quota_all_is_open(
    client_for: Any, superuser: User, outsider: User, creators: Group
) -> None:
    GroupQuota.objects.create(group=creators, pictures_per_day=5)
    superuser.groups.add(creators)
    for user in (superuser, outsider):
        body = client_for(user).get(URL).json()
        assert {allowance["limit"] for allowance in body.values()} == {None}
        assert {allowance["left"] for allowance in body.values()} == {None}
        assert body["pictures_per_day"]["used"] == 0


def test_nobody_else(client_for: Any) -> None:
    answer = client_for(None).get(URL)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_browser_may_ask_but_not_from_elsewhere(client: Client, member: User) -> None:
    client.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(URL).status_code == 200
    refused = client.get(URL, headers={"origin": "https://elsewhere.example"})
    assert (refused.status_code, refused.json()["code"]) == (403, "foreign_origin")


def test_only_get(api: Client) -> None:
    assert api.post(URL, {}, content_type="application/json").status_code == 405
    assert api.get(URL + "/").status_code == 404


def test_it_is_read_anew(api: Client, member: User) -> None:
    before = api.get(URL).json()["pictures_per_day"]["used"]
    made(member)
    assert (before, api.get(URL).json()["pictures_per_day"]["used"]) == (0, 1)


def test_it_costs_three_queries(api: Client, django_assert_num_queries: Any) -> None:
    """User; quota; count."""
    with django_assert_num_queries(3):
        api.get(URL)
