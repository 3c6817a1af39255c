"""Where the bytes of an answer land: in memory that outlives their process, or in a file.

A file for each answer costs a sixth of a generation. Memory that a process shares with the one that started
it costs next to nothing, and when the process dies, even by SIGKILL, its answers are still there: whoever
started it writes them to files. Without such memory, and for whatever finds no slot of it free or does not
fit, there are files. gunicorn's master imports this, so it knows nothing of the rest.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from mmap import mmap
from pathlib import Path

PLACES = 8
"""Slots of a process."""
ROOM = 4 * 1024 * 1024
"""Bytes that an answer may have there; memory that no answer has reached yet is none."""

_HEAD = struct.Struct("<?7xQ240p")
"""Whether there is a whole answer, its length, and the name of the file that it would be."""


class Slot:
    """Shared memory with one answer, or none."""

    def __init__(self) -> None:
        self.memory = mmap(-1, ROOM + _HEAD.size)

    def fill(self, name: str, pieces: Iterable[bytes | memoryview]) -> None:
        """With `pieces`, ROOM bytes at most. Until the last is there, nobody sees anything of them.

        Raises what `pieces` raises.
        """
        end = 0
        for piece in pieces:
            start, end = end, end + len(piece)
            self.memory[start:end] = piece
        self.memory[ROOM + 1 :] = _HEAD.pack(False, end, name.encode())[1:]
        self.memory[ROOM] = True

    def empty(self) -> None:
        self.memory[ROOM] = False

    @property
    def is_whole(self) -> bool:
        return bool(self.memory[ROOM])

    @property
    def length(self) -> int:
        return int(_HEAD.unpack_from(self.memory, ROOM)[1])

    @property
    def name(self) -> str:
        return str(_HEAD.unpack_from(self.memory, ROOM)[2].decode())

    def read_bytes(self) -> bytes:
        return self.memory[: self.length]

    def save(self, folder: Path) -> None:
        """Write the answer to a file of its name. Raises OSError."""
        with memoryview(self.memory) as memory, memory[: self.length] as answer:
            save([answer], folder / self.name)


class Slots:
    """Those of one process."""

    def __init__(self, places: int = PLACES) -> None:
        self._all = [Slot() for _ in range(places)]
        self._free = deque(self._all)

    def take(self, length: int | None) -> Slot | None:
        """A free one for an answer of `length` bytes; None where there is none, or that is not known."""
        if length is None or length > ROOM:
            return None
        with suppress(IndexError):
            return self._free.pop()
        return None

    @property
    def are_free(self) -> bool:
        """Whether nobody has one."""
        return len(self._free) == len(self._all)

    def give_back(self, slot: Slot) -> None:
        slot.empty()
        self._free.append(slot)

    def left(self) -> list[Slot]:
        """Those with an answer: of a process that is gone, what it did not come to record."""
        return [slot for slot in self._all if slot.is_whole]

    def close(self) -> None:
        for slot in self._all:
            slot.memory.close()


slots = Slots(0)
"""This process's own: none, but where whoever started it sees to what it leaves."""


def use(own: Slots) -> None:
    global slots
    slots = own


def save(pieces: Iterable[bytes | memoryview], to: Path) -> None:
    """Write the file under another name until the last byte is there, so that half a file is never read.

    Raises OSError, and what `pieces` raises.
    """
    part = f"{to}.part"
    try:
        with open(part, "wb") as file:
            for piece in pieces:
                file.write(piece)
        os.replace(part, to)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(part)
        raise
