import datetime
from typing import ClassVar

import pytest
from django.contrib.auth.models import AnonymousUser, Group
from django.utils import timezone

from imagegen import routing
from imagegen.engines import ENGINES
from imagegen.engines.base import EDIT, GENERATE, Capabilities, Engine, Model
from imagegen.engines.errors import EngineUnavailable, PromptRejected
from imagegen.engines.spool import Answer
from imagegen.errors import Disabled, InvalidRequest, NotAllowed
from imagegen.models import EngineConnection, ImageSettings
from imagegen.models.settings import Fallback


class Listing(Engine):
    """An engine that only lists models. Those named `edit-…` also edit."""

    name, label, default_base_url = "listing", "Listing", "http://listing.example"
    default_model = "default-model"
    live: ClassVar[dict[str, list[str]]] = {}
    down: ClassVar[set[str]] = set()
    asked: ClassVar[list[str]] = []

    def capabilities(self, model):
        return Capabilities(frozenset({GENERATE, EDIT} if model.startswith("edit-") else {GENERATE}))

    def _models(self):
        self.asked.append(self.config.name)
        if self.config.name in self.down:
            raise EngineUnavailable(detail="down")
        live = self.live.get(self.config.name)
        return super()._models() if live is None else [Model(id, f"Name of {id}") for id in live]

    def _generate(self, request, call):
        return Answer()

    def _parse(self, answer):
        return []

    def _check(self):
        return "ok"


@pytest.fixture(autouse=True)
def engine(monkeypatch):
    monkeypatch.setitem(ENGINES, "listing", Listing)
    for name, value in (("live", {}), ("down", set()), ("asked", [])):
        monkeypatch.setattr(Listing, name, value)
    return Listing


@pytest.fixture
def add(select):
    def add(name, *operations, **fields):
        return select(name, "listing", *operations, **fields)

    return add


def choose(user, operation="generate", model=""):
    routes = routing.choose(ImageSettings.objects.current(), user, operation, model)
    return [(route.connection.name, route.model) for route in routes]


def offered(user, operation="generate"):
    items = routing.offered_to(ImageSettings.objects.current(), user, operation)
    return [f"{item.connection}/{item.id}" for item in items]


# Without a model


def test_the_selected_connection_and_its_default_model(add, member):
    add("other", default_model="x")
    add("chosen", "generate", default_model="mine")
    assert choose(member) == [("chosen", "mine")]


def test_the_engines_own_default_model(add, member):
    add("chosen", "generate")
    assert choose(member) == [("chosen", "default-model")]


def test_portraits_fall_back_to_what_generates(add, member):
    ImageSettings.objects.filter(pk=1).update(portrait_connection=None)
    add("chosen", "generate")
    assert choose(member, "portrait") == [("chosen", "default-model")]
    add("portraits", "portrait")
    assert choose(member, "portrait") == [("portraits", "default-model")]


def test_nothing_selected_for_editing(add, member):
    add("chosen", "generate")
    with pytest.raises(Disabled, match="ask an administrator to choose one"):
        choose(member, "edit")


def test_a_selected_connection_that_is_switched_off(add, member):
    add("other")
    add("chosen", "generate", enabled=False)
    with pytest.raises(Disabled, match="switched off"):
        choose(member)


def test_a_selected_connection_for_other_groups(add, member, superuser):
    add("chosen", "generate").allowed_groups.add(Group.objects.create(name="staff"))
    with pytest.raises(NotAllowed):
        choose(member)
    assert choose(superuser) == [("chosen", "default-model")]


# Who may use what


def test_a_connection_with_groups_is_for_their_members(add, member, other, creators):
    add("all", default_model="a")
    limited = add("limited", default_model="b")
    vip, more = (Group.objects.create(name=name) for name in ("vip", "more"))
    limited.allowed_groups.add(vip, more)
    assert "limited/b" not in offered(member)
    member.groups.add(vip)
    assert "limited/b" in offered(member)
    assert "limited/b" not in offered(other)
    assert "limited/b" not in offered(AnonymousUser())


def test_several_common_groups_list_a_connection_once(add, member):
    limited = add("limited", default_model="b")
    for name in ("vip", "more"):
        group = Group.objects.create(name=name)
        limited.allowed_groups.add(group)
        member.groups.add(group)
    assert list(EngineConnection.objects.usable_by(member).filter(name="limited")) == [limited]
    assert offered(member).count("limited/b") == 1


def test_what_is_switched_off_is_not_offered(add, member, superuser):
    add("off", enabled=False, default_model="x")
    for user in (member, superuser):
        assert "off/x" not in offered(user)
        with pytest.raises(InvalidRequest):
            choose(user, model="x")


# With a model


def test_a_model_of_the_selected_connection_comes_first(add, member, engine):
    engine.live |= {"first": ["shared"], "chosen": ["shared"]}
    add("first")
    add("chosen", "generate")
    assert choose(member, model="shared") == [("chosen", "shared")]


def test_a_model_of_another_connection(add, member, engine):
    engine.live |= {"second": ["only-there"]}
    add("chosen", "generate")
    add("second")
    assert choose(member, model="only-there") == [("second", "only-there")]


def test_what_staff_entered_is_found_without_asking(add, member, engine):
    add("chosen", "generate")
    add("second", listed_models=["entered"])
    assert choose(member, model="entered") == [("second", "entered")]
    assert engine.asked == []


def test_a_connection_and_a_model(add, member, engine):
    engine.live |= {"first": ["shared"], "second": ["shared", "vendor/shared"]}
    add("first", "generate")
    add("second")
    assert choose(member, model="second/shared") == [("second", "shared")]
    assert choose(member, model="second/vendor/shared") == [("second", "vendor/shared")]


def test_a_model_with_a_slash_that_begins_like_a_connection(add, member, engine):
    """A proxy lists `openai/gpt-image-1`, and there is a connection called openai."""
    engine.live |= {"proxy": ["openai/gpt-image-1"], "openai": ["dall-e"]}
    add("openai", "generate")
    add("proxy")
    assert "proxy/openai/gpt-image-1" in offered(member)
    assert choose(member, model="openai/gpt-image-1") == [("proxy", "openai/gpt-image-1")]


def test_an_unknown_model_names_what_there_is_for_the_caller_alone(add, member, superuser, engine):
    engine.live |= {"chosen": ["one", "two"], "secret": ["three"]}
    add("chosen", "generate", default_model="one")
    add("secret", default_model="three").allowed_groups.add(Group.objects.create(name="vip"))
    with pytest.raises(InvalidRequest) as refused:
        choose(member, model="four")
    assert refused.value.field == "model"
    assert refused.value.message.startswith("Unknown model 'four'. Available to you: one, two")
    assert "three" not in refused.value.message
    for wanted in ("three", "secret/three"):
        with pytest.raises(InvalidRequest):
            choose(member, model=wanted)
        assert choose(superuser, model=wanted) == [("secret", "three")]


@pytest.mark.parametrize("model", ["/", "chosen/", "/one", "chosen", "x" * 10_000, "a\nb"])
def test_nonsense_is_unknown(add, member, model, engine):
    engine.live |= {"chosen": ["one"]}
    add("chosen", "generate", default_model="one")
    with pytest.raises(InvalidRequest) as refused:
        choose(member, model=model)
    assert len(refused.value.message) < 1000 and "\n" not in refused.value.message


def test_for_editing_an_unknown_model_names_what_edits(add, member, engine):
    engine.live |= {"chosen": ["one", "edit-two"]}
    add("chosen", "generate", "edit", default_model="one")
    with pytest.raises(InvalidRequest) as refused:
        choose(member, "edit", model="four")
    assert refused.value.message.endswith("Available to you: edit-two.")


# The list


def test_only_what_can_do_the_operation(add, member, engine):
    engine.live |= {"chosen": ["one", "edit-two"]}
    add("chosen", "generate", "edit", default_model="one")
    assert offered(member, "edit") == ["chosen/edit-two"]
    assert offered(member)[:2] == ["chosen/one", "chosen/edit-two"]
    assert sorted(offered(member, "portrait")) == sorted(offered(member))


def test_the_selected_connection_is_listed_first(add, member):
    add("aaa", default_model="x")
    add("zzz", "generate", default_model="y")
    assert offered(member)[0] == "zzz/y"


def test_the_configured_model_is_always_listed(add, member, engine):
    engine.live |= {"chosen": ["one"]}
    add("chosen", "generate", default_model="unlisted-alias")
    assert offered(member)[:2] == ["chosen/unlisted-alias", "chosen/one"]


def test_names_come_from_the_engine(add, member, engine):
    engine.live |= {"chosen": ["one"]}
    add("chosen", "generate", default_model="one")
    item = routing.offered_to(ImageSettings.objects.current(), member, "generate")[0]
    assert (item.id, item.name, item.connection, item.engine) == (
        "one",
        "Name of one",
        "chosen",
        "listing",
    )


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests move."""

    class Clock:
        now = 1_000_000.0

        def time(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(routing, "time", clock)
    return clock


def test_an_engine_is_asked_once_a_minute(add, member, engine, clock):
    engine.live |= {"chosen": ["one"]}
    add("chosen", "generate", default_model="one")
    for _ in range(3):
        offered(member)
    assert engine.asked == ["chosen"]
    clock.now += 61
    engine.live["chosen"] = ["one", "two"]
    assert "chosen/two" in offered(member)
    assert engine.asked == ["chosen", "chosen"]


def test_a_changed_connection_is_asked_anew(add, member, engine, clock):
    add("chosen", "generate").save()
    offered(member)
    EngineConnection.objects.get(name="chosen").save()
    offered(member)
    assert engine.asked == ["chosen", "chosen"]


def test_while_it_is_down_what_it_said_last(add, member, engine, clock):
    engine.live |= {"chosen": ["one", "two"]}
    add("chosen", "generate", default_model="one")
    before = offered(member)
    engine.down.add("chosen")
    clock.now += 3600
    assert offered(member) == before
    assert offered(member) == before
    assert engine.asked == ["chosen", "chosen"]  # and not again at every request


def test_down_from_the_start_what_staff_entered(add, member, engine):
    engine.down.add("chosen")
    add("chosen", "generate", default_model="one", listed_models=["two"])
    assert offered(member)[:2] == ["chosen/one", "chosen/two"]


# Failover


def fall_back_to(*connections):
    for position, connection in enumerate(connections):
        Fallback.objects.create(settings_id=1, connection=connection, position=position)


def test_the_order_of_failover(add, member):
    third, second = add("a-third"), add("b-second")
    add("c-not-in-the-order")
    add("chosen", "generate")
    fall_back_to(second, third)
    assert [name for name, _ in choose(member)] == ["chosen", "b-second", "a-third"]


def test_a_connection_the_caller_may_not_use_is_no_fallback(add, member):
    limited = add("limited")
    limited.allowed_groups.add(Group.objects.create(name="vip"))
    add("chosen", "generate")
    fall_back_to(limited)
    assert [name for name, _ in choose(member)] == ["chosen"]


def test_a_model_fails_over_only_to_where_it_is(add, member):
    has, lacks = add("has", listed_models=["shared"]), add("lacks")
    add("chosen", "generate", listed_models=["shared"])
    fall_back_to(lacks, has)
    assert choose(member, model="shared") == [("chosen", "shared"), ("has", "shared")]
    assert choose(member, model="chosen/shared") == [("chosen", "shared")]


def test_a_connection_rests_after_failures_in_a_row(add, member):
    spare = add("spare")
    chosen = add("chosen", "generate")
    fall_back_to(spare)
    for _ in range(routing.FAILURES_BEFORE_REST):
        assert [name for name, _ in choose(member)] == ["chosen", "spare"]
        chosen.refresh_from_db()
        routing.note_outcome(chosen, [EngineUnavailable()])
    assert [name for name, _ in choose(member)] == ["spare", "chosen"]
    EngineConnection.objects.update(rests_until=timezone.now() - datetime.timedelta(seconds=1))
    assert [name for name, _ in choose(member)] == ["chosen", "spare"]


def test_one_that_began_before_the_failures_and_fails_too_ends_no_rest(add):
    chosen = add("chosen")
    for _ in range(routing.FAILURES_BEFORE_REST + 1):
        routing.note_outcome(chosen, [EngineUnavailable()])  # each has read the row before any failed
    chosen.refresh_from_db()
    assert chosen.is_resting


@pytest.mark.parametrize("outcome", [None, PromptRejected()])
def test_an_answer_ends_the_count(add, outcome):
    chosen = add("chosen", "generate")
    routing.note_outcome(chosen, [EngineUnavailable()])
    chosen.refresh_from_db()
    assert chosen.failures == 1
    routing.note_outcome(chosen, [outcome])
    chosen.refresh_from_db()
    assert chosen.failures == 0


def test_saving_a_connection_ends_its_rest(add):
    chosen = add("chosen", "generate")
    EngineConnection.objects.update(failures=9, rests_until=timezone.now() + datetime.timedelta(hours=1))
    chosen.refresh_from_db()
    assert chosen.is_resting
    chosen.save()
    chosen.refresh_from_db()
    assert (chosen.failures, chosen.is_resting) == (0, False)


def test_a_choice_costs_two_queries(add, member, django_assert_num_queries):
    fall_back_to(add("spare"))
    add("chosen", "generate")
    with django_assert_num_queries(2):
        choose(member)
