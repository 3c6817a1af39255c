"""The form of Settings, Images: only connections that can do what they are chosen for."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget

from imagegen.admin.records import OvertakenForm
from imagegen.configuration.choices import POLISH, obstacle
from imagegen.models import EngineConnection, ImageSettings
from imagegen.models.settings import OPERATIONS, Fallback

PLACES = 4
"""Places in the order of failover that are offered, one more than are taken at least."""


WORDS = {
    "generation_enabled": (
        "Making pictures",
        "Off: every request for pictures is refused, portraits included.",
    ),
    "edit_enabled": ("Editing pictures", "Off: requests to edit are refused."),
    "prompt_enabled": (
        "Clients may write prompts",
        "Told to clients such as Open WebUI, which offer it or not. Easel refuses nothing by it.",
    ),
    "default_size": (
        "Size",
        "WIDTHxHEIGHT, or auto. Used where a request asks for none.",
    ),
    "default_edit_size": ("Size of edits", "WIDTHxHEIGHT. Empty: as the engine chooses."),
    "default_steps": ("Steps", "1 to 150. Engines without steps ignore them."),
    "max_pictures": ("Pictures per request", "What one request may ask for at most."),
    "retention_days": ("Days to keep pictures", "0: for ever. A group's own retention comes first."),
    "delete_pictures_with_user": (
        "Delete pictures with their user",
        "On: pictures and prompts go with the user. Off: both stay, without an owner.",
    ),
    "keep_native": (
        "Keep the native size",
        "Store what the engine made, whatever size was asked for. Never portraits.",
    ),
    "write_provenance": (
        "Note that an AI made it",
        "Written into PNG and JPEG files, with engine, model and generation. Never the prompt.",
    ),
}
"""Field -> what it is called here, and what it does."""


class ConnectionChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A connection that can do `operations`, one of them at least; and the one chosen now in any case."""

    def __init__(self, *operations: str, **kwargs: Any) -> None:
        super().__init__(
            EngineConnection.objects.none(), required=False, widget=UnfoldAdminSelectWidget(), **kwargs
        )
        self.operations = operations

    def offer(self, connections: Iterable[EngineConnection], chosen: int | None) -> None:
        offered = [c.pk for c in connections if c.pk == chosen or not self._obstacle(c)]
        self.queryset = EngineConnection.objects.filter(pk__in=offered)

    def label_from_instance(self, obj: Any) -> str:
        model = obj.default_model
        name = f"{obj} · {obj.get_engine_display()}{f' · {model}' if model else ''}"
        reason = self._obstacle(obj)
        return f"{name} (does not work now: {reason})" if reason else name

    def _obstacle(self, connection: EngineConnection) -> str:
        reasons = [obstacle(connection, operation) for operation in self.operations]
        return "" if "" in reasons else reasons[0]


class SettingsForm(OvertakenForm):
    generate_connection = ConnectionChoice(
        "generate",
        label="Makes pictures",
        empty_label="Nobody: requests are refused",
        help_text="Asked when a request names no model of another connection.",
    )
    edit_connection = ConnectionChoice(
        "edit",
        label="Edits pictures",
        empty_label="Nobody: requests are refused",
        help_text="Only connections whose default model can edit are offered.",
    )
    portrait_connection = ConnectionChoice(
        "portrait",
        label="Makes portraits",
        empty_label="The one that makes pictures",
        help_text="Portraits are always 512x512.",
    )
    polish_connection = ConnectionChoice(
        POLISH,
        label="Polishes portrait prompts",
        empty_label="Nobody: prompts stay as they are built",
        help_text="One whose default model is a chat model. When it fails, the built prompt is used.",
    )

    class Meta:
        model = ImageSettings
        fields = "__all__"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, (label, help) in WORDS.items():
            if name in self.fields:
                self.fields[name].label, self.fields[name].help_text = label, help
        connections = list(EngineConnection.objects.all())
        for operation in OPERATIONS:
            name = f"{operation}_connection"
            if name in self.fields:
                self.fields[name].offer(connections, self.initial.get(name))  # type: ignore[attr-defined]
        for number in range(1, places(self.instance) + 1):
            name = place(number)
            chosen = self._order[number - 1] if number <= len(self._order) else None
            field = ConnectionChoice("generate", "edit", label=_ordinal(number), empty_label="Nobody")
            field.offer(connections, chosen)
            self.fields[name], self.initial[name] = field, chosen

    @cached_property
    def _order(self) -> list[int]:
        return _order_of(self.instance)

    def clean(self) -> Any:
        cleaned = super().clean()
        taken: set[EngineConnection] = set()
        for number in range(1, places(self.instance) + 1):
            connection = self.cleaned_data.get(place(number))
            if connection in taken:
                self.add_error(place(number), f"{connection} has an earlier place already.")
            elif connection:
                taken.add(connection)
        return cleaned

    def save_order(self) -> None:
        """Write the order of failover, where it has changed; gaps close."""
        names = [place(number) for number in range(1, places(self.instance) + 1)]
        if not set(names) & set(self.changed_data):
            return
        chosen = [connection for name in names if (connection := self.cleaned_data.get(name))]
        Fallback.objects.filter(settings=self.instance).delete()
        Fallback.objects.bulk_create(
            Fallback(settings=self.instance, connection=connection, position=position)
            for position, connection in enumerate(chosen, start=1)
        )


def place(number: int) -> str:
    return f"fallback_{number}"


def places(settings: ImageSettings) -> int:
    return max(PLACES, len(_order_of(settings)) + 1)


def _order_of(settings: ImageSettings) -> list[int]:
    return list(Fallback.objects.filter(settings=settings.pk).values_list("connection_id", flat=True))


def _ordinal(number: int) -> str:
    words = ("First", "Second", "Third", "Fourth", "Fifth")
    return f"{words[number - 1]} stand-in" if number <= len(words) else f"Stand-in {number}"
