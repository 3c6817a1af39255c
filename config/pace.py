"""Clients that take their time, and how much of it they get.

A thread is held while a client sends its request and while it reads the answer. A socket's own timeout
starts anew with every byte, so one byte every few seconds would hold it for ever. Here a client has some
seconds, in which it may do nothing at all, and gets more for what it sends or takes: a second for as many
bytes as the slowest line that is served carries in one. Nobody saves up more than he began with. So a thin
line goes on as long as it takes, and a client that stops, or drips, ends.
"""

from __future__ import annotations

import errno
import fcntl
import math
import socket
import struct
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

LOOK_EVERY = 1.0
"""Seconds between two looks at how much a client has taken that can be sent no more."""


class TooSlow(ConnectionResetError):
    """As if the client had gone: it is not worth a line in the log, and less a traceback."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the client is too slow")


@dataclass(frozen=True)
class Limits:
    """What a client gets: `seconds` without a byte, a second more for `pace` bytes, and `total` seconds for
    a whole request. Answers have no total: what is large takes long on a thin line."""

    seconds: float
    pace: float
    total: float


class Patience:
    """The seconds that a client has left, in one direction of one request."""

    def __init__(self, limits: Limits, total: float = math.inf) -> None:
        self.limits, self.total = limits, total
        self._left = limits.seconds

    @property
    def left(self) -> float:
        """Raises TooSlow when there is nothing left."""
        left = min(self._left, self.total)
        if left <= 0:
            raise TooSlow
        return left

    def account(self, *, waited: float, moved: int) -> None:
        """Take off seconds, and add what was earned with bytes meanwhile."""
        self.total -= waited
        self._left = min(self._left - waited + moved / self.limits.pace, self.limits.seconds)


class PacedSocket(socket.socket):
    """A client's connection. Waiting for it raises TooSlow when its time is up; our own work is free."""

    limits: Limits
    _reading: Patience
    _writing: Patience
    _sent = _taken = 0

    @classmethod
    def adopt(cls, sock: socket.socket, limits: Limits) -> Self:
        """The same connection; the old object is empty afterwards."""
        paced = cls(fileno=sock.detach())
        paced.limits = limits
        paced.setblocking(False)
        paced.begin()
        return paced

    def begin(self) -> None:
        """Another request: the time begins anew."""
        self._reading, self._writing = Patience(self.limits, self.limits.total), Patience(self.limits)

    def recv(self, *args: Any) -> bytes:
        with self._waiting(self._reading) as moved:
            self.settimeout(self._reading.left)
            data = super().recv(*args)
            moved.append(len(data))
            return data

    def send(self, data: Any, *args: Any) -> int:
        """At least one byte. What counts is what the client has taken: the kernel takes megabytes at once."""
        while True:
            with self._waiting(self._writing) as moved:
                self.settimeout(min(self._writing.left, LOOK_EVERY))
                try:
                    sent = super().send(data, *args)
                except TimeoutError:
                    sent = 0
                self._sent += sent
                before, self._taken = self._taken, self._sent - self._queued()
                moved.append(self._taken - before)
            if sent:
                return sent

    def sendall(self, data: Any, *args: Any) -> None:
        left = memoryview(data)
        while left:
            left = left[self.send(left, *args) :]

    def _queued(self) -> int:
        """Bytes that the other end has not acknowledged."""
        (queued,) = struct.unpack("i", fcntl.ioctl(self, termios.TIOCOUTQ, bytes(4)))
        return int(queued)

    @contextmanager
    def _waiting(self, patience: Patience) -> Iterator[list[int]]:
        since, moved = time.monotonic(), [0]
        try:
            yield moved
        except TimeoutError:
            raise TooSlow from None
        finally:
            patience.account(waited=time.monotonic() - since, moved=sum(moved))
