"""What the address asks for, as a question to the list.

Whoever may not see others' pictures is asked for no person and no group. Connections are offered to those who
may look at them, and to those who may make pictures the ones that they may use.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db.models import Q, QuerySet, TextField, Value
from django.db.models.functions import Concat
from django.db.models.lookups import IContains
from django.http import HttpRequest

from imagegen.access.permissions import IMAGE_GENERATION
from imagegen.admin.gallery.pages import Place, Question
from imagegen.engines import ENGINES
from imagegen.engines.errors import CODES
from imagegen.generation import INTERNAL_ERROR, NOT_STORED
from imagegen.models import EngineConnection, Generation, ImageFile
from imagegen.models.connection import ConnectionQuerySet
from imagegen.models.file import VIEW_OTHERS
from imagegen.models.generation import QUOTA_EXCEEDED
from imagegen.overdue import CUT_OFF

SHORTEST_INDEXED = 3
"""Letters in a row without which the index of prompts leads nowhere."""
MOST_MEMBERS = 1000
"""Of a group that are named to the database one by one: it knows how much each has made."""
SUGGESTED = 10
"""People whose names begin as the one that was asked for."""
OTHERS = ("person", "group")
VIEW_CONNECTIONS = ("imagegen.view_engineconnection", "imagegen.change_engineconnection")
FIRST = {"prompt", "person", "status"}
"""Those that are always to be seen."""
Choices = list[tuple[str, str]]


class Text(forms.TextInput):
    def __init__(self, **attributes: str) -> None:
        super().__init__({"class": "easel-input", "autocomplete": "off", **attributes})


class Day(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__({"class": "easel-input"}, format="%Y-%m-%d")


class OneOf(forms.CharField):
    """A choice that may have gone since: history keeps names."""

    def __init__(self, everything: str, *, max_length: int, label: str | None = None) -> None:
        super().__init__(
            max_length=max_length, required=False, label=label, widget=forms.Select({"class": "easel-input"})
        )
        self.everything = everything

    def offer(self, choices: Iterable[tuple[str, str]], chosen: str) -> None:
        offered = dict(choices)
        if chosen:
            offered.setdefault(chosen, chosen)
        assert isinstance(self.widget, forms.Select)  # noqa: S101
        self.widget.choices = [("", self.everything), *offered.items()]


class Filters(forms.Form):
    """Of both lists. `request` says who asks."""

    prompt = forms.CharField(max_length=200, required=False, label="Prompt contains", widget=Text())
    person = forms.CharField(
        max_length=150,
        required=False,
        label="Person",
        widget=Text(placeholder="User name", spellcheck="false"),
    )
    group = OneOf("All groups", max_length=150)
    connection = OneOf("All connections", max_length=50)
    engine = OneOf("All engines", max_length=30)
    chat = forms.CharField(max_length=255, required=False, label="Chat", widget=Text(placeholder="Id"))
    since = forms.DateField(required=False, label="From", widget=Day())
    until = forms.DateField(required=False, label="Until", widget=Day())
    trace = forms.CharField(
        max_length=32,
        required=False,
        label="Trace id",
        widget=Text(placeholder="32 hex digits", spellcheck="false"),
        validators=[RegexValidator(r"^[0-9a-f]{32}\Z", "A trace id has 32 digits, 0-9 and a-f.")],
    )
    before = forms.CharField(max_length=60, required=False, widget=forms.HiddenInput)
    after = forms.CharField(max_length=60, required=False, widget=forms.HiddenInput)

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request.GET)
        assert isinstance(request.user, User)  # noqa: S101 - the admin lets in nobody else
        self.user = request.user
        self.sees_others = request.user.has_perm(VIEW_OTHERS)
        self.suggestions: list[str] = []
        if not self.sees_others:
            for name in OTHERS:
                del self.fields[name]
        for name, choices in self.offered().items():
            field = self.fields[name]
            assert isinstance(field, OneOf)  # noqa: S101
            field.offer(choices, self.data.get(name, "").replace("\0", ""))

    def offered(self) -> dict[str, Iterable[tuple[str, str]]]:
        names = self.connections().order_by("name").values_list("name", flat=True)
        offered: dict[str, Iterable[tuple[str, str]]] = {
            "connection": [(name, name) for name in names],
            "engine": [(name, engine.label) for name, engine in ENGINES.items()],
        }
        if self.sees_others:
            groups = Group.objects.order_by("name").values_list("name", flat=True)
            offered["group"] = [(name, name) for name in groups]
        return offered

    def connections(self) -> ConnectionQuerySet:
        if any(map(self.user.has_perm, VIEW_CONNECTIONS)):
            return EngineConnection.objects.all()
        if self.user.has_perm(IMAGE_GENERATION):
            return EngineConnection.objects.usable_by(self.user)
        return EngineConnection.objects.none()

    @property
    def filters(self) -> dict[str, str]:
        """As they stand in the address, without the place in the list."""
        named = [name for name in self.fields if name not in ("before", "after")]
        return {name: self.data[name] for name in named if self.data.get(name)}

    @property
    def first_fields(self) -> list[forms.BoundField]:
        return [field for field in self.visible_fields() if field.name in FIRST]

    @property
    def more_fields(self) -> list[forms.BoundField]:
        return [field for field in self.visible_fields() if field.name not in FIRST]

    @property
    def uses_more(self) -> bool:
        return bool(self.filters.keys() - FIRST)

    def clean_person(self) -> Any:
        name = self.cleaned_data["person"]
        person = User.objects.filter(username=name).first() if name else None
        if name and person is None:
            alike = User.objects.filter(username__istartswith=name).order_by("username")
            self.suggestions = list(alike.values_list("username", flat=True)[:SUGGESTED])
            raise ValidationError(f"There is nobody of the name “{name}”.")
        return person

    def clean_before(self) -> Place | None:
        return _place(self.cleaned_data["before"])

    def clean_after(self) -> Place | None:
        return _place(self.cleaned_data["after"])

    def clean(self) -> Any:
        cleaned = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and since > until:
            self.add_error("until", "This is before the first day.")
        return cleaned

    @property
    def members(self) -> Any:
        """Of the group that is asked for: keys, or a query where there are very many."""
        group = User.objects.filter(groups__name=self.cleaned_data["group"]).values_list("pk", flat=True)
        keys = list(group[: MOST_MEMBERS + 1])
        return keys if len(keys) <= MOST_MEMBERS else group

    @property
    def days(self) -> Q:
        since, until = self.cleaned_data["since"], self.cleaned_data["until"]
        within = Q()
        if since:
            within &= Q(created_at__gte=_midnight(since))
        if until and until < date.max:
            within &= Q(created_at__lt=_midnight(until + timedelta(days=1)))
        return within

    @property
    def is_indexed_search(self) -> bool:
        """Or none at all. The index knows letters and digits, three in a row."""
        words = "".join(letter if letter.isalnum() else " " for letter in self.cleaned_data["prompt"]).split()
        return not self.cleaned_data["prompt"] or any(len(word) >= SHORTEST_INDEXED for word in words)

    def ask(self, rows: QuerySet[Any], leads: Iterable[Q], rest: Iterable[Q], prompt: str) -> Question:
        """The first of the leads leads; the others must hold as well. One's own rows are led to already.

        `prompt` is the field to search in. Its index is not asked within a stretch: where it takes long, or
        has nothing to go by, it would be read as a whole all the same.
        """
        given = [lead for lead in leads if lead]
        first, *others = (given or [Q()]) if self.sees_others else [Q(), *given]
        held = Q()
        for condition in (*others, *rest):
            held &= condition
        searched = read = Q()
        if text := self.cleaned_data["prompt"]:
            searched = Q(**{f"{prompt}__icontains": text})
            read = Q(IContains(Concat(prompt, Value("", TextField())), text))
        return Question(rows, first & self.days, held & searched, held & read, self.is_indexed_search)


class GenerationFilters(Filters):
    status = OneOf("Any status", max_length=10)
    error_code = OneOf("Any error", max_length=40, label="Error")
    field_order = [
        "prompt", "person", "group", "connection", "engine", "status", "error_code", "since", "until", "chat",
        "trace",
    ]  # fmt: skip

    def offered(self) -> dict[str, Iterable[tuple[str, str]]]:
        codes = (QUOTA_EXCEEDED, *CODES, NOT_STORED, CUT_OFF, INTERNAL_ERROR)
        return {
            **super().offered(),
            "status": Generation.Status.choices,
            "error_code": [(code, words(code)) for code in codes],
        }

    def question(self) -> Question:
        asked = self.cleaned_data
        most = asked["status"] == Generation.Status.SUCCEEDED
        status = Q(status=asked["status"]) if most else _if_other(status=asked["status"], than="succeeded")
        leads = [
            _if_other(trace_id=asked["trace"]),
            _if_other(chat_id=asked["chat"]),
            _if(user=asked.get("person")),
            _if_other(error_code=asked["error_code"]),
            Q() if most else status,
            _if(connection_name=asked["connection"]),
            _if(engine=asked["engine"]),
        ]
        rest = [status if most else Q()]
        if asked.get("group"):
            rest.append(Q(user__in=self.members))
        return self.ask(Generation.objects.visible_to(self.user), leads, rest, "prompt")


class FileFilters(Filters):
    @staticmethod
    def traced(trace: str) -> Q:
        of_it = Generation.objects.filter(_if_other(trace_id=trace))
        return Q(generation__in=of_it) if trace else Q()

    field_order = ["prompt", "person", "group", "connection", "engine", "since", "until", "chat", "trace"]

    def question(self) -> Question:
        asked = self.cleaned_data
        leads = [
            self.traced(asked["trace"]),
            _if_other(chat_id=asked["chat"]),
            _if(owner=asked.get("person")),
        ]
        rest = [
            _if(generation__connection_name=asked["connection"]),
            _if(generation__engine=asked["engine"]),
        ]
        if asked.get("group"):
            rest.append(Q(owner__in=self.members))
        return self.ask(ImageFile.objects.visible_to(self.user), leads, rest, "generation__prompt")


def words(code: str) -> str:
    """`engine_timeout` as people say it."""
    return code.replace("_", " ").capitalize()


def _if(**lookup: Any) -> Q:
    """Nothing, where nothing is asked for."""
    (value,) = lookup.values()
    return Q() if value in (None, "") else Q(**lookup)


def _if_other(than: str = "", **lookup: str) -> Q:
    """The same in the words of an index that leaves out `than`: SQLite does not see that they follow."""
    (name,) = lookup
    return _if(**lookup) and Q(**lookup) & ~Q(**{name: than})


def _place(text: str) -> Place | None:
    try:
        return Place.parse(text) if text else None
    except ValueError:
        raise ValidationError("This is no place in the list.") from None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
