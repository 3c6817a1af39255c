"""What docs/security.md promises, and whether the tests that it names are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "security.md"
_NAMED = re.compile(r"`([\w/]+\.py)(?:::([\w:]+))?`")


def faults(text: str | None = None) -> list[str]:
    """Sentences on promises that name no test by file::function, and on tests that do not exist."""
    rows = list(_promises(PAGE.read_text() if text is None else text))
    found = [fault for promise, shown in rows for fault in _faults_of(promise, shown)]
    return found if rows else ["There is no table of promises."]


def _promises(text: str) -> Iterator[tuple[str, str]]:
    _, _, table = text.partition("\n| promise |")
    for line in table.partition("\n\n")[0].splitlines()[2:]:
        promise, shown = line.strip("| ").partition(" | ")[::2]
        if not promise.startswith("**"):
            yield promise, shown


def _faults_of(promise: str, shown: str) -> Iterator[str]:
    named = _NAMED.findall(shown)
    if not any(function for _, function in named):
        yield f"{promise!r} names no test as `file.py::function`."
    for file, function in named:
        if function and function not in _functions(TESTS / file):
            yield f"{promise!r} names {file}::{function}, which is not there."


def _functions(path: Path) -> set[str]:
    """`test_x` and `TestX::test_y`; none for a file that is not there."""
    if not path.is_file():
        return set()
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            methods = (one.name for one in node.body if isinstance(one, ast.FunctionDef))
            found |= {f"{node.name}::{method}" for method in methods}
    return {name for name in found if name.rpartition("::")[2].startswith("test_")}
