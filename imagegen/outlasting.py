"""A database that is away for a moment costs no picture that is paid for."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import structlog
from django.db import connection
from django.utils import timezone

from imagegen.database import AWAY, release_connections

logger = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

LONGEST = 30.0
"""Seconds for which one generation waits for its database, in all."""
PAUSE = 0.5


class Patience:
    """What one generation has of it: `LONGEST`, from when it is first needed, and nothing past the time when
    anybody may close its row."""

    def __init__(self, deadline_at: datetime) -> None:
        self._deadline_at = deadline_at
        self._until: float | None = None

    def outlast(self, work: Callable[[], T]) -> T:
        """Do it, and again while the database is away. It may have been done although it raised.

        Raises what `work` raises; of AWAY, the last.
        """
        while True:
            try:
                return work()
            except AWAY as error:
                if connection.in_atomic_block or self._is_at_an_end():
                    raise
                logger.warning("database away, trying again", error=type(error).__name__)
            release_connections()
            time.sleep(PAUSE)

    def _is_at_an_end(self) -> bool:
        now = time.monotonic()
        if self._until is None:
            left = (self._deadline_at - timezone.now()).total_seconds()
            self._until = now + min(LONGEST, left)
        return now + PAUSE >= self._until
