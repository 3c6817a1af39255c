"""A workflow held against what the live server has: its kinds of nodes, their inputs, its files."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from imagegen.engines.base import EngineConfig, Workflow
from imagegen.engines.comfyui.guess import is_link
from imagegen.engines.comfyui.server import Server, choices
from imagegen.engines.comfyui.workflows import Template, in_order
from imagegen.engines.redaction import Redaction

SECONDS = 20.0
NAMED = 8
"""Choices that a sentence names at most."""

REPLACED = ("image", "mask", "prompt", "negative_prompt")
"""Types whose value in the graph is never run: each request brings its own."""


@dataclass
class Findings:
    """Sentences for staff: what will fail at this server, and what may be meant otherwise."""

    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def inspect_workflow(config: EngineConfig, workflow: Workflow) -> Findings:
    """Hold a checked workflow against the server. Raises EngineError where it cannot be asked."""
    deadline_at = time.monotonic() + SECONDS
    server, template = Server(config), Template(workflow)
    kinds = dict.fromkeys(template.graph[id]["class_type"] for id in in_order(template.graph))
    known = {kind: server.node(kind, deadline_at) for kind in kinds}
    findings = Findings()
    if lacking := [kind for kind, info in known.items() if info is None]:
        findings.problems.append(
            f"The server has no node called {_listed(lacking)}. Install what brings it there, or use another"
            " node."
        )
    for id in in_order(template.graph):
        info = known[template.graph[id]["class_type"]]
        if info is not None:
            _look_at(id, info, template, config.model, findings)
    redact = Redaction(config.key)
    return Findings([*map(redact, findings.problems)], [*map(redact, findings.remarks)])


def _look_at(id: str, info: Mapping[str, Any], template: Template, model: str, findings: Findings) -> None:
    node = template.graph[id]
    name, inputs = f"Node {id} ({node['class_type']})", node["inputs"]
    required, accepted = _inputs(info, "required"), {*_inputs(info)}
    if missing := [key for key in required if key not in inputs]:
        findings.problems.append(f"{name} lacks the input {_listed(missing)}, which the server requires.")
    if accepted and (unknown := [key for key in inputs if key.partition(".")[0] not in accepted]):
        findings.remarks.append(f"{name}: the server knows no input {_listed(unknown)} and will ignore it.")
    mapped = {slot.key: type for type, slot in _slots(template) if slot.node == id}
    for key, value in inputs.items():
        offered = choices(info, key)
        type = mapped.get(key, "")
        if not offered or is_link(value) or type in REPLACED:
            continue
        used = model or value if type == "model" else value
        if isinstance(used, str) and used not in offered:
            findings.problems.append(_not_offered(name, key, used, offered))


def _not_offered(name: str, key: str, used: str, offered: list[str]) -> str:
    if not used:
        return (
            f"{name}: no {key} is chosen. Set the connection's default model. There are: {_listed(offered)}."
        )
    return f"{name}: the server has no {key} {used[:100]!r}. There are: {_listed(offered)}."


def _slots(template: Template) -> Iterator[tuple[str, Any]]:
    for type in (*REPLACED, "model"):
        for slot in template.slots(type):
            yield type, slot


def _inputs(info: Mapping[str, Any], *groups: str) -> list[str]:
    declared = info.get("input")
    if not isinstance(declared, Mapping):
        return []
    named = (declared.get(group) for group in groups or ("required", "optional", "hidden"))
    return [key for inputs in named if isinstance(inputs, Mapping) for key in inputs]


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name[:80]) for name in names[:NAMED])
    return f"{shown} and {len(names) - NAMED} more" if len(names) > NAMED else shown
