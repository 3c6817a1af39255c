"""The pages of groups and users: who may grant what, and to whom."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from imagegen.admin.grants import LACKING, NAMED, given_to, named_permissions, switch_of
from imagegen.models import EngineConnection, GroupQuota, GroupRetention
from tests.conftest import PASSWORD

GENERATE = "may_image_generation"
Staff = Callable[..., Client]


@pytest.fixture
def page(creators: Group) -> str:
    return f"/admin/auth/group/{creators.pk}/change/"


@pytest.fixture
def account(member: User) -> str:
    return f"/admin/auth/user/{member.pk}/change/"


def entered(answer: Any, **changes: Any) -> dict[str, Any]:
    """What a browser would send back from a page: its form, its inlines' management, and `changes`."""
    form = answer.context["adminform"].form
    data = {name: form[name].value() for name in form.fields}
    for inline in answer.context["inline_admin_formsets"]:
        prefix = inline.formset.prefix
        data |= {f"{prefix}-TOTAL_FORMS": inline.formset.total_form_count()}
        data |= {f"{prefix}-INITIAL_FORMS": inline.formset.initial_form_count()}
        for one in inline.formset.forms:
            data |= {one.add_prefix(name): one[name].value() for name in one.fields}
    data |= changes
    sent = {name: value for name, value in data.items() if value is not None and value is not False}
    return {name: [getattr(v, "pk", v) for v in value] if isinstance(value, list) else value
            for name, value in sent.items()}  # fmt: skip


def save(client: Client, path: str, **changes: Any) -> Any:
    return client.post(path, entered(client.get(path), **changes))


def permissions_of(group: Group) -> set[str]:
    return set(group.permissions.values_list("codename", flat=True))


# Groups


def test_every_permission_with_a_switch_exists(db: None) -> None:
    assert named_permissions().count() == len(NAMED) == len({switch_of(name) for name in NAMED})


def test_a_permission_is_granted_with_one_switch(admin_pages: Client) -> None:
    add = "/admin/auth/group/add/"
    shown = admin_pages.get(add).content.decode()
    assert "Can generate images" in shown and "Can view others&#x27; pictures and prompts" in shown
    assert save(admin_pages, add, name="Painters", **{GENERATE: "on"}).status_code == 302
    painters = Group.objects.get(name="Painters")
    assert permissions_of(painters) == {"image_generation"}
    path = f"/admin/auth/group/{painters.pk}/change/"
    assert save(admin_pages, path, may_view_usage="on").status_code == 302
    assert permissions_of(painters) == {"image_generation", "view_usage"}
    assert save(admin_pages, path, **{GENERATE: None}).status_code == 302
    assert permissions_of(painters) == {"view_usage"}


def test_other_permissions_are_kept_and_have_a_list(admin_pages: Client, creators: Group, page: str) -> None:
    creators.permissions.add(Permission.objects.get(codename="view_group"))
    offered = admin_pages.get(page).context["adminform"].form.fields["permissions"].queryset
    assert offered.exists() and not offered.filter(pk__in=named_permissions()).exists()
    assert save(admin_pages, page, may_view_usage="on").status_code == 302
    assert permissions_of(creators) == {"image_generation", "view_usage", "view_group"}
    assert save(admin_pages, page, permissions=[]).status_code == 302
    assert permissions_of(creators) == {"image_generation", "view_usage"}


def test_nothing_changes_where_nothing_was_changed(admin_pages: Client, creators: Group, page: str) -> None:
    creators.permissions.add(Permission.objects.get(codename="view_group"))
    assert save(admin_pages, page).status_code == 302
    assert permissions_of(creators) == {"image_generation", "view_group"}
    assert LogEntry.objects.get().get_change_message() == "Saved without a change."


def test_nobody_gives_or_takes_what_they_lack(staff: Staff, creators: Group, page: str) -> None:
    """Neither by a switch nor by the list, whatever their browser sends."""
    ops = staff("change_group", "view_group", "view_usage", "view_user")
    creators.permissions.add(Permission.objects.get(codename="delete_user"))
    shown = ops.get(page).content.decode()
    assert LACKING in shown and "delete_user" not in shown and "Can delete user" not in shown
    assert save(ops, page, may_view_usage="on", may_view_others_pictures="on").status_code == 302
    assert permissions_of(creators) == {"image_generation", "delete_user", "view_usage"}
    assert save(ops, page, **{GENERATE: None}).status_code == 302
    view_user = Permission.objects.get(codename="view_user")
    assert save(ops, page, permissions=[view_user.pk]).status_code == 302
    assert permissions_of(creators) == {"image_generation", "delete_user", "view_usage", "view_user"}
    forbidden = Permission.objects.get(codename="change_user")
    assert save(ops, page, permissions=[forbidden.pk]).status_code == 200
    assert save(ops, page, permissions=[], may_view_usage=None).status_code == 302
    assert permissions_of(creators) == {"image_generation", "delete_user"}


def test_a_quota_and_a_retention_are_set_there(admin_pages: Client, creators: Group, page: str) -> None:
    shown = admin_pages.get(page).content.decode()
    assert "pictures_per_day" in shown and "retention-0-days" in shown
    first = {"quota-TOTAL_FORMS": 1, "quota-0-pictures_per_day": 2, "quota-0-money_per_month": "1.5"}
    assert save(admin_pages, page, **first).status_code == 302
    quota = GroupQuota.objects.get(group=creators)
    assert (quota.pictures_per_day, quota.pictures_per_month) == (2, None)
    assert quota.money_per_month == Decimal("1.5")
    second = {"retention-TOTAL_FORMS": 1, "retention-0-days": 30, "quota-0-pictures_per_day": 3}
    assert save(admin_pages, page, **second).status_code == 302
    assert GroupRetention.objects.get(group=creators).days == 30
    told = LogEntry.objects.first()
    assert told is not None and "the quota: pictures per day from 2 to 3" in told.get_change_message()
    assert "the retention: days from nothing to 30" in told.get_change_message()
    assert save(admin_pages, page, **{"quota-0-DELETE": "on"}).status_code == 302
    assert not GroupQuota.objects.exists()
    told = LogEntry.objects.first()
    assert told is not None and "the quota: it was removed" in told.get_change_message()


def test_no_quota_without_its_permission(staff: Staff, creators: Group, page: str) -> None:
    """May change groups, and nothing of quotas."""
    ops = staff("change_group")
    answer = ops.get(page)
    assert answer.status_code == 200 and "pictures_per_day" not in answer.content.decode()
    sneaked = {"quota-TOTAL_FORMS": 1, "quota-INITIAL_FORMS": 0, "quota-0-pictures_per_day": 2}
    assert save(ops, page, **sneaked).status_code == 302
    assert not GroupQuota.objects.exists()


def test_a_group_is_read_without_switches(staff: Staff, page: str) -> None:
    answer = staff("view_group").get(page)
    assert answer.status_code == 200 and "Can generate images" in answer.content.decode()
    assert 'type="checkbox"' not in answer.content.decode().split('id="content-main"')[-1]


# Users


def test_a_user_gets_permissions_by_switch_and_by_group(
    admin_pages: Client, outsider: User, creators: Group
) -> None:
    path = f"/admin/auth/user/{outsider.pk}/change/"
    assert save(admin_pages, path, may_view_usage="on", groups=[creators.pk]).status_code == 302
    assert given_to(outsider) == {"features.image_generation", "imagegen.view_usage"}
    told = LogEntry.objects.get().get_change_message()
    assert "can view usage from off to on" in told and "groups from none to Image creators" in told


def test_no_group_that_may_more(staff: Staff, outsider: User, creators: Group) -> None:
    """Not for oneself either: a group is all of its permissions."""
    harmless = Group.objects.create(name="Harmless")
    helper = User.objects.create_user("helper")
    helper.groups.add(creators)
    ops = staff("change_user", "view_user")
    own = f"/admin/auth/user/{outsider.pk}/change/"
    assert save(ops, own, groups=[creators.pk]).status_code == 200
    assert save(ops, own, groups=[harmless.pk]).status_code == 302
    assert list(outsider.groups.all()) == [harmless]
    outsider.groups.add(creators)
    assert "Image creators" in ops.get(own).content.decode()
    assert save(ops, own, groups=[]).status_code == 302
    assert not outsider.groups.exists(), "what one has one may give up"


def test_nobody_deletes_a_group_that_may_more(staff: Staff, creators: Group) -> None:
    harmless = Group.objects.create(name="Harmless")
    ops = staff("view_group", "delete_group")
    for group, opens in ((creators, False), (harmless, True)):
        gone = ops.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"})
        assert gone.status_code == (302 if opens else 403)
    ops.post(
        "/admin/auth/group/", {"action": "delete_selected", "_selected_action": [creators.pk], "post": "yes"}
    )
    assert list(Group.objects.all()) == [creators]


@pytest.mark.parametrize("may_name", [True, False])
def test_the_last_group_of_a_connection_stays(staff: Staff, studio: EngineConnection, may_name: bool) -> None:
    """Without a group, the connection would be everybody's."""
    first, last = (Group.objects.create(name=name) for name in ("First", "Last"))
    studio.allowed_groups.add(first, last)
    ops = staff("view_group", "delete_group", *["view_engineconnection"] * may_name)
    both = {"action": "delete_selected", "_selected_action": [first.pk, last.pk], "post": "yes"}
    assert "would be for everybody" in ops.post("/admin/auth/group/", both).text
    assert ops.post(f"/admin/auth/group/{first.pk}/delete/", {"post": "yes"}).status_code == 302
    asked = ops.post(f"/admin/auth/group/{last.pk}/delete/", {"post": "yes"})
    assert "would be for everybody" in asked.text and ("studio" in asked.text) is may_name
    assert list(studio.allowed_groups.all()) == [last]
    studio.delete()
    assert ops.post(f"/admin/auth/group/{last.pk}/delete/", {"post": "yes"}).status_code == 302


def test_an_inactive_account_counts_as_what_it_would_be(staff: Staff) -> None:
    strong = Group.objects.create(name="Strong")
    strong.permissions.add(Permission.objects.get(codename="delete_user"))
    sleeper = User.objects.create_user("sleeper", is_active=False)
    sleeper.groups.add(strong)
    ops = staff("change_user", "view_user")
    path = f"/admin/auth/user/{sleeper.pk}/change/"
    assert ops.post(path, {"username": "sleeper", "is_active": "on"}).status_code == 403
    sleeper.refresh_from_db()
    assert not sleeper.is_active and list(sleeper.groups.all()) == [strong]


def test_nobody_makes_themselves_a_superuser(staff: Staff, outsider: User) -> None:
    ops = staff("change_user", "view_user")
    own = f"/admin/auth/user/{outsider.pk}/change/"
    sneaked = {"is_superuser": "on", GENERATE: "on", "user_permissions": []}
    assert save(ops, own, **sneaked).status_code == 302
    outsider.refresh_from_db()
    assert not outsider.is_superuser and not outsider.has_perm("features.image_generation")


@pytest.mark.parametrize("strong", ["superuser", "member"])
def test_nobody_takes_over_who_may_more(staff: Staff, request: pytest.FixtureRequest, strong: str) -> None:
    """Nor sets their password, nor deletes them. Whoever may no more than oneself, one may."""
    victim: User = request.getfixturevalue(strong)
    weak = User.objects.create_user("weak", password=PASSWORD)
    ops = staff("change_user", "view_user", "delete_user")
    new = {"password1": "a new long password", "password2": "a new long password", "usable_password": "true"}
    for person, opens in ((victim, False), (weak, True)):
        place = f"/admin/auth/user/{person.pk}"
        answer = ops.get(f"{place}/change/")
        assert answer.status_code == 200 and answer.context["has_change_permission"] is opens
        assert ops.post(f"{place}/password/", new).status_code == (302 if opens else 403)
        person.refresh_from_db()
        assert person.check_password(PASSWORD) is not opens
        assert ops.post(f"{place}/delete/", {"post": "yes"}).status_code == (302 if opens else 403)
        assert User.objects.filter(pk=person.pk).exists() is not opens
    many = {"action": "delete_selected", "_selected_action": [victim.pk], "post": "yes"}
    ops.post("/admin/auth/user/", many)
    assert User.objects.filter(pk=victim.pk).exists()


def test_a_changed_password_is_written_down_without_it(admin_pages: Client, outsider: User) -> None:
    new = {"password1": "a new long password", "password2": "a new long password", "usable_password": "true"}
    assert admin_pages.post(f"/admin/auth/user/{outsider.pk}/password/", new).status_code == 302
    assert LogEntry.objects.get().get_change_message() == "Changed the password."


def test_a_user_is_added(admin_pages: Client) -> None:
    new = {"password1": "a new long password", "password2": "a new long password", "usable_password": "true"}
    assert admin_pages.post("/admin/auth/user/add/", {"username": "new"} | new).status_code == 302
    assert User.objects.get(username="new").check_password("a new long password")


@pytest.mark.parametrize("codename", ["view_user", "change_user"])
def test_no_hash_of_a_password_is_shown(staff: Staff, account: str, member: User, codename: str) -> None:
    shown = staff(codename).get(account).content.decode()
    assert member.password not in shown and member.password.rpartition("$")[2] not in shown
