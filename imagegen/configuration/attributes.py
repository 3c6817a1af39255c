"""One attribute of a row, as a client sees it and as a client gives it.

The names of these classes also tell the API which type of value a key takes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from imagegen.configuration.masks import check_key, is_mask, mask
from imagegen.engines import ENGINES
from imagegen.engines.addresses import Forbidden, Target
from imagegen.engines.comfyui import check_workflow
from imagegen.models import EngineConnection, ImageSettings


@dataclass(frozen=True)
class Text:
    """`field` of a row as it is. The base of all attributes."""

    field: str

    def load(self, row: Any) -> Any:
        """The present value, in the shape in which one is given."""
        return getattr(row, self.field)

    def show(self, row: Any) -> Any:
        """The value that GET answers with."""
        return self.load(row)

    def keeps(self, row: Any, value: Any) -> bool:
        """Whether `value` changes nothing. Python takes true for 1; JSON does not."""
        return json.dumps(value, sort_keys=True) == json.dumps(self.load(row), sort_keys=True)

    def check(self, value: Any) -> None:
        """Raises ValueError, with the rule, beyond what the model's own validators say."""

    def store(self, row: Any, value: Any) -> None:
        setattr(row, self.field, value)


class Switch(Text):
    """A boolean."""


class Number(Text):
    """A whole number."""


class EngineName(Text):
    """The engine of the connection that `field` of the settings selects. It is stored as a connection."""

    def load(self, row: ImageSettings) -> str:
        selected: EngineConnection | None = getattr(row, self.field)
        return selected.engine if selected else ""

    def check(self, value: str) -> None:
        if value and value not in ENGINES:
            raise ValueError(f"Unknown engine. There are: {', '.join(ENGINES)}.")


@dataclass(frozen=True)
class Url(Text):
    field: str = "base_url"

    def check(self, value: str) -> None:
        try:
            Target.parse(value or "http://localhost")
        except Forbidden as error:
            raise ValueError(f"This cannot be used: {error}.") from None


@dataclass(frozen=True)
class Key(Text):
    """A credential: masked on its way out. A mask on its way in means the key that there is."""

    field: str = "encrypted_key"

    def load(self, row: EngineConnection) -> str:
        return row.key

    def show(self, row: EngineConnection) -> str:
        return mask(row.readable_key)

    def keeps(self, row: EngineConnection, value: str) -> bool:
        return is_mask(value) or value == row.readable_key

    def check(self, value: str) -> None:
        check_key(value)

    def store(self, row: EngineConnection, value: str) -> None:
        row.key = value


@dataclass(frozen=True)
class Parameter(Text):
    """One of a connection's parameters; empty where it is not set."""

    field: str = "parameters"
    name: str = ""
    choices: tuple[str, ...] = ()

    def load(self, row: EngineConnection) -> str:
        return str(row.parameters.get(self.name) or "")

    def check(self, value: str) -> None:
        if self.choices and value not in ("", *self.choices):
            raise ValueError(f"Must be {', '.join(self.choices)} or empty.")

    def store(self, row: EngineConnection, value: str) -> None:
        others = {name: kept for name, kept in row.parameters.items() if name != self.name}
        row.parameters = {**others, self.name: value} if value else others


@dataclass(frozen=True)
class Parameters(Text):
    """A connection's parameters, but for `apart`, which have keys of their own."""

    field: str = "parameters"
    apart: tuple[str, ...] = ()

    def load(self, row: EngineConnection) -> dict[str, Any]:
        return {name: value for name, value in row.parameters.items() if name not in self.apart}

    def check(self, value: dict[str, Any]) -> None:
        if double := sorted(value.keys() & set(self.apart)):
            raise ValueError(f"{', '.join(double)}: this has a key of its own. Leave it out here.")

    def store(self, row: EngineConnection, value: dict[str, Any]) -> None:
        row.parameters = value | {name: row.parameters[name] for name in self.apart if name in row.parameters}


class Graph(Text):
    """A workflow: an object on its way in, JSON text on its way out; empty where there is none."""

    def load(self, row: EngineConnection) -> dict[str, Any]:
        return getattr(row, self.field) or {}

    def show(self, row: EngineConnection) -> str:
        graph = self.load(row)
        return json.dumps(graph, ensure_ascii=False, indent=2) if graph else ""

    def check(self, value: dict[str, Any]) -> None:
        if value:
            check_workflow(value)

    def store(self, row: EngineConnection, value: dict[str, Any]) -> None:
        setattr(row, self.field, value or None)


@dataclass(frozen=True)
class Nodes(Text):
    """Where a request's values go into a workflow. `Draft` checks it against that workflow."""
