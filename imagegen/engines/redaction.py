"""Keys blotted out of what servers and faults repeat: as they are, in pieces, and in other spellings.

A server that means to give its key away can always write it so that nobody knows it again. These are the
ways in which servers, proxies and libraries repeat one without meaning to.
"""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from html import escape
from string import ascii_lowercase, ascii_uppercase
from typing import Any
from urllib.parse import quote

from imagegen.engines.errors import EngineError

RUN = 8
"""Characters in a row that a text may not share with a key. A shorter key, such as `none`, is no secret."""

BLOT = "***"
LONGEST = 64 * 1024
"""Characters of a text in an answer, and levels below, that are kept: nobody writes more about a picture."""
DEEPEST = 8

_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    escape,
    lambda key: quote(key, safe=""),
    lambda key: json.dumps(key)[1:-1],
    lambda key: key.replace("/", "\\/"),
    lambda key: key[::-1],
    lambda key: key.encode().hex(),
    *(
        lambda key, encode=encode, before=before: _middle(encode, before, key)
        for encode in (b64encode, urlsafe_b64encode)
        for before in range(3)
    ),
)


class Redaction:
    """Blots these keys out of texts."""

    def __init__(self, *keys: str) -> None:
        self._runs = _runs(*keys)

    def __call__(self, text: str) -> str:
        """The text, cut to what is kept, without any run of a key in whatever case."""
        text = text[:LONGEST]
        folded, parts, blotted = text.translate(_LOWER), list[str](), 0
        for k in range(len(text) - RUN + 1 if self._runs else 0):
            if folded[k : k + RUN] in self._runs:
                if k >= blotted:
                    parts += [text[blotted:k], BLOT]
                blotted = k + RUN
        return "".join((*parts, text[blotted:]))

    def within(self, value: Any, levels: int = DEEPEST) -> Any:
        """The same for every text in a value of JSON's kinds."""
        match value:
            case str():
                return self(value)
            case dict() | list() | tuple() if not levels:
                return None
            case dict():
                return {self.within(name): self.within(item, levels - 1) for name, item in value.items()}
            case list() | tuple():
                return [self.within(item, levels - 1) for item in value]
            case _:
                return value

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Whatever is raised in here repeats no key, and neither does its cause."""
        try:
            yield
        except Exception as error:
            error.args = tuple(self.within(error.args))
            if isinstance(error, EngineError):
                error.message, error.detail = self(error.message), self(error.detail)
            raise error from None


@lru_cache(maxsize=256)
def _runs(*keys: str) -> frozenset[str]:
    """Every run of each spelling of each key, in lower case."""
    spelt = (spell(key).translate(_LOWER) for key in keys if len(key) >= RUN for spell in _SPELLINGS)
    return frozenset(run for text in spelt for run in _windows(text))


def _windows(text: str) -> Iterator[str]:
    return (text[k : k + RUN] for k in range(len(text) - RUN + 1))


def _middle(encode: Callable[[bytes], bytes], before: int, key: str) -> str:
    """What base64 makes of the key behind so many other bytes, without the characters that it shares with
    what stands before and behind it."""
    text = encode(bytes(before) + key.encode()).decode()
    return text.rstrip("=")[before and before + 1 : -1 if "=" in text else None]
