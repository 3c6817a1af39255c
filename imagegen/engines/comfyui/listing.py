"""A workflow's nodes, and the inputs that each type of the node map could go into."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imagegen.engines.comfyui.guess import TEXT_KEYS, is_link
from imagegen.engines.comfyui.workflows import MAKES_FILES, OUTPUT, Slot, in_order

SHOWN = 60
"""Characters of a value or a title."""


@dataclass(frozen=True)
class NodeRow:
    """One node, to be read: `settings` are its inputs without links, `links` the nodes that it takes from."""

    id: str
    kind: str
    title: str
    settings: Sequence[tuple[str, str]]
    links: Sequence[tuple[str, str]]


_FITS: Mapping[str, tuple[type, str]] = {
    "prompt": (str, "|".join(TEXT_KEYS)),
    "negative_prompt": (str, "|".join(TEXT_KEYS)),
    "model": (str, ".*_name"),
    "width": (int, ".*width"),
    "height": (int, ".*height"),
    "steps": (int, ".*steps"),
    "seed": (int, ".*seed"),
    "n": (int, "batch_size"),
    "image": (str, "image"),
    "mask": (str, "image|mask"),
}
"""Type -> the kind of value that it replaces, and which names of inputs are the likely ones."""


def nodes_of(graph: Mapping[str, Any]) -> list[NodeRow]:
    """All nodes of a checked graph, by id."""
    return [_row(graph, id) for id in in_order(graph)]


def candidates(graph: Mapping[str, Any], type: str) -> list[Slot]:
    """The inputs of a checked graph that `type` could go into, the likely ones first; for `output`, the
    nodes that could deliver pictures."""
    if type == OUTPUT:
        return _outputs(graph)
    kind, likely = _FITS[type]
    found = [
        Slot(id, key)
        for id in in_order(graph)
        for key, value in graph[id]["inputs"].items()
        if value.__class__ is kind  # a boolean is no number here
    ]
    return sorted(found, key=lambda slot: re.fullmatch(likely, slot.key) is None)


def describe(graph: Mapping[str, Any], slot: Slot) -> str:
    """A slot in words: `3 KSampler: seed = 42`."""
    node = graph[slot.node]
    title = _title(node)
    name = f"{slot.node} {title or node['class_type']}"
    if not slot.key:
        return f"{name} ({node['class_type']})" if title else name
    return f"{name}: {slot.key} = {_shown(node['inputs'].get(slot.key))}"


def _outputs(graph: Mapping[str, Any]) -> list[Slot]:
    used = {value[0] for node in graph.values() for value in node["inputs"].values() if is_link(value)}
    kinds = {id: graph[id]["class_type"] for id in in_order(graph)}
    makes = [id for id, kind in kinds.items() if MAKES_FILES.search(kind)]
    ends = [id for id in kinds if id not in used and id not in makes]
    return [Slot(id, "") for id in (*makes, *ends)]


def _row(graph: Mapping[str, Any], id: str) -> NodeRow:
    node = graph[id]
    inputs = node["inputs"].items()
    return NodeRow(
        id,
        node["class_type"][:SHOWN],
        _title(node),
        [(key[:SHOWN], _shown(value)) for key, value in inputs if not is_link(value)],
        [(key[:SHOWN], str(value[0])[:SHOWN]) for key, value in inputs if is_link(value)],
    )


def _title(node: Mapping[str, Any]) -> str:
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, Mapping) else None
    return title[:SHOWN] if isinstance(title, str) and title != node["class_type"] else ""


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    return f"{text[:SHOWN]}…" if len(text) > SHOWN else text or "empty"
