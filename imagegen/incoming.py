"""Names in the folder where answers land: whoever finds one after a crash knows whose it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self
from uuid import UUID

_NAME = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(\d{1,9})-(\d{1,18})-(\d{1,9})", re.ASCII)


@dataclass(frozen=True, order=True)
class CallName:
    """`<generation>-<call>-<connection>-<first>`: whose an answer is, who reads it, and which pictures it
    has, by the number of the first (from 0)."""

    generation: UUID
    call: int
    connection: int
    first: int

    @classmethod
    def parse(cls, name: str) -> Self:
        """From the name of a file, whatever follows its first dot. Raises ValueError."""
        match = _NAME.fullmatch(name.partition(".")[0])
        if match is None:
            raise ValueError(f"{name!r} is not named after a call")
        generation, *numbers = match.groups()
        return cls(UUID(generation), *map(int, numbers))

    def __str__(self) -> str:
        return f"{self.generation}-{self.call}-{self.connection}-{self.first}"
