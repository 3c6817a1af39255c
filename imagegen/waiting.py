"""How many generations wait in this process, and whether it still takes new ones.

A waiting generation holds a thread. Beyond the ceiling the answer is an immediate "later", so that cheap
requests always find a thread and nothing collapses.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from imagegen.errors import TooBusy

RETRY_AFTER = 5.0


class WaitingRoom:
    """Counts who is in; refuses at the ceiling, and everybody once it is closing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._closing = False

    @contextmanager
    def place(self) -> Iterator[None]:
        """Raises TooBusy."""
        with self._lock:
            if self._closing:
                raise TooBusy("The service is restarting. Please try again shortly.", retry_after=RETRY_AFTER)
            if self._inside >= self.ceiling:
                raise TooBusy("Too many pictures are being made. Please try again.", retry_after=RETRY_AFTER)
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1

    @property
    def ceiling(self) -> int:
        """This process's share of EASEL_MAX_WAITING."""
        return math.ceil(settings.EASEL_MAX_WAITING / max(settings.EASEL_WORKERS, 1))

    @property
    def inside(self) -> int:
        return self._inside

    def close(self) -> None:
        """Take nobody new: the process is stopping."""
        self._closing = True


room = WaitingRoom()
