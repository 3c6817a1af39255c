"""What the mock engine and the witness wrote down, read again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

PER_CALL = 16
"""Numbers of pictures that belong to one call."""

FREE = {"429", "503"}
"""Moods in which nothing is made, and the engine says so."""

WHOLE = {"good", "chunked", "slow body", "reset after"}
"""Moods whose answer has every picture, if it arrives."""


@dataclass
class Call:
    """A request that the engine read to its end. `end` is empty where the engine did not come so far."""

    number: int
    tag: str
    connection: str
    mood: str
    at: float
    pictures: list[int] = field(default_factory=list)
    end: str = ""
    landed: bool = False

    @property
    def costs(self) -> bool:
        """Whether a real engine may have charged for it."""
        return self.mood not in FREE

    @property
    def is_proof(self) -> bool:
        """Whether its pictures lay whole on our disk."""
        return self.landed and self.mood in WHOLE


def read_calls(journal: Path, seen: Path) -> dict[int, Call]:
    """By number, with what the witness saw of their answers."""
    calls: dict[int, Call] = {}
    for line in _lines(journal):
        if "end" in line:
            calls[line["call"]].end = line["end"]
        else:
            calls[line["call"]] = Call(
                line["call"], line["tag"], line["connection"], line["mood"], line["at"], line["pictures"]
            )
    for line in _lines(seen):
        if line["call"] in calls:
            calls[line["call"]].landed = True
    return calls


def missed(seen: Path) -> int:
    """Answers that were gone before the witness had looked into them."""
    return sum(line["call"] is None for line in _lines(seen))


def _lines(path: Path) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(line) for line in path.read_text().splitlines()]
