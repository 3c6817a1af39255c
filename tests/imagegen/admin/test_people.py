"""The page of a group: its quota is set there."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from imagegen.models import GroupQuota


@pytest.fixture
def page(creators: Group) -> str:
    return f"/admin/auth/group/{creators.pk}/change/"


def form(creators: Group, **quota: Any) -> dict[str, Any]:
    data: dict[str, Any] = {"name": creators.name, "permissions": [], "quota-0-group": creators.pk}
    for prefix in ("quota", "retention"):
        data |= {f"{prefix}-TOTAL_FORMS": int(prefix == "quota"), f"{prefix}-INITIAL_FORMS": 0}
    return data | {f"quota-0-{name}": value for name, value in quota.items()}


def test_a_quota_is_set_there(client: Client, superuser: User, creators: Group, page: str) -> None:
    client.force_login(superuser, backend="django.contrib.auth.backends.ModelBackend")
    assert "pictures_per_day" in client.get(page).content.decode()
    data = form(creators, pictures_per_day="2", money_per_month="1.5")
    assert client.post(page, data).status_code == 302
    quota = GroupQuota.objects.get(group=creators)
    assert (quota.pictures_per_day, quota.pictures_per_month) == (2, None)
    assert quota.money_per_month == Decimal("1.5")


def test_not_without_the_permission(client: Client, outsider: User, creators: Group, page: str) -> None:
    """May change groups, and nothing of quotas."""
    outsider.is_staff = True
    outsider.save()
    outsider.user_permissions.add(Permission.objects.get(codename="change_group"))
    client.force_login(outsider, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.get(page)
    assert answer.status_code == 200 and "pictures_per_day" not in answer.content.decode()
    assert client.post(page, form(creators, pictures_per_day="2")).status_code == 302
    assert not GroupQuota.objects.exists()
