"""`manage.py quotas`: what groups may make."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from imagegen.access.journal import CHANGE, record_from_shell
from imagegen.management.explained import ExplainedCommand, Help
from imagegen.models import GroupQuota
from imagegen.models.quota import DIMENSIONS

DETAILS = """examples:
  manage.py quotas set "Image creators" --pictures-per-day 20 --money-per-month 50
  manage.py quotas set "Image creators" --money-per-month none
  manage.py quotas list --json

A user has the most generous of their groups' quotas, dimension by dimension: `none`, and what was never
set, is without limit; 0 is nothing at all. A group without a quota does not count. Days and months are
calendar ones, in UTC. Superusers have no quota. A change counts from the next request on; who is over it
gets 429 until it resets.
"""
SET_EXAMPLE = """example:
  manage.py quotas set "Image creators" --pictures-per-day 20 --money-per-month 50
"""


UNITS = {
    "pictures_per_day": "pictures of one member in a UTC day",
    "pictures_per_month": "pictures of one member in a calendar month",
    "money_per_month": "US dollars of one member in a calendar month, such as 12.50",
    "generations_at_once": "requests of one member that may be under way",
}


class Command(ExplainedCommand):
    help = "List, set and remove the quotas of groups."
    details = DETAILS

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        listing = actions.add_parser("list", help="list the groups that have a quota")
        listing.add_argument(
            "--json", action="store_true", dest="as_json", help="for scripts; null is no limit"
        )
        setting = actions.add_parser(
            "set", help="set what is named, leave the rest", epilog=SET_EXAMPLE, formatter_class=Help
        )
        removal = actions.add_parser("remove", help="remove a group's quota: it no longer counts")
        for action in (setting, removal):
            action.add_argument("group", metavar="GROUP")
        for name in DIMENSIONS:
            setting.add_argument(_option(name), metavar="N", help=f"{UNITS[name]}; `none`: no limit")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        getattr(self, f"_{action}")(**options)

    def _list(self, *, as_json: bool, **_: Any) -> None:
        rows = [
            {"group": quota.group.name, **{name: getattr(quota, name) for name in DIMENSIONS}}
            for quota in GroupQuota.objects.select_related("group").order_by("group__name")
        ]
        if as_json:
            self.stdout.write(json.dumps(rows, indent=2, default=float))
            return
        if not rows:
            self.stdout.write("No group has a quota.")
        for row in rows:
            limits = "  ".join(f"{name.replace('_', ' ')}: {_shown(row[name])}" for name in DIMENSIONS)
            self.stdout.write(f"{row['group']:<20} {limits}")

    def _set(self, *, group: str, **options: Any) -> None:
        named = {name: options[name] for name in DIMENSIONS if options[name] is not None}
        if not named:
            raise CommandError(f"Name at least one of {', '.join(map(_option, DIMENSIONS))}.")
        found = _find(group)
        quota = GroupQuota.objects.filter(group=found).first() or GroupQuota(group=found)
        before = {name: getattr(quota, name) for name in named}
        for name, limit in named.items():
            setattr(quota, name, None if limit == "none" else limit)
        try:
            quota.full_clean()
        except ValidationError as error:
            wrong = (f"{_option(name)}: {' '.join(told)}" for name, told in error.message_dict.items())
            raise CommandError(" ".join(wrong)) from None
        changes = (
            f"{name.replace('_', ' ')} from {_shown(limit)} to {_shown(getattr(quota, name))}"
            for name, limit in before.items()
        )
        with transaction.atomic():
            quota.save()
            record_from_shell(things=[found], flag=CHANGE, message=f"the quota: {', '.join(changes)}.")
        self.stdout.write(f"{group}: {quota}")

    @transaction.atomic
    def _remove(self, *, group: str, **_: Any) -> None:
        found = _find(group)
        deleted, _by_model = GroupQuota.objects.filter(group=found).delete()
        if deleted:
            record_from_shell(things=[found], flag=CHANGE, message="the quota: it was removed.")
        self.stdout.write(f"Removed the quota of {group}." if deleted else f"{group} has no quota.")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _shown(limit: Any) -> str:
    return "none" if limit is None else str(limit)


def _find(name: str) -> Group:
    group = Group.objects.filter(name=name).first()
    if group is None:
        known = ", ".join(Group.objects.order_by("name").values_list("name", flat=True)) or "none"
        raise CommandError(f"There is no group {name!r}. There are: {known}.")
    return group
