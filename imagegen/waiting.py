"""How many generations wait on this machine, and whether this process still takes new ones.

A waiting generation holds a thread. Beyond the ceiling the answer is an immediate "later", so that cheap
requests always find a thread and nothing collapses.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager

from django.conf import settings

from imagegen import metrics
from imagegen.errors import TooBusy

RETRY_AFTER = 5.0


class WaitingRoom:
    """Counts who is in; refuses at the ceiling, and everybody once it is closing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closing = False
        self._counts: MutableSequence[int] = [0]
        self._own = 0

    def share(self, counts: MutableSequence[int], own: int) -> None:
        """Count together with other processes: each writes its own number, at `own`, and reads all."""
        self._counts, self._own = counts, own

    @contextmanager
    def place(self) -> Iterator[None]:
        """Raises TooBusy."""
        with self._lock:
            if self._closing:
                metrics.busy_refusals("stopping").inc()
                raise TooBusy("The service is restarting. Please try again shortly.", retry_after=RETRY_AFTER)
            if self._is_full():
                metrics.busy_refusals("full").inc()
                raise TooBusy("Too many pictures are being made. Please try again.", retry_after=RETRY_AFTER)
            self._counts[self._own] += 1
        try:
            yield
        finally:
            with self._lock:
                self._counts[self._own] -= 1

    def _is_full(self) -> bool:
        threads = settings.EASEL_THREADS
        mine = self._counts[self._own]
        return self.inside >= settings.EASEL_MAX_WAITING or mine >= threads - threads // 16

    @property
    def inside(self) -> int:
        """Over all processes that count together."""
        return sum(self._counts[:])  # a list first: shared memory is slow to go through

    def close(self) -> None:
        """Take nobody new: the process is stopping."""
        self._closing = True


room = WaitingRoom()
