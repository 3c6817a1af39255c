"""Workflows in ComfyUI's API format, and where a request's values go into them.

A workflow is `{node id: {"class_type": str, "inputs": {name: value or link}}}`; a link is
`[node id, output number]`. The map of its nodes is the one that Open WebUI stores:
`[{"type": "prompt", "key": "text", "node_ids": ["6"]}, …]`, and `output` on top of Open WebUI's types.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from imagegen.engines.base import Workflow
from imagegen.engines.comfyui.guess import guess_nodes, is_link

USUAL_KEYS = {
    "prompt": "text",
    "negative_prompt": "text",
    "model": "ckpt_name",
    "width": "width",
    "height": "height",
    "steps": "steps",
    "seed": "seed",
    "n": "batch_size",
    "image": "image",
    "mask": "image",
}
"""Types of the map, and the input that each goes into where an entry names none."""

OUTPUT = "output"

MAKES_FILES = re.compile("save|preview|output|export", re.IGNORECASE)

HOW_TO_EXPORT = (
    "This is the format that ComfyUI's editor saves, which its API cannot run. In ComfyUI, choose Workflow,"
    " Export (API); in older versions Save (API Format), and use that file."
)


class Slot(NamedTuple):
    """One input of one node."""

    node: str
    key: str


@dataclass(frozen=True)
class Template:
    """A workflow that a request can be written into. Where its map names no node, the guess counts."""

    workflow: Workflow

    @property
    def graph(self) -> Mapping[str, Any]:
        """Empty where the workflow is no object."""
        return self.workflow.graph if isinstance(self.workflow.graph, Mapping) else {}

    @cached_property
    def _map(self) -> dict[str, tuple[Slot, ...]]:
        return _read(self.workflow.nodes) or _read(guess_nodes(self.graph))

    def slots(self, type: str) -> tuple[Slot, ...]:
        return self._map.get(type, ())

    def takes(self, *types: str) -> bool:
        return all(self.slots(type) for type in types)

    @property
    def outputs(self) -> list[str]:
        """Ids of the nodes whose pictures are wanted, by the map; empty where it does not say."""
        return [slot.node for slot in self.slots(OUTPUT)]

    @property
    def wanted(self) -> list[str]:
        """The mapped output nodes, else every SaveImage."""
        return self.outputs or [id for id, node in self.graph.items() if node["class_type"] == "SaveImage"]

    def check(self) -> None:
        """Raises ValueError for a workflow or a map that cannot work."""
        check_workflow(self.workflow.graph)
        check_nodes(self.workflow.graph, self.workflow.nodes)

    def fill(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of the graph with these values in their slots; what has no value stays as it is.

        `image` is a list, one name per slot, in the order of the map; the other values go into each of
        their slots.
        """
        graph: dict[str, Any] = copy.deepcopy(dict(self.graph))
        for type, value in values.items():
            for k, (node, key) in enumerate(self.slots(type)):
                if type != "image":
                    graph[node]["inputs"][key] = value
                elif k < len(value):
                    graph[node]["inputs"][key] = value[k]
        return graph


def in_order(ids: Iterable[str]) -> list[str]:
    """Node ids in a stable order, 9 before 21: neither execution nor a database keeps another."""
    return sorted(ids, key=lambda id: [(not part.isdecimal(), part.zfill(12)) for part in id.split(":")])


def check_workflow(graph: object) -> None:
    """Raises ValueError, with a sentence for staff, for what is no runnable graph in API format."""
    if not isinstance(graph, Mapping):
        raise ValueError("A workflow is a JSON object of nodes, as ComfyUI's Export (API) writes it.")
    if isinstance(graph.get("nodes"), list):
        raise ValueError(HOW_TO_EXPORT)
    if not graph:
        raise ValueError("The workflow is empty.")
    for id, node in graph.items():
        if not isinstance(node, Mapping) or not isinstance(node.get("class_type"), str):
            raise ValueError(
                f"Node {str(id)[:50]!r} has no class_type, so this is no workflow in API format."
            )
        if not isinstance(node.get("inputs"), Mapping):
            raise ValueError(f"Node {_titled(graph, id)} has no inputs.")
    sources = set()
    for id, node in graph.items():
        for key, value in node["inputs"].items():
            if is_link(value) and value[0] not in graph:
                raise ValueError(
                    f"Node {_titled(graph, id)} takes {key!r} from node {value[0]!r}, which is not there."
                )
            if is_link(value):
                sources.add(value[0])
    if not any(MAKES_FILES.search(graph[id]["class_type"]) for id in graph.keys() - sources):
        raise ValueError("The workflow has no output node. Add a Save Image node at its end.")


def check_nodes(graph: Mapping[str, Any], nodes: object) -> None:
    """Raises ValueError, with a sentence for staff, for a map that does not fit the (checked) graph."""
    if not isinstance(nodes, list | tuple):
        raise ValueError("The node map is a JSON list.")
    for number, entry in enumerate(nodes, start=1):
        where = f"Entry {number} of the node map"
        if not isinstance(entry, Mapping):
            raise ValueError(f"{where} is no JSON object.")
        type = entry.get("type")
        if not isinstance(type, str) or type not in (*USUAL_KEYS, OUTPUT):
            known = ", ".join((*USUAL_KEYS, OUTPUT))
            raise ValueError(f"{where} has the unknown type {str(type)[:50]!r}. Known are: {known}.")
        if not isinstance(entry.get("key") or "", str):
            raise ValueError(f"{where}: the key is the name of a node's input.")
        ids = entry.get("node_ids", [])
        if not isinstance(ids, list) or not all(isinstance(id, str | int) for id in ids):
            raise ValueError(f"{where}: node_ids is a list of node ids.")
        for slot in _slots_of(entry):
            if slot.node not in graph:
                raise ValueError(f"{where} ({type}): the workflow has no node {slot.node[:50]!r}.")
            inputs = graph[slot.node]["inputs"]
            if type != OUTPUT and slot.key not in inputs:
                raise ValueError(
                    f"{where} ({type}): node {_titled(graph, slot.node)} has no input {slot.key[:50]!r};"
                    f" it has {', '.join(map(repr, inputs)) or 'none'}."
                )


def _read(nodes: object) -> dict[str, tuple[Slot, ...]]:
    """The slots of each type, in the map's order. What `check_nodes` refuses is left out here: what a
    connection can do is asked for where nobody can mend its map."""
    found: dict[str, list[Slot]] = {}
    for entry in nodes if isinstance(nodes, list | tuple) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("type"), str):
            found.setdefault(entry["type"], []).extend(_slots_of(entry))
    return {type: tuple(slots) for type, slots in found.items() if slots}


def _slots_of(entry: Mapping[str, Any]) -> Iterator[Slot]:
    key, ids = entry.get("key"), entry.get("node_ids")
    if not isinstance(key, str) or not key:
        key = USUAL_KEYS.get(entry["type"], "")
    for id in ids if isinstance(ids, list) else ():
        if str(id):
            yield Slot(str(id), key)


def _titled(graph: Mapping[str, Any], id: str) -> str:
    return f"{id} ({graph[id]['class_type']})"
