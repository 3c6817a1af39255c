"""Quotas: who has which, what counts, when it resets, and what is given back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection as database
from django.test import Client
from django.utils import timezone

from imagegen import generation as service
from imagegen.errors import QuotaExceeded, StillRunning
from imagegen.generation import Order, generate
from imagegen.models import EngineConnection, Generation, GroupQuota, ImageFile, Quota
from imagegen.models.quota import NO_QUOTA
from imagegen.overdue import close_overdue
from imagegen.quotas import usage
from tests.fakes.litellm import KEY, LiteLLM

URL = "/api/images/generations"
PORTRAIT = "/api/mind/profile/generatePortrait"


def post(client: Client, path: str = URL, /, headers: Any = None, **body: Any) -> Any:
    body = {"prompt": "a lake"} | body
    return client.post(path, body, content_type="application/json", headers=headers or {})


@pytest.fixture
def limit(creators: Group) -> Callable[..., GroupQuota]:
    """Give the creators a quota."""
    return lambda **limits: GroupQuota.objects.update_or_create(group=creators, defaults=limits)[0]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set the clock."""
    return lambda text: monkeypatch.setattr(timezone, "now", lambda: datetime.fromisoformat(text))


@pytest.fixture
def server(select: Any) -> Iterator[LiteLLM]:
    with LiteLLM() as server:
        select(
            "up", "openai", "generate", "portrait", base_url=server.url, key=KEY,
            default_model="gpt-image-1", price="0.04",
        )  # fmt: skip
        yield server


def of(user: User) -> Quota:
    return GroupQuota.objects.of(User.objects.get(pk=user.pk))


def used(user: User, dimension: str = "pictures_per_day") -> Any:
    return usage(user, NO_QUOTA)[dimension].used


def run(user: User, **fields: Any) -> Generation:
    """A generation that some process is about."""
    defaults = {"deadline_at": timezone.now() + timedelta(minutes=3), "created_at": timezone.now()}
    return Generation.objects.create(user=user, **defaults | fields)


class TestGenerosity:
    def group(self, member: User, name: str, **limits: Any) -> None:
        group = Group.objects.create(name=name)
        member.groups.add(group)
        GroupQuota.objects.create(group=group, **limits)

    def test_no_rows_no_quota(self, member: User) -> None:
        assert of(member) == NO_QUOTA

    def test_another_groups_row_is_not_mine(self, member: User) -> None:
        GroupQuota.objects.create(group=Group.objects.create(name="strangers"), pictures_per_day=1)
        assert of(member) == NO_QUOTA

    def test_a_group_without_a_row_does_not_count(self, member: User, limit: Any) -> None:
        member.groups.add(Group.objects.create(name="no row"))
        limit(pictures_per_day=3)
        assert of(member).pictures_per_day == 3

    def test_each_dimension_has_its_most_generous_group(self, member: User, limit: Any) -> None:
        limit(pictures_per_day=3, pictures_per_month=9, money_per_month=1, generations_at_once=0)
        self.group(
            member, "b", pictures_per_day=2, pictures_per_month=90, money_per_month=Decimal("0.5"),
            generations_at_once=1,
        )  # fmt: skip
        assert of(member) == Quota(3, 90, Decimal(1), 1)

    def test_empty_is_without_limit(self, member: User, limit: Any) -> None:
        limit(pictures_per_day=3, money_per_month=1)
        self.group(member, "b", pictures_per_month=5, money_per_month=2)
        assert of(member) == Quota(money_per_month=Decimal(2))

    def test_a_superuser_has_none(self, superuser: User, creators: Group, limit: Any) -> None:
        limit(pictures_per_day=0)
        superuser.groups.add(creators)
        assert of(superuser) == NO_QUOTA
        assert generate(Order(user=superuser, prompt="a", size="64x64")).files


class TestWhatCounts:
    def test_pictures_not_requests(self, api: Client, member: User, limit: Any) -> None:
        limit(pictures_per_day=3)
        assert post(api, n=2).status_code == 200
        assert post(api, n=2).status_code == 429
        assert post(api, n=1).status_code == 200
        assert post(api).status_code == 429
        assert used(member) == 3

    def test_both_families_draw_on_one_quota(self, api: Client, limit: Any) -> None:
        limit(pictures_per_day=2)
        assert post(api).status_code == post(api, PORTRAIT).status_code == 200
        assert post(api).status_code == post(api, PORTRAIT).status_code == 429

    def test_deleted_pictures_still_count(self, api: Client, limit: Any) -> None:
        limit(pictures_per_month=1)
        (picture,) = post(api).json()
        assert api.delete(f"/api/v1/files/{picture['id']}").status_code == 204
        assert post(api).status_code == 429

    def test_other_peoples_pictures_do_not(
        self, other: User, client_for: Any, api: Client, limit: Any
    ) -> None:
        limit(pictures_per_day=1)
        assert post(client_for(other)).status_code == 200
        assert post(api).status_code == 200

    def test_what_runs_is_held(self, api: Client, member: User, limit: Any) -> None:
        limit(pictures_per_day=5)
        run(member, pictures_asked=4)
        assert post(api, n=2).status_code == 429
        assert post(api, n=1).status_code == 200

    def test_a_failure_gives_back(self, api: Client, member: User, server: LiteLLM, limit: Any) -> None:
        limit(pictures_per_day=1, money_per_month=Decimal("0.04"))
        for prompt in ("[mod] a", "[500] a"):
            assert post(api, prompt=prompt).status_code == 400
        assert (used(member), used(member, "money_per_month")) == (0, 0)
        assert post(api).status_code == 200

    def test_pictures_that_failed_are_given_back(self, member: User) -> None:
        run(member, status="partial", pictures_asked=5, pictures_failed=2, finished_at=timezone.now())
        assert used(member) == 3

    def test_a_crash_gives_back_at_its_deadline(self, api: Client, member: User, limit: Any) -> None:
        """Whether somebody has closed it by then or not."""
        limit(pictures_per_day=1, money_per_month=1, generations_at_once=1)
        crashed = run(member, reserved=1)
        assert post(api).status_code == 429
        crashed.deadline_at = timezone.now() - timedelta(seconds=1)
        crashed.save()
        assert [used(member, name) for name in vars(NO_QUOTA)] == [0, 0, 0, 0]
        assert close_overdue() == 1
        assert [used(member, name) for name in vars(NO_QUOTA)] == [0, 0, 0, 0]
        assert post(api).status_code == 200

    def test_more_than_the_quota_in_one_request(self, api: Client, limit: Any) -> None:
        limit(pictures_per_day=2)
        assert post(api, n=3).status_code == 429
        assert post(api, n=2).status_code == 200

    def test_nothing_at_all(self, api: Client, limit: Any) -> None:
        for name in ("pictures_per_day", "pictures_per_month", "money_per_month", "generations_at_once"):
            GroupQuota.objects.all().delete()
            limit(**{name: 0})
            assert post(api).status_code == 429, name

    def test_at_once(self, api: Client, member: User, limit: Any) -> None:
        limit(generations_at_once=2)
        run(member)
        assert post(api, n=3).status_code == 200, "one of them, whatever it makes"
        running = run(member)
        answer = post(api)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
        assert answer.json()["detail"] == (
            "This would exceed your quota of generations at once, which is 2: 2 running. "
            "Please try again when one has ended."
        )
        running.close(Generation.Status.FAILED)
        assert post(api).status_code == 200


class TestMoney:
    def test_the_request_that_would_go_over_does_not_start(
        self, api: Client, member: User, select: Any, limit: Any
    ) -> None:
        select("own", "dicebear", "generate", price="0.04")
        limit(money_per_month=Decimal("0.1"))
        assert post(api, n=2).status_code == 200
        assert used(member, "money_per_month") == Decimal("0.08")
        told = post(api).json()["detail"]
        assert "money per month, which is $0.10: $0.08 used, $0.04 asked for." in told
        assert ImageFile.objects.count() == 2

    def test_exactly_the_limit_fits(self, api: Client, select: Any, limit: Any) -> None:
        """Three times 0.1 is 0.3, in a database that counts in binary too."""
        select("own", "dicebear", "generate", price="0.1")
        limit(money_per_month=Decimal("0.3"))
        assert [post(api, size="64x64").status_code for _ in range(4)] == [200, 200, 200, 429]

    def test_while_it_runs_its_price_is_held(
        self, member: User, server: LiteLLM, limit: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limit(money_per_month=1)
        held = []
        deliver = service.deliver

        def look(*args: Any) -> Any:
            held.append(used(member, "money_per_month"))
            return deliver(*args)

        monkeypatch.setattr(service, "deliver", look)
        generate(Order(user=member, prompt="a", n=3))
        assert held == [Decimal("0.12")]

    def test_afterwards_the_real_cost_counts(self, member: User, server: LiteLLM, limit: Any) -> None:
        EngineConnection.objects.filter(name="up").update(
            default_model="grok-imagine-image", trusted_origins=[server.files.url], price=1
        )
        limit(money_per_month=1)
        generate(Order(user=member, prompt="a"))
        assert used(member, "money_per_month") == Decimal("0.02")

    def test_what_a_failure_cost_counts(self, member: User) -> None:
        run(member, status="failed", cost=Decimal("0.5"), finished_at=timezone.now(), reserved=1)
        assert (used(member), used(member, "money_per_month")) == (0, Decimal("0.5"))

    def test_at_the_limit_nothing_more_starts(self, api: Client, member: User, limit: Any) -> None:
        """An engine without a price may cost something all the same."""
        limit(money_per_month=1)
        run(member, status="succeeded", cost=1, finished_at=timezone.now())
        assert post(api).status_code == 429


class TestResets:
    def test_a_day_ends_at_midnight_utc(self, api: Client, limit: Any, at: Any) -> None:
        limit(pictures_per_day=1)
        at("2026-11-22T00:00:00+00:00")
        assert post(api).status_code == 200
        at("2026-11-22T23:59:58.5+00:00")
        answer = post(api)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
        assert answer.json()["detail"] == (
            "This would exceed your quota of pictures per day, which is 1: 1 used, 1 asked for. "
            "It resets on 2026-11-23 at 00:00 UTC."
        )
        at("2026-11-23T00:00:00+00:00")
        assert post(api).status_code == 200

    @pytest.mark.parametrize(
        ("last", "first"),
        [("2026-12-31", "2027-01-01"), ("2028-02-29", "2028-03-01"), ("2026-11-30", "2026-12-01")],
    )
    def test_a_month_ends_with_its_last_day(
        self, api: Client, limit: Any, at: Any, last: str, first: str
    ) -> None:
        limit(pictures_per_month=1, money_per_month=1)
        at(f"{last[:8]}01T00:00:00+00:00")
        assert post(api).status_code == 200
        at(f"{last}T23:59:59+00:00")
        answer = post(api)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
        assert f"It resets on {first} at 00:00 UTC." in answer.json()["detail"]
        at(f"{first}T00:00:00+00:00")
        assert post(api).status_code == 200

    def test_the_one_that_resets_last_is_told(self, api: Client, member: User, limit: Any, at: Any) -> None:
        limit(pictures_per_day=0, pictures_per_month=0, generations_at_once=0)
        at("2026-11-22T12:00:00+00:00")
        answer = post(api)
        assert "pictures per month" in answer.json()["detail"]
        assert answer.headers["Retry-After"] == str(8 * 86400 + 12 * 3600)

    def test_what_began_before_midnight_is_still_one_at_once(
        self, api: Client, member: User, limit: Any, at: Any
    ) -> None:
        limit(pictures_per_month=1, generations_at_once=1)
        began = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
        running = run(member, created_at=began, deadline_at=began + timedelta(hours=1))
        at("2026-12-01T00:10:00+00:00")
        assert used(member, "pictures_per_month") == 0
        assert "at once" in post(api).json()["detail"]
        running.close(Generation.Status.SUCCEEDED)
        assert post(api).status_code == 200


class TestRefusals:
    def test_family_b(self, api: Client, limit: Any) -> None:
        limit(pictures_per_day=0)
        answer = post(api)
        assert answer.status_code == 429
        assert set(answer.json()) == {"detail", "code"}
        assert answer.json()["code"] == "quota_exceeded"
        assert 0 < int(answer.headers["Retry-After"]) <= 86400

    def test_family_a(self, api: Client, limit: Any) -> None:
        limit(pictures_per_day=0)
        answer = post(api, PORTRAIT)
        assert answer.status_code == 429
        assert answer.json()["error"].startswith("This would exceed your quota of pictures per day")
        assert answer.json()["details"] == "quota_exceeded"
        assert answer.json()["txId"] == answer.headers["X-Trace-Id"]
        assert 0 < int(answer.headers["Retry-After"]) <= 86400

    def test_it_is_written_down_and_counts_nothing(
        self, api: Client, member: User, server: LiteLLM, limit: Any
    ) -> None:
        limit(pictures_per_day=1)
        told = post(api, n=2)
        row = Generation.objects.get()
        assert (row.user, row.prompt, row.pictures_asked) == (member, "a lake", 2)
        assert (row.status, row.error_code, row.error_message) == (
            "failed", "quota_exceeded", told.json()["detail"]
        )  # fmt: skip
        assert row.trace_id == told.headers["X-Trace-Id"]
        assert (row.reserved, row.cost, row.finished_at is not None) == (0, None, True)
        assert [used(member, name) for name in vars(NO_QUOTA)] == [0, 0, 0, 0]
        assert server.requests == [] and not ImageFile.objects.exists()


class TestIdempotency:
    HEADERS = {"idempotency-key": "k"}

    def test_a_repeat_costs_nothing(self, api: Client, member: User, limit: Any) -> None:
        limit(pictures_per_day=1)
        first, again = (post(api, headers=self.HEADERS) for _ in range(2))
        assert first.status_code == again.status_code == 200
        assert first.json() == again.json()
        assert used(member) == 1

    def test_a_refusal_is_not_repeated_once_there_is_room(self, api: Client, limit: Any) -> None:
        limit(pictures_per_day=0)
        assert post(api, headers=self.HEADERS).status_code == 429
        limit(pictures_per_day=1)
        assert post(api, headers=self.HEADERS).status_code == 200

    def test_the_second_of_two_at_once_is_no_refusal(
        self, member: User, limit: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first took the last picture after the second had looked for it."""
        limit(pictures_per_day=1)
        run(member, idempotency_key="k", fingerprint="f")
        look, looked = service._earlier, []

        def too_early(order: Order) -> Any:
            looked.append(order)
            return None if len(looked) == 1 else look(order)

        monkeypatch.setattr(service, "_earlier", too_early)
        with pytest.raises(StillRunning):
            generate(Order(user=member, prompt="a", idempotency_key="k", fingerprint="f"))
        assert Generation.objects.count() == 1


class TestQueries:
    """Without any quota: none, see tests/imagegen/api/test_generations.py."""

    def test_a_member_without_one(self, api: Client, django_assert_num_queries: Any) -> None:
        """8, and the look for one of the user's."""
        GroupQuota.objects.create(group=Group.objects.create(name="strangers"), pictures_per_day=1)
        with django_assert_num_queries(9):
            assert post(api).status_code == 200

    def test_a_member_with_one(self, api: Client, limit: Any, django_assert_num_queries: Any) -> None:
        """8; the user's quota; the lock; the count; and a transaction around that."""
        limit(pictures_per_day=10, pictures_per_month=10, money_per_month=10, generations_at_once=10)
        with django_assert_num_queries(13):
            assert post(api).status_code == 200


def test_counting_reads_an_index_and_not_the_refusals(member: User) -> None:
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")  # there is hardly a row
    plan = Generation.objects.filter(user=member, created_at__gte=timezone.now())
    assert "generation_counted" in plan.exclude(error_code="quota_exceeded").order_by().explain()


def test_a_refusal_says_so_to_whoever_calls_the_service(member: User, limit: Any) -> None:
    limit(pictures_per_day=0)
    with pytest.raises(QuotaExceeded) as refused:
        generate(Order(user=member, prompt="a"))
    assert refused.value.retry_after
