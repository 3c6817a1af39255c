"""Where one call's answer lies until its pictures are recorded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagegen import landing
from imagegen.landing import Slot, save


@dataclass
class Answer:
    """An engine's whole answer, out of reach of what may happen to this process.

    Attributes:
        body: the engine's own answer (JSON), in a file or in shared memory, or None where there is none.
        pictures: files with one encoded picture each, in order, where the engine sends them apart.
        meta: what the answer said beside its pictures and is worth keeping (request id, revised prompt).
        cost: US dollars for the call, where the engine says so.
    """

    body: Path | Slot | None = None
    pictures: list[Path] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    cost: float | None = None

    def size(self) -> int:
        """Bytes in all."""
        return sum(_size(part) for part in (self.body, *self.pictures) if part)


class Spool:
    """Where the bytes of one call's answer land before anything looks at them.

    Files are named `<name>.answer` and `<name>.<k>.picture`, so that whoever finds them after a crash
    knows the call they belong to and how to read them. What lands in shared memory has the name with it.
    """

    ANSWER, PICTURE = ".answer", ".picture"

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self._named: set[Path] = set()
        self._slot: Slot | None = None

    @property
    def answer(self) -> Path:
        return self._path(self.ANSWER)

    def picture(self, k: int) -> Path:
        return self._path(f".{k}{self.PICTURE}")

    def _path(self, ending: str) -> Path:
        path = self.folder / f"{self.name}{ending}"
        self._named.add(path)
        return path

    @property
    def body(self) -> Path | Slot:
        """Where the answer is, once `catch` has it."""
        return self._slot or self.answer

    def catch(self, pieces: Iterable[bytes | memoryview], length: int | None) -> None:
        """Take in the answer, `length` bytes of it where that is known before. One from before goes.

        Raises what `pieces` raises, and OSError; then there is nothing of it.
        """
        self._empty()
        self._slot = landing.slots.take(length)
        if self._slot is None:
            save(pieces, self.answer)
            return
        try:
            self._slot.fill(f"{self.name}{self.ANSWER}", pieces)
        except BaseException:
            self._empty()
            raise

    def files(self) -> list[Path]:
        return sorted(self.folder.glob(f"{self.name}.*"))

    def found(self) -> Answer:
        """What lies here, whole files only."""
        pictures = self.folder.glob(f"{self.name}.*{self.PICTURE}")
        return Answer(
            body=self.answer if self.answer.exists() else None,
            pictures=sorted(pictures, key=lambda path: int(path.name.split(".")[-2])),
        )

    def keep(self) -> None:
        """For `reconcile_files` to find: what lies in memory goes to its file. Raises OSError."""
        if self._slot is not None:
            self._slot.save(self.folder)
            self._empty()

    def clear(self) -> None:
        self._empty()
        for path in self.files():
            path.unlink(missing_ok=True)

    def clear_named(self) -> None:
        """Only those that this object has named: no look through a folder of a thousand answers."""
        self._empty()
        for path in self._named:
            path.unlink(missing_ok=True)

    def _empty(self) -> None:
        if self._slot is not None:
            landing.slots.give_back(self._slot)
            self._slot = None


def _size(part: Path | Slot) -> int:
    return part.length if isinstance(part, Slot) else part.stat().st_size
