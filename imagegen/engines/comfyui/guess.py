"""A guess at a workflow's node map, from how its nodes are linked: for staff to look over."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

TEXT_KEYS = ("text", "prompt", "text_g", "text_l", "t5xxl", "clip_l", "clip_g")
SEED_KEYS = ("seed", "noise_seed")
MODEL_KEYS = ("ckpt_name", "unet_name")
VALUE_KEYS = ("value", "text", "string", "int", "number", "seed")
"""Inputs that hold the value of a node which does nothing but hold one, such as PrimitiveInt."""

SIZED_BY = ("Empty.*Latent", "Empty", "ImageScale$")
"""Kinds of nodes that decide the size, the likeliest first."""

ORDER = ("prompt", "negative_prompt", "model", "width", "height", "steps", "seed", "n", "image", "mask")

Link = list[Any]


def is_link(value: object) -> bool:
    """Whether an input's value is `[node id, output number]`."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and type(value[1]) is int


def guess_nodes(graph: object) -> list[dict[str, Any]]:
    """The node map that the links suggest, in Open WebUI's form. Never raises: a graph that says nothing
    gives an empty list."""
    guess = _Guess(
        {
            id: node
            for id, node in (graph.items() if isinstance(graph, Mapping) else ())
            if isinstance(node, Mapping)
            and isinstance(node.get("class_type"), str)
            and isinstance(node.get("inputs"), Mapping)
        }
    )
    guess.texts()
    guess.model()
    guess.size()
    guess.numbers()
    guess.pictures()
    found = sorted(guess.found.items(), key=lambda item: ORDER.index(item[0][0]))
    return [{"type": type, "key": key, "node_ids": ids} for (type, key), ids in found]


@dataclass
class _Guess:
    nodes: Mapping[str, Mapping[str, Any]]
    found: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def texts(self) -> None:
        """What `positive` and `negative` of the samplers and guiders lead to."""
        sides: dict[str, list[tuple[str, str]]] = {"positive": [], "negative": []}
        for _, kind, inputs in self._each():
            for side, slots in sides.items():
                if is_link(inputs.get(side)):
                    slots += self._texts_behind(inputs[side], set())
            if "Guider" in kind and is_link(inputs.get("conditioning")):
                sides["positive"] += self._texts_behind(inputs["conditioning"], set())
        for slot in sides["positive"]:
            self._add("prompt", slot)
        for slot in sides["negative"]:
            if slot not in sides["positive"]:
                self._add("negative_prompt", slot)

    def model(self) -> None:
        """The loader of the model. Of several with different models none: which one is the user's?"""
        for key in MODEL_KEYS:
            loaders = {id: inputs[key] for id, _, inputs in self._each() if isinstance(inputs.get(key), str)}
            if loaders:
                for id in loaders if len(set(loaders.values())) == 1 else ():
                    self._add("model", (id, key))
                return

    def size(self) -> None:
        """The empty latent (or picture) that a generation starts from, else what scales an edit's source."""
        sized = [(id, kind) for id, kind, inputs in self._each() if {"width", "height"} <= inputs.keys()]
        for pattern in SIZED_BY:
            chosen = [id for id, kind in sized if re.match(pattern, kind)]
            if chosen:
                break
        for id in chosen:
            for type, key in (("width", "width"), ("height", "height"), ("n", "batch_size")):
                self._add(type, self._origin(id, key, int))

    def numbers(self) -> None:
        for id, _, _ in self._each():
            self._add("steps", self._origin(id, "steps", int))
            for key in SEED_KEYS:
                self._add("seed", self._origin(id, key, int))

    def pictures(self) -> None:
        """LoadImage; as a mask where only its second output, the alpha channel, is used."""
        used: dict[str, set[int]] = {}
        for _, _, inputs in self._each():
            for value in inputs.values():
                if is_link(value):
                    used.setdefault(value[0], set()).add(value[1])
        for id, kind, inputs in self._each():
            if kind in ("LoadImage", "LoadImageMask") and isinstance(inputs.get("image"), str):
                is_mask = kind == "LoadImageMask" or used.get(id) == {1}
                self._add("mask" if is_mask else "image", (id, "image"))

    def _each(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        for id, node in self.nodes.items():
            yield id, node["class_type"], node["inputs"]

    def _add(self, type: str, slot: tuple[str, str] | None) -> None:
        if slot is not None:
            id, key = slot
            ids = self.found.setdefault((type, key), [])
            if id not in ids:
                ids.append(id)

    def _texts_behind(self, link: Link, seen: set[str]) -> list[tuple[str, str]]:
        """The text inputs that a conditioning comes from, through whatever changes it on its way."""
        id, output = link
        node = self.nodes.get(id)
        if node is None or id in seen or node["class_type"] == "ConditioningZeroOut":
            return []
        seen.add(id)
        inputs = node["inputs"]
        own = [slot for key in TEXT_KEYS if (slot := self._origin(id, key, str))]
        if own:
            return own
        if "positive" in inputs and "negative" in inputs:
            keys = ["negative" if output == 1 else "positive"]
        else:
            keys = [key for key in inputs if key.startswith("conditioning")]
        return [
            slot for key in keys if is_link(inputs[key]) for slot in self._texts_behind(inputs[key], seen)
        ]

    def _origin(self, id: str, key: str, kind: type) -> tuple[str, str] | None:
        """Where the value of an input is written: here, or in the node that it is linked to."""
        value = self.nodes[id]["inputs"].get(key)
        if type(value) is kind:
            return id, key
        if not is_link(value) or value[0] not in self.nodes:
            return None
        held = self.nodes[value[0]]["inputs"]
        return next(((value[0], name) for name in VALUE_KEYS if type(held.get(name)) is kind), None)
