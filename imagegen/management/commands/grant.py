"""`manage.py grant`: who may make pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from imagegen.access.journal import ADDITION, CHANGE, record_from_shell
from imagegen.access.permissions import IMAGE_GENERATION
from imagegen.management.explained import ExplainedCommand

APP, _, CODENAME = IMAGE_GENERATION.partition(".")


DETAILS = """examples:
  manage.py grant Design --create --user ada grace   # a new group, with two members
  manage.py grant Design --user ada                  # one member more
  manage.py grant Design --revoke --user grace       # grace leaves the group; its permission stays
  manage.py grant Design --revoke                    # the group may make no more pictures

Users must exist already. Doing it twice changes nothing. It counts from the next request on. How much a
group's members may make: `manage.py quotas --help`.
"""


class Command(ExplainedCommand):
    help = f"Grant a group the permission {IMAGE_GENERATION}: its members may make pictures."
    details = DETAILS

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("group", metavar="GROUP", help="its name, in quotes where it has spaces")
        parser.add_argument("--create", action="store_true", help="create the group if there is none")
        parser.add_argument(
            "--revoke",
            action="store_true",
            help="take away, from the group or, with --user, these users from it",
        )
        parser.add_argument("--user", nargs="+", default=[], metavar="NAME", help="put these users into it")

    @transaction.atomic
    def handle(
        self, *args: Any, group: str, create: bool, revoke: bool, user: Sequence[str], **options: Any
    ) -> None:
        if create and revoke:
            raise CommandError("--create and --revoke exclude each other.")
        found = _find_group(group, create=create)
        users = _find_users(user)
        permission = Permission.objects.get(content_type__app_label=APP, codename=CODENAME)
        group_told, user_told = "", "taken out of" if revoke else "put into"
        if not revoke:
            group_told = f"given {permission.name!r}"
            found.permissions.add(permission)
            found.user_set.add(*users)
            self.stdout.write(f"Members of {group} may make pictures.")
        elif not users:
            group_told = f"lost {permission.name!r}"
            found.permissions.remove(permission)
            self.stdout.write(f"Members of {group} may no longer make pictures by being in it.")
        else:
            found.user_set.remove(*users)
        if group_told:
            record_from_shell(things=[found], flag=CHANGE, message=f"{group_told}.")
        if users:
            record_from_shell(things=users, flag=CHANGE, message=f"{user_told} the group {group}.")
        for one in users:
            self.stdout.write(f"{one.username} is {'no longer' if revoke else 'now'} in {group}.")


def _find_group(name: str, *, create: bool = False) -> Group:
    if create:
        found, is_new = Group.objects.get_or_create(name=name)
        if is_new:
            record_from_shell(things=[found], flag=ADDITION, message="created.")
        return found
    group = Group.objects.filter(name=name).first()
    if group is None:
        known = ", ".join(Group.objects.order_by("name").values_list("name", flat=True)) or "none"
        raise CommandError(f"There is no group {name!r}. There are: {known}.")
    return group


def _find_users(names: Sequence[str]) -> list[User]:
    users = list(User.objects.filter(username__in=names))
    unknown = sorted(set(names) - {user.username for user in users})
    if unknown:
        raise CommandError(f"There is no user {', '.join(map(repr, unknown))}. Nothing was changed.")
    return users
