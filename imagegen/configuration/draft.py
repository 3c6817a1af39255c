"""What an update would make of the rows behind the keys, checked before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

from django.core.exceptions import ValidationError as InvalidFields
from rest_framework.exceptions import ValidationError

from imagegen.configuration.attributes import EngineName, Text
from imagegen.configuration.keys import (
    EDIT_NODES,
    EDIT_WORKFLOW,
    EDITS,
    KEYS,
    MAKES,
    NODES,
    WORKFLOW,
    Group,
    Place,
    Selected,
    group_of,
)
from imagegen.engines.comfyui import check_nodes
from imagegen.models import EngineConnection, ImageSettings

Row = ImageSettings | EngineConnection


@dataclass(frozen=True)
class Change:
    key: str
    row: Row
    attribute: Text
    value: Any


class Draft:
    """The rows in memory. A group of keys keeps to the connection that it addressed at first, because
    that is the one whose values the client has seen, whatever engine the same update selects."""

    def __init__(self, settings: ImageSettings, connections: Iterable[EngineConnection]) -> None:
        self.settings = settings
        self._named = {connection.name: connection for connection in connections}
        by_id = {connection.pk: connection for connection in self._named.values()}
        for field in (MAKES, EDITS):
            setattr(settings, field, by_id.get(getattr(settings, f"{field}_id")))
        self._selected_at_first = {field: getattr(settings, field) for field in (MAKES, EDITS)}
        self._addressed: dict[Group, EngineConnection] = {}
        self.changes: list[Change] = []
        self._errors: dict[str, list[str]] = {}

    def show(self) -> dict[str, Any]:
        """Every key with its value."""
        places = ((key, self._row(place), attribute) for key, (place, attribute) in KEYS.items())
        return {key: "" if row is None else attribute.show(row) for key, row, attribute in places}

    def take(self, values: Mapping[str, Any]) -> None:
        """Apply values of the right types. Raises ValidationError with every fault under its key."""
        given = [key for key in KEYS if key in values]
        for key in sorted(given, key=lambda key: not isinstance(KEYS[key][1], EngineName)):
            try:
                self._plan(key, values[key])
            except ValueError as error:
                self._blame(key, [str(error)])
        if not self._errors:
            for change in self.changes:
                if not isinstance(change.attribute, EngineName):
                    change.attribute.store(change.row, change.value)
            self._check()
        if self._errors:
            raise ValidationError(self._errors)

    def save(self) -> None:
        """Write what has changed, inside the caller's transaction."""
        for connection in self._connections():
            connection.save()
        if self._changes_of(self.settings):
            self.settings.save()

    def _row(self, place: Place) -> Row | None:
        match place:
            case Group():
                return self._address(place)
            case Selected():
                selected: EngineConnection | None = getattr(self.settings, place.field)
                return selected
        return self.settings

    def _address(self, group: Group) -> EngineConnection:
        """The group's connection; one that does not exist yet is saved only if it is changed."""
        if group not in self._addressed:
            known = (self._selected_at_first[group.field], self._named.get(group.name))
            fitting = [connection for connection in known if connection and connection.engine == group.engine]
            new = EngineConnection(name=group.name, engine=group.engine)
            self._addressed[group] = fitting[0] if fitting else new
        return self._addressed[group]

    def _plan(self, key: str, value: Any) -> None:
        """Note a change, if it is one; select an engine at once. Raises ValueError."""
        place, attribute = KEYS[key]
        row = self._row(place)
        if row is None:
            if value:
                raise ValueError("No engine is selected that could have this.")
            return
        if attribute.keeps(row, value):
            return
        attribute.check(value)
        for other in self._changes_of(row):
            if other.attribute == attribute and other.value != value:
                raise ValueError(f"This is the same setting as {other.key}: send one value for both.")
        self.changes.append(Change(key, row, attribute, value))
        if isinstance(attribute, EngineName):
            selected = self._address(group_of(value, attribute.field)) if value else None
            attribute.store(row, selected)

    def _check(self) -> None:
        for connection in self._connections():
            if connection.pk is None and connection.name in self._named:
                text = f"There is a connection {connection.name!r} with another engine. Rename that first."
                self._blame(self._key_of(connection, "name"), [text])
            self._check_fields(connection)
            self._check_nodes(connection)
        self._check_fields(self.settings)
        for field in (MAKES, EDITS):
            self._check_selected(field)

    def _check_fields(self, row: Row) -> None:
        """Only what is new: a client cannot mend what it cannot name."""
        fields = {field.name for field in row._meta.fields}
        changed = {change.attribute.field for change in self._changes_of(row)}
        with self._blaming(row):
            row.clean_fields(exclude=None if row.pk is None else fields - changed)

    def _check_nodes(self, connection: EngineConnection) -> None:
        changed = {change.attribute for change in self._changes_of(connection)}
        for graph, nodes in ((WORKFLOW, NODES), (EDIT_WORKFLOW, EDIT_NODES)):
            workflow = graph.load(connection)
            if nodes in changed or (graph in changed and workflow):
                try:
                    check_nodes(workflow, nodes.load(connection))
                except ValueError as error:
                    self._blame(self._key_of(connection, nodes.field), [str(error)])

    def _check_selected(self, field: str) -> None:
        """A connection that is selected must be able to serve."""
        connection: EngineConnection | None = getattr(self.settings, field)
        if connection is None:
            return
        newly = connection is not self._selected_at_first[field]
        if newly and not connection.enabled:
            text = f"The connection {connection.name!r} is switched off. Switch it on first."
            self._blame(self._key_of(self.settings, field), [text])
        if newly or self._changes_of(connection):
            with self._blaming(connection):
                connection.clean()

    def _connections(self) -> list[EngineConnection]:
        """Those to be written: the changed ones, and new ones that are selected."""
        changed = [change.row for change in self.changes if isinstance(change.row, EngineConnection)]
        selected = [getattr(self.settings, field) for field in (MAKES, EDITS)]
        created = [connection for connection in selected if connection and connection.pk is None]
        return list({id(connection): connection for connection in (*changed, *created)}.values())

    def _changes_of(self, row: Row) -> list[Change]:
        return [change for change in self.changes if change.row is row]

    @contextmanager
    def _blaming(self, row: Row) -> Iterator[None]:
        try:
            yield
        except InvalidFields as error:
            for field, messages in error.message_dict.items():
                self._blame(self._key_of(row, field), messages)

    def _blame(self, key: str, messages: list[str]) -> None:
        known = self._errors.setdefault(key, [])
        known += [message for message in messages if message not in known]

    def _key_of(self, row: Row, field: str) -> str:
        """The key under which a client can mend a field of a row: one that it has sent, if possible."""
        sent = self._changes_of(row)
        return next(
            chain(
                (change.key for change in sent if change.attribute.field == field),
                (key for key, (place, its) in KEYS.items() if its.field == field and self._row(place) is row),
                (change.key for change in sent),
                (key for key, (_, its) in KEYS.items() if getattr(self.settings, its.field, None) is row),
            )
        )
