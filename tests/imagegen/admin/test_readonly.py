"""Lists that staff read: everybody's API keys, wrong passwords, changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.models import User
from django.test import Client

from imagegen.access.models import ApiKey, issue_key
from tests.conftest import PASSWORD

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


def test_a_pause_is_ended(staff: Callable[..., Client], settings: Any, member: User) -> None:
    settings.AXES_FAILURE_LIMIT = 1
    for password in ("wrong", PASSWORD):
        Client().post("/account/login", {"username": "member", "password": password})
    client, attempt = staff("view_accessattempt", "delete_accessattempt"), AccessAttempt.objects.get()
    assert "member" in client.get("/admin/axes/accessattempt/").content.decode()
    page = client.get(f"/admin/axes/accessattempt/{attempt.pk}/change/").content.decode()
    assert "post_data" not in page and "get_data" not in page
    assert client.post(f"/admin/axes/accessattempt/{attempt.pk}/delete/", {"post": "yes"}).status_code == 302
    entered = {"username": "member", "password": PASSWORD}
    assert Client().post("/account/login", entered).status_code == 302


def test_changes_are_read_and_stay(staff: Callable[..., Client], issued: tuple[ApiKey, str]) -> None:
    client, entry = (
        staff("view_logentry", "delete_logentry", "change_logentry", "view_apikey"),
        LogEntry.objects.get(),
    )
    assert "Made by its owner." in client.get("/admin/admin/logentry/").content.decode()
    place = f"/admin/admin/logentry/{entry.pk}"
    assert client.get(f"{place}/change/").status_code == 200
    for sent in (f"{place}/change/", f"{place}/delete/", "/admin/admin/logentry/add/"):
        assert client.post(sent, {"post": "yes"}).status_code == 403
    assert LogEntry.objects.get() == entry
