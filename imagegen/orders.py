"""What a person asks for, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imagegen.models import EngineConnection, Generation, ImageFile

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Operation = Generation.Operation


@dataclass(frozen=True, kw_only=True)
class Order:
    """A request for pictures, as far as no connection has been chosen.

    `connection` is one that staff try: it is asked alone, whatever is selected. `size` is `WIDTHxHEIGHT`,
    `auto`, or empty for the configured one. `images` and `mask` are the checked, encoded sources of an edit.
    `fingerprint` tells bodies apart that come under one `idempotency_key`.
    """

    user: User
    prompt: str
    operation: Operation = Operation.GENERATE
    connection: EngineConnection | None = None
    model: str = ""
    size: str = ""
    n: int = 1
    steps: int | None = None
    negative_prompt: str = ""
    seed: int | None = None
    images: Sequence[bytes] = field(default=(), repr=False)
    mask: bytes | None = field(default=None, repr=False)
    background: str = ""
    chat_id: str = ""
    message_id: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    idempotency_key: str = ""
    fingerprint: str = ""

    @property
    def is_portrait(self) -> bool:
        return self.operation == Operation.PORTRAIT

    @property
    def is_edit(self) -> bool:
        return self.operation == Operation.EDIT


@dataclass(frozen=True)
class Made:
    """An order carried out: its row and its pictures, in order."""

    generation: Generation
    files: Sequence[ImageFile]
