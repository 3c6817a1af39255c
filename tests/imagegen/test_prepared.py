"""What is prepared finds and writes what Django does, without its SQL being made again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Group, User
from django.core.files.base import ContentFile
from django.db import connection
from django.db.models import Model, QuerySet
from django.utils import timezone
from django.utils.safestring import mark_safe

from imagegen.models import EngineConnection, Generation, GroupQuota, ImageFile
from imagegen.prepared import Prepared, insert, update


@pytest.fixture
def generation(member: User) -> Generation:
    return Generation.objects.create(
        user=member, operation="generate", connection_name="a", engine="openai", prompt="é",
        parameters={"size": "auto"}, cost=Decimal("0.25"), deadline_at=timezone.now(),
    )  # fmt: skip


def test_every_kind_of_value_is_as_a_queryset_has_it(generation: Generation, member: User) -> None:
    mine = Prepared(lambda user_id: Generation.objects.filter(user=user_id))
    assert member.pk is not None
    for _ in range(2):
        found = mine(member.pk)
        expected = Generation.objects.get(pk=generation.pk)
        names = [field.attname for field in Generation._meta.concrete_fields]
        assert [[getattr(row, name) for name in names] for row in found] == [
            [getattr(expected, name) for name in names]
        ]
    assert mine(member.pk + 1) == []


def test_what_is_found_can_be_saved(member: User) -> None:
    (found,) = Prepared(lambda pk: User.objects.filter(pk=pk))(member.pk or 0)
    found.first_name = "Ada"
    found.save()
    member.refresh_from_db()
    assert member.first_name == "Ada"


def test_the_queryset_is_built_once(member: User) -> None:
    built: list[Any] = []

    def build(pk: int) -> QuerySet[User]:
        built.append(pk)
        return User.objects.filter(pk=pk)

    find = Prepared(build)
    find(member.pk or 0)
    so_far = len(built)
    find(member.pk or 0)
    assert len(built) == so_far


def test_quotas_and_connections_are_looked_up_anew_each_time(member: User) -> None:
    from imagegen.models import ImageSettings
    from imagegen.models.connection import find_usable

    group = Group.objects.create(name="few")
    limited = EngineConnection.objects.create(name="limited", engine="dicebear")
    limited.allowed_groups.add(group)
    assert not ImageSettings.objects.current().quotas_exist
    assert limited not in find_usable(member)
    GroupQuota.objects.create(group=group, pictures_per_day=1)
    member.groups.add(group)
    assert ImageSettings.objects.current().quotas_exist
    assert limited in find_usable(member)


def stored(row: Model) -> tuple[Any, ...]:
    """As the database has it, but for the key."""
    key = row.pk if connection.features.has_native_uuid_field else row.pk.hex
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {row._meta.db_table} WHERE id = %s", [key])
        (found,) = cursor.fetchall()
    return tuple(value for value in found if value not in (row.pk, key))


ODD = {
    "pictures_asked": "3",
    "pictures_failed": True,
    "chat_id": 5,
    "prompt": mark_safe("é <b>"),
    "path": "a",
}


@pytest.mark.parametrize("odd", [{}, ODD])
def test_what_is_written_is_what_django_writes(generation: Generation, odd: dict[str, Any]) -> None:
    fields = {f.name: getattr(generation, f.name) for f in Generation._meta.fields if f.name != "id"}
    fields |= {"may_have_charged": True, "finished_at": timezone.now()} | odd
    ours, django = Generation(**fields), Generation.objects.create(**fields)
    insert([ours])
    assert stored(ours) == stored(django)

    end = {"status": Generation.Status.FAILED, "path": [{"é": None}], "connection": None, "cost": Decimal(1)}
    Generation.objects.update(finished_at=None)
    assert update(ours, end | odd, where_null="finished_at")
    Generation.objects.filter(pk=django.pk).update(**end | odd)
    assert stored(ours) == stored(django)


def test_what_a_field_does_before_it_is_saved_is_done(member: User) -> None:
    """A file is stored."""
    row = ImageFile(owner=member, width=1, height=1, native_width=1, native_height=1, size=4)
    row.file = ContentFile(b"made", name="a.png")
    insert([row])
    with ImageFile.objects.get().file.open() as file:
        assert file.read() == b"made"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL alone")
@pytest.mark.django_db(transaction=True)
def test_a_migration_meanwhile_costs_no_request(member: User) -> None:
    """PostgreSQL refuses a plan whose columns have another type since; the worker that has it still runs."""
    find = Prepared(lambda pk: User.objects.filter(pk=pk))
    for length in (160, 150):
        assert find(member.pk or 0) == [member]
        with psycopg.connect(**connection.get_connection_params()) as another:
            another.execute(f"ALTER TABLE auth_user ALTER COLUMN first_name TYPE varchar({length})")
        assert find(member.pk or 0) == [member]
