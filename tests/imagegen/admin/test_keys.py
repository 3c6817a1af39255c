"""Everybody's API keys, as staff see them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.models import User
from django.test import Client

from imagegen.access.models import ApiKey, issue_key

LIST = "/admin/access/apikey/"


@pytest.fixture
def issued(member: User) -> tuple[ApiKey, str]:
    return issue_key(user=member, name="laptop")


def test_staff_see_whose_and_which_and_never_the_key(
    staff: Callable[..., Client], issued: tuple[ApiKey, str]
) -> None:
    key, secret = issued
    client = staff("view_apikey")
    for path in (LIST, f"{LIST}{key.pk}/change/", f"{LIST}{key.pk}/history/"):
        page = client.get(path).content.decode()
        assert "laptop" in page and secret not in page and key.hash not in page and secret[12:] not in page
    assert "member" in client.get(LIST).content.decode()
    assert client.post(f"{LIST}{key.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get(f"{LIST}add/").status_code == 403


def test_staff_revoke_with_the_permission(
    staff: Callable[..., Client], issued: tuple[ApiKey, str], outsider: User
) -> None:
    key, secret = issued
    client = staff("delete_apikey")
    assert "laptop" in client.get(LIST).content.decode()
    LogEntry.objects.all().delete()
    assert client.post(f"{LIST}{key.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not ApiKey.objects.exists()
    header = {"authorization": f"Bearer {secret}"}
    assert Client().get("/api/auth/session", headers=header).status_code == 401
    entry = LogEntry.objects.get()
    assert (entry.user, entry.action_flag) == (outsider, DELETION) and "laptop" in entry.object_repr


def test_many_at_once(staff: Callable[..., Client], issued: tuple[ApiKey, str], member: User) -> None:
    issue_key(user=member, name="second")
    LogEntry.objects.all().delete()
    chosen = [key.pk for key in ApiKey.objects.all()]
    form = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
    assert staff("delete_apikey").post(LIST, form).status_code == 302
    assert not ApiKey.objects.exists() and LogEntry.objects.filter(action_flag=DELETION).count() == 2


def test_without_permission_there_is_nothing(
    staff: Callable[..., Client], issued: tuple[ApiKey, str]
) -> None:
    client = staff()
    for path in (LIST, f"{LIST}{issued[0].pk}/change/", f"{LIST}{issued[0].pk}/delete/"):
        assert client.get(path).status_code == 403


def test_a_user_is_deleted_with_their_keys(
    staff: Callable[..., Client], issued: tuple[ApiKey, str], member: User
) -> None:
    client = staff("view_user", "delete_user", "image_generation")
    assert client.post(f"/admin/auth/user/{member.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not ApiKey.objects.exists()
