"""Keys, as far as they may be shown."""

from __future__ import annotations

import re

DOT = "•"
DOTS = DOT * 8
SHOWN = 4
LONG_ENOUGH = 12
"""Characters of a key of which the last four may be shown."""

_MASK = re.compile(rf"{DOTS}.{{0,{SHOWN}}}")


def mask(key: str | None) -> str:
    """Dots and the last four characters; dots alone for a short key, for `user:password`, of which the end
    could be the whole password, and for None, a key that cannot be decrypted. Empty stays empty."""
    if key is None:
        return DOTS
    if not key:
        return ""
    return DOTS + (key[-SHOWN:] if len(key) >= LONG_ENOUGH and ":" not in key else "")


def is_mask(text: str) -> bool:
    return bool(_MASK.fullmatch(text))


def check_key(text: str) -> None:
    """Raises ValueError, with the rule, for what can be no key."""
    if DOT in text:
        raise ValueError("This is part of a mask. Enter the whole key.")
    if not text.isprintable() or text != text.strip():
        raise ValueError("A key is one line, without blanks around it.")
