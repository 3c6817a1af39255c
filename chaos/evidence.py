"""What is there once all is over: rows, files, answers, calls, as they are and not as anybody says."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import class_row

from chaos.asking import Wish
from chaos.journal import Call
from chaos.marks import Unmarked, decode

TAG = re.compile(r"\[(r\d+)\]")


@dataclass
class Generation:
    """A row, with its files' rows."""

    id: str
    prompt: str
    operation: str
    path: list[dict[str, Any]]
    pictures_asked: int
    pictures_failed: int
    status: str
    error_code: str
    error_message: str
    may_have_charged: bool
    cost: Decimal | None
    idempotency_key: str
    is_closed: bool
    files: list[File] = field(default_factory=list)

    @property
    def tag(self) -> str:
        found = TAG.search(self.prompt)
        return found[1] if found else ""

    @property
    def was_recovered(self) -> bool:
        return any("recovered" in step for step in self.path)


@dataclass
class File:
    """A row, and the number in its picture: None where there are no bytes or none of ours."""

    id: str
    generation: str | None
    position: int
    file: str
    thumbnail: str
    sha256: str
    size: int
    width: int
    height: int
    number: int | None = None


@dataclass
class Evidence:
    """Everything that the invariants look at."""

    wishes: dict[str, Wish]
    calls: dict[int, Call]
    generations: dict[str, list[Generation]]
    files: list[File]
    storage: Path
    stored: set[str]
    incoming: list[str]
    prices: dict[str, Decimal]
    tickets: int

    def calls_of(self, tag: str) -> list[Call]:
        return self._by_tag.get(tag, [])

    def __post_init__(self) -> None:
        self._by_tag: dict[str, list[Call]] = defaultdict(list)
        for call in self.calls.values():
            self._by_tag[call.tag].append(call)
        self.numbers = {file.number for file in self.files if file.number is not None}

    def all_generations(self) -> Iterator[Generation]:
        """Those that clients of ours asked for."""
        for tag, generations in self.generations.items():
            if tag:
                yield from generations


def gather(database: str, folder: Path, calls: dict[int, Call], wishes: dict[str, Wish]) -> Evidence:
    """Read the database and the storage. Raises psycopg.Error, OSError."""
    storage = folder / "files"
    with psycopg.connect(database) as connection:
        rows = _rows(connection, Generation, _GENERATIONS)
        files = _rows(connection, File, _FILES)
        priced = connection.execute("SELECT name, price FROM imagegen_engineconnection").fetchall()
        prices = {str(name): Decimal(price) for name, price in priced}
        tickets = connection.execute("SELECT count(*) FROM imagegen_ticket").fetchone()
    by_id = {row.id: row for row in rows}
    for file in files:
        file.number = read_number(storage / file.file)
        if file.generation is not None:
            by_id[file.generation].files.append(file)
    generations: dict[str, list[Generation]] = defaultdict(list)
    for row in rows:
        generations[row.tag].append(row)
    stored = {str(path.relative_to(storage)) for path in storage.rglob("*") if path.is_file()}
    assert tickets is not None
    return Evidence(
        wishes, calls, generations, files, storage, stored, left_in(folder / "incoming"), prices, tickets[0]
    )


def left_in(incoming: Path) -> list[str]:
    return sorted(path.name for path in incoming.iterdir() if not path.name.startswith("."))


def read_number(path: Path) -> int | None:
    try:
        return decode(path.read_bytes())
    except (OSError, Unmarked):
        return None


def sha256(path: Path) -> str:
    """Empty where there is no such file."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


_GENERATIONS = """
SELECT id::text, prompt, operation, path, pictures_asked, pictures_failed, status, error_code, error_message,
       may_have_charged, cost, idempotency_key, finished_at IS NOT NULL AS is_closed
FROM imagegen_generation ORDER BY created_at
"""
_FILES = """
SELECT id::text, generation_id::text AS generation, position, file, thumbnail, sha256, size, width, height
FROM imagegen_imagefile
"""


def _rows(connection: psycopg.Connection[Any], kind: type[Any], query: str) -> list[Any]:
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query).fetchall()
