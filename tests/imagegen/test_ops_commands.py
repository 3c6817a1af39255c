"""manage.py grant, quotas and usage."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command

from imagegen.models import Generation, GroupQuota

pytestmark = pytest.mark.django_db
PERMISSION = "features.image_generation"


def manage(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def may(name: str) -> bool:
    return User.objects.get(username=name).has_perm(PERMISSION)


class TestGrant:
    @pytest.fixture(autouse=True)
    def _people(self) -> None:
        User.objects.create_user("ada")
        User.objects.create_user("bob")

    def test_a_new_group_with_members(self) -> None:
        said = manage("grant", "artists", "--create", "--user", "ada", "bob")
        assert (
            said == "Members of artists may make pictures.\nada is now in artists.\nbob is now in artists.\n"
        )
        assert may("ada") and may("bob")

    def test_twice_is_once(self) -> None:
        for _ in range(2):
            manage("grant", "artists", "--create", "--user", "ada")
        assert may("ada") and Group.objects.get().permissions.count() == 1

    def test_revoke_takes_it_from_the_group(self) -> None:
        manage("grant", "artists", "--create", "--user", "ada")
        manage("grant", "artists", "--revoke")
        assert not may("ada")
        assert User.objects.get(username="ada").groups.exists()

    def test_revoke_with_users_takes_them_out_and_leaves_the_others(self) -> None:
        manage("grant", "artists", "--create", "--user", "ada", "bob")
        assert manage("grant", "artists", "--revoke", "--user", "ada") == "ada is no longer in artists.\n"
        assert (may("ada"), may("bob")) == (False, True)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["nobody"], "There is no group 'nobody'. There are: none."),
            (["artists", "--create", "--user", "ada", "eve"], "There is no user 'eve'. Nothing was changed."),
            (["artists", "--create", "--revoke"], "--create and --revoke exclude each other."),
        ],
    )
    def test_mistakes_change_nothing(self, arguments: list[str], said: str) -> None:
        with pytest.raises(CommandError, match=said.replace(".", r"\.")):
            manage("grant", *arguments)
        assert not Group.objects.exists() and not may("ada")


class TestQuotas:
    @pytest.fixture(autouse=True)
    def _group(self) -> None:
        Group.objects.create(name="artists")

    def quota(self) -> tuple[Any, ...]:
        row = GroupQuota.objects.get()
        return (row.pictures_per_day, row.pictures_per_month, row.money_per_month, row.generations_at_once)

    def test_set_changes_what_is_named(self) -> None:
        manage("quotas", "set", "artists", "--pictures-per-day", "10", "--money-per-month", "2.5")
        assert self.quota() == (10, None, Decimal("2.5"), None)
        said = manage("quotas", "set", "artists", "--pictures-per-day", "none", "--generations-at-once", "0")
        assert self.quota() == (None, None, Decimal("2.5"), 0)
        assert said == "artists: money per month: $2.50, generations at once: 0\n"

    def test_list(self) -> None:
        assert manage("quotas", "list") == "No group has a quota.\n"
        assert json.loads(manage("quotas", "list", "--json")) == []
        manage("quotas", "set", "artists", "--pictures-per-day", "10", "--money-per-month", "2.5")
        assert json.loads(manage("quotas", "list", "--json")) == [
            {
                "group": "artists",
                "pictures_per_day": 10,
                "pictures_per_month": None,
                "money_per_month": 2.5,
                "generations_at_once": None,
            }
        ]
        (line,) = manage("quotas", "list").splitlines()
        assert line.startswith("artists  ") and "pictures per day: 10" in line and "at once: none" in line

    def test_remove(self) -> None:
        manage("quotas", "set", "artists", "--pictures-per-day", "10")
        assert manage("quotas", "remove", "artists") == "Removed the quota of artists.\n"
        assert manage("quotas", "remove", "artists") == "artists has no quota.\n"
        assert not GroupQuota.objects.exists()

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["set", "artists"], "Name at least one of --pictures-per-day"),
            (["set", "artists", "--pictures-per-day", "-1"], "--pictures-per-day: "),
            (["set", "artists", "--pictures-per-day", "ten"], "--pictures-per-day: "),
            (["set", "artists", "--money-per-month", "-0.01"], "--money-per-month: "),
            (["set", "artists", "--money-per-month", "nan"], "--money-per-month: "),
            (["set", "strangers", "--pictures-per-day", "1"], "There is no group 'strangers'."),
            (["remove", "strangers"], "There is no group 'strangers'. There are: artists."),
        ],
    )
    def test_mistakes(self, arguments: list[str], said: str) -> None:
        with pytest.raises(CommandError, match=said):
            manage("quotas", *arguments)
        assert not GroupQuota.objects.exists()


class TestUsage:
    @pytest.fixture(autouse=True)
    def _november(self) -> None:
        ada, bob = (User.objects.create_user(name) for name in ("ada", "bob"))
        ada.groups.add(Group.objects.create(name="one"), Group.objects.create(name="two"))
        self.make(ada, 1, pictures_asked=3, pictures_failed=1, status="partial", cost=Decimal("0.08"))
        self.make(ada, 30, pictures_asked=2, cost=Decimal("0.02"), connection_name="b")
        self.make(ada, 30, status="failed", pictures_failed=1, cost=Decimal("0.01"))
        self.make(bob, 15, status="failed", error_code="quota_exceeded", pictures_asked=5, pictures_failed=5)
        self.make(None, 15)
        self.make(ada, 15, status="running", finished_at=None, pictures_asked=9)
        self.make(ada, 1, month=12)

    def make(self, user: User | None, day: int, month: int = 11, **fields: Any) -> None:
        at = datetime(2026, month, day, tzinfo=UTC)
        Generation.objects.create(
            **{"status": "succeeded", "connection_name": "a", "finished_at": at} | fields,
            user=user, created_at=at, deadline_at=at,
        )  # fmt: skip

    def report(self, *arguments: str) -> list[list[str]]:
        period = ("--since", "2026-11-01", "--until", "2026-12-01")
        header, *rows = csv.reader(io.StringIO(manage("usage", *period, "--csv", *arguments)))
        assert header[1:] == ["requests", "pictures", "failures", "refusals", "dollars"]
        return sorted(rows)

    def test_by_user(self) -> None:
        assert self.report() == [
            ["", "1", "1", "0", "0", "0.000000"],
            ["ada", "4", "4", "1", "0", "0.110000"],
            ["bob", "1", "0", "0", "1", "0.000000"],
        ]

    def test_by_group_each_member_counts_in_each(self) -> None:
        assert self.report("--by", "group") == [
            ["", "2", "1", "0", "1", "0.000000"],
            ["one", "4", "4", "1", "0", "0.110000"],
            ["two", "4", "4", "1", "0", "0.110000"],
        ]

    def test_by_connection(self) -> None:
        assert self.report("--by", "connection") == [
            ["a", "5", "3", "1", "1", "0.090000"],
            ["b", "1", "2", "0", "0", "0.020000"],
        ]

    def test_the_days_edges(self) -> None:
        assert "ada,1,1,0,0,0.000000" in manage("usage", "--since", "2026-12-01", "--csv")
        assert manage("usage", "--since", "2026-12-02", "--csv").splitlines()[1:] == []

    def test_no_name_is_a_formula(self) -> None:
        Group.objects.filter(name="one").update(name="=HYPERLINK(1)")
        assert {row[0] for row in self.report("--by", "group")} == {"", "'=HYPERLINK(1)", "two"}

    def test_as_a_table(self) -> None:
        lines = manage("usage", "--since", "2026-12-01").splitlines()
        assert lines[0].split() == ["user", "requests", "pictures", "failures", "refusals", "dollars"]
        assert lines[1].split() == ["ada", "1", "1", "0", "0", "0.000000"]

    @pytest.mark.parametrize("arguments", ["", "--since yesterday", "--since 2026-11-01 --by x"])
    def test_mistakes(self, arguments: str) -> None:
        with pytest.raises(CommandError):
            manage("usage", *arguments.split())


@pytest.mark.parametrize("command", ["connections", "grant", "quotas", "rotate_encryption", "usage"])
def test_help_suffices(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What it does, our options before Django's, an example that can be pasted, and the exit codes."""
    with pytest.raises(SystemExit) as left:
        call_command(command, "--help")
    said = capsys.readouterr().out
    assert left.value.code == 0
    assert f"  manage.py {command} " in said.partition("example")[2]
    assert "exit code: 0 done; 1 " in said
    first = {"grant": "--create", "rotate_encryption": "--dry-run", "usage": "--since"}
    assert said.index(f"  {first.get(command, 'ACTION')}") < said.index("--traceback  ")
