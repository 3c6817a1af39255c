"""`Idempotency-Key`: the same key and body give the same answer, for a picture costs money."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, TypedDict

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class Idempotency(TypedDict):
    idempotency_key: str
    fingerprint: str


def read(request: Request, operation: str) -> Idempotency:
    """The key of a request, empty without one, and what tells its body from another.

    Raises ValidationError for a key that is not 1 to 255 visible ASCII characters.
    """
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return Idempotency(idempotency_key="", fingerprint="")
    if not _KEY.fullmatch(key):
        raise ValidationError({HEADER: ["Must be 1 to 255 visible ASCII characters."]})
    return Idempotency(idempotency_key=key, fingerprint=_fingerprint(operation, request.data))


def _fingerprint(operation: str, body: Any) -> str:
    text = json.dumps([operation, body], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
