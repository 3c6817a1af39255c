"""JSON that a person enters into a form, with faults that name their place."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from rest_framework.exceptions import ValidationError

from imagegen.access.strict import refuse_unstorable

MAX_BYTES = 1024 * 1024
MAX_VALUES = 100_000
LOWEST, HIGHEST = -(2**63), 2**64 - 1
"""What a whole number may be: seeds have 64 bits, and a larger one could not be sent."""


class Refused(ValueError):
    """A fault with a sentence of ours."""


def read_json(text: str) -> Any:
    """The value of a JSON text (RFC 8259). Raises ValueError, with a sentence."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise Refused(f"This is larger than {MAX_BYTES // 1024} KB.")
    if sum(map(text.count, ",:[{")) > MAX_VALUES:
        raise Refused("This holds too many values.")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_float,
            parse_int=_int,
        )
        refuse_unstorable(value)
    except json.JSONDecodeError as error:
        raise Refused(f"Line {error.lineno}, column {error.colno}: {_plain(error.msg)}.") from None
    except RecursionError:
        raise Refused("This is nested too deeply.") from None
    except ValidationError as error:
        raise Refused(" ".join(map(str, error.detail))) from None
    return value


def _plain(message: str) -> str:
    """Python's words for where JSON ends to be JSON."""
    return {
        "Expecting value": "a value is missing here, or is no JSON (text needs double quotes)",
        "Expecting property name enclosed in double quotes": "a name in double quotes is missing here",
        "Expecting ',' delimiter": "a comma is missing here, or a quote or bracket before",
        "Expecting ':' delimiter": "a colon is missing here",
        "Extra data": "the JSON has ended before this",
        "Illegal trailing comma before end of object": "there is a comma too many before this",
        "Illegal trailing comma before end of array": "there is a comma too many before this",
    }.get(message, message[:1].lower() + message[1:])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for name, item in pairs:
        if name in value:
            raise Refused(f"The name {name[:50]!r} stands twice in one object.")
        value[name] = item
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise Refused(f"{name} is no number of JSON.")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Refused(f"The number {text[:30]} is too large.")
    return number


def _int(text: str) -> int:
    if len(text) > 20 or not LOWEST <= int(text) <= HIGHEST:
        raise Refused(f"The number {text[:30]}{'…' if len(text) > 30 else ''} is too large.")
    return int(text)
