"""Samplers and schedulers: a name that the server does not know is replaced by another in silence, so
names are looked up in the server's own lists first.

Sources: `GET /sdapi/v1/samplers` -> [{name, aliases, options}], `GET /sdapi/v1/schedulers` ->
[{name, label, aliases}], recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from imagegen.engines.errors import EngineMisconfigured

Entries = list[dict[str, Any]]


def wanted(parameters: Mapping[str, Any]) -> dict[str, str]:
    """`sampler_name` and `scheduler` as staff set them; `sampler_index` is the old name of the former.

    Raises EngineMisconfigured.
    """
    given = {
        "sampler_name": parameters.get("sampler_name") or parameters.get("sampler_index"),
        "scheduler": parameters.get("scheduler"),
    }
    for name, value in given.items():
        if value and not isinstance(value, str):
            raise EngineMisconfigured(detail=f"parameters: {name} is a string")
    return {name: value for name, value in given.items() if isinstance(value, str) and value}


def choose(asked: Mapping[str, str], samplers: Entries | None, schedulers: Entries | None) -> dict[str, str]:
    """`asked`, in the server's own spelling. None stands for a list that the server does not have: such a
    name is passed on as it is.

    The old form `DPM++ 2M Karras` is taken apart into sampler and scheduler.

    Raises EngineMisconfigured, naming what there is.
    """
    chosen = dict(asked)
    if samplers is not None and (name := asked.get("sampler_name")):
        whole = _find(name, samplers)
        sampler, scheduler = (whole, "") if whole else _split(name, samplers, schedulers or [])
        if not sampler:
            raise _unknown("sampler_name", name, samplers)
        chosen["sampler_name"] = sampler
        if scheduler:
            chosen.setdefault("scheduler", scheduler)
    if schedulers is not None and (name := asked.get("scheduler")):
        found = _find(name, schedulers)
        if not found:
            raise _unknown("scheduler", name, schedulers)
        chosen["scheduler"] = found
    return chosen


def _split(name: str, samplers: Entries, schedulers: Entries) -> tuple[str, str]:
    """Sampler and scheduler of `DPM++ 2M Karras`; empty where there are no such two."""
    parts = name.split(" ")
    for at in range(1, len(parts)):
        sampler = _find(" ".join(parts[:at]), samplers)
        scheduler = _find(" ".join(parts[at:]), schedulers)
        if sampler and scheduler:
            return sampler, scheduler
    return "", ""


def _find(name: str, entries: Entries) -> str:
    """The server's spelling of a name, label or alias, in whatever case; empty where there is none."""
    names: dict[str, str] = {text.casefold(): entry["name"] for entry in entries for text in _words(entry)}
    names |= {entry["name"].casefold(): entry["name"] for entry in entries}
    return names.get(name.casefold(), "")


def _words(entry: Mapping[str, Any]) -> Iterable[str]:
    aliases = entry.get("aliases")
    words = [entry.get("label"), *(aliases if isinstance(aliases, list) else ())]
    return [word for word in words if isinstance(word, str)]


def _unknown(field: str, name: str, entries: Entries) -> EngineMisconfigured:
    there = ", ".join(entry["name"] for entry in entries)
    return EngineMisconfigured(detail=f"parameters: the server has no {field} {name!r}. It has: {there}")
