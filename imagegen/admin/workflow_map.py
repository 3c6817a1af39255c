"""The map of a workflow as fields to choose from, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.http import QueryDict

from imagegen.engines.base import EDIT, GENERATE, Workflow
from imagegen.engines.comfyui import Slot, Template, candidates, describe

TEXTS = ("prompt", "negative_prompt", "model", "width", "height", "steps", "seed", "n")
SOURCES = ("image", "mask")
OUTPUT = "output"
TYPES = (*TEXTS, *SOURCES, OUTPUT)
LABELS = {
    "prompt": ("Prompt", "Where the prompt goes. Several nodes get the same text."),
    "negative_prompt": ("Negative prompt", "Where what the picture should not show goes."),
    "model": ("Model", "The input that names the checkpoint. Not mapped: the workflow decides."),
    "width": ("Width", "In pixels. Not mapped: pictures are cut to the size asked for."),
    "height": ("Height", "In pixels."),
    "steps": ("Steps", "How many steps the sampler takes."),
    "seed": ("Seed", "Without a new seed for each request the same prompt gives the same picture."),
    "n": ("Number of pictures", "Of one batch. Not mapped: one run for each picture."),
    "image": ("Source pictures", "In this order. As many as are mapped can be sent."),
    "mask": ("Mask", "Says which part may change."),
    OUTPUT: ("Output", "The nodes whose pictures are wanted. Not mapped: whatever is saved."),
}
NEEDED = {
    GENERATE: ("prompt", "Choose where the prompt goes: without it every picture would be the same."),
    EDIT: ("image", "Choose where the source picture goes: without it nothing can be edited."),
}

Chosen = Mapping[str, Sequence[Slot]]


@dataclass(frozen=True)
class Row:
    """One type of the map. `selects` has a list of (value, label, is chosen) for each place it goes to."""

    type: str
    label: str
    help: str
    selects: Sequence[Sequence[tuple[str, str, bool]]]


def stored_or_guessed(graph: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]) -> Chosen:
    """What the map says, or what the links suggest where there is none; outputs as they would be taken."""
    template = Template(Workflow(graph, nodes))
    chosen = {type: list(template.slots(type)) for type in TYPES}
    return chosen | {OUTPUT: [Slot(id, "") for id in template.wanted]}


def posted(data: QueryDict) -> Chosen:
    """What was chosen in the fields. Raises ValueError for what none of them offers."""
    return {type: [_slot(text) for text in data.getlist(f"map_{type}") if text] for type in TYPES}


def rows(graph: Mapping[str, Any], chosen: Chosen, operation: str, *, extra: str = "") -> list[Row]:
    """The fields. A type has one for each place, and one more where it has none or is `extra`."""
    shown = [type for type in TYPES if type not in SOURCES or operation == EDIT or chosen.get(type)]
    return [_row(graph, type, chosen.get(type, ()), spare=type == extra) for type in shown]


def node_map(chosen: Chosen, operation: str) -> list[dict[str, Any]]:
    """The map in the form in which it is stored. Raises ValueError, with a sentence."""
    needed, sentence = NEEDED[operation]
    if not chosen.get(needed):
        raise ValueError(sentence)
    entries: list[dict[str, Any]] = []
    for type, slots in chosen.items():
        for key, group in groupby(dict.fromkeys(slots), key=lambda slot: slot.key):
            entry = {"type": type, "key": key, "node_ids": [slot.node for slot in group]}
            entries.append({name: value for name, value in entry.items() if value != ""})
    return entries


def _row(graph: Mapping[str, Any], type: str, slots: Sequence[Slot], *, spare: bool) -> Row:
    offered = list(dict.fromkeys((*candidates(graph, type), *slots)))
    options = [(_text(slot), describe(graph, slot)) for slot in offered if slot.node in graph]
    places = [*map(_text, slots), *([""] if spare or not slots else [])]
    label, help = LABELS[type]
    selects = [[(value, name, value == place) for value, name in options] for place in places]
    return Row(type, label, help, selects)


def _text(slot: Slot) -> str:
    return json.dumps(slot)


def _slot(text: str) -> Slot:
    try:
        node, key = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise ValueError("One of the choices is none that was offered.") from None
    if not isinstance(node, str) or not isinstance(key, str):
        raise ValueError("One of the choices is none that was offered.")
    return Slot(node, key)
