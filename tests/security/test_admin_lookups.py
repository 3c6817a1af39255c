"""No list of the admin answers, by how many rows there are, what it does not show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.test import Client

from imagegen.access.models import issue_key
from imagegen.admin.lookups import FilteredAdmin
from imagegen.models import EngineConnection

ADMINS: list[Any] = list(admin.site._registry.values())
FILTERED = [one for one in ADMINS if one.list_filter]


def _name(one: Any) -> str:
    return one.opts.label_lower


@pytest.fixture
def everything(client: Client, superuser: User) -> Client:
    client.force_login(superuser, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_every_admin_of_ours_is_guarded() -> None:
    for one in ADMINS:
        assert isinstance(one, FilteredAdmin), _name(one)


@pytest.mark.parametrize(
    "question",
    [
        "auth/user/?password__startswith=md5",
        "auth/user/?password__isnull=0",
        "auth/user/?email__startswith=a",
        "auth/user/?api_keys__hash__startswith=a",
        "auth/user/?logentry__change_message__contains=a",
        "auth/user/?is_active__lt__password=1",
        "auth/user/?groups__permissions__codename=delete_user",
        "auth/group/?user__password__startswith=md5",
        "access/apikey/?hash__startswith=a",
        "access/apikey/?user__password__startswith=md5",
        "access/apikey/?user__email__contains=a",
        "imagegen/engineconnection/?encrypted_key__startswith=gAAAA",
        "imagegen/engineconnection/?parameters__contains=a",
        "imagegen/engineconnection/?generations__prompt__contains=a",
        "imagegen/engineconnection/?allowed_groups__user__password__startswith=m",
        "admin/logentry/?user__password__startswith=md5",
        "admin/logentry/?change_message__contains=a",
        "axes/accessattempt/?post_data__contains=a",
        "axes/accessattempt/?get_data__contains=a",
    ],
)
def test_a_secret_is_not_probed_by_address(everything: Client, question: str) -> None:
    assert everything.get(f"/admin/{question}").status_code == 400


def _fields(model: Any, depth: int = 2) -> Iterator[str]:
    """As lookups name them: of the model, and of what it leads to, either way."""
    for field in model._meta.get_fields():
        yield field.name
        if depth and field.is_relation and field.related_model:
            for further in _fields(field.related_model, depth - 1):
                yield f"{field.name}__{further}"


@pytest.mark.parametrize("one", ADMINS, ids=_name)
def test_no_field_is_asked_that_is_not_a_filter(one: Any, rf: Any, superuser: User) -> None:
    request = rf.get("/")
    request.user = superuser
    filters = {str(name) for name in one.list_filter}
    fields = list(_fields(one.model))
    assert len(fields) > 10
    for field in fields:
        for lookup in ("", "__startswith", "__contains", "__regex", "__gt", "__in", "__exact", "__isnull"):
            if one.lookup_allowed(f"{field}{lookup}", "a", request):
                assert field.removesuffix("__id") in filters, f"{field}{lookup}"


@pytest.mark.parametrize("one", FILTERED, ids=_name)
def test_its_own_filters_are_answered(one: Any, everything: Client, member: User) -> None:
    """Each link that a filter offers."""
    issue_key(user=member, name="one")
    LogEntry.objects.create(user=member, action_flag=CHANGE, object_repr="a", change_message="b")
    EngineConnection.objects.create(name="one", engine="openai")
    page = f"/admin/{one.opts.app_label}/{one.opts.model_name}/"
    changelist = everything.get(page).context["cl"]
    offered = {
        choice["query_string"]
        for spec in changelist.filter_specs
        for choice in spec.choices(changelist)
        if "query_string" in choice
    }
    assert len(offered) > len(one.list_filter)
    for query in sorted(offered):
        assert everything.get(f"{page}{query}").status_code == 200, query
