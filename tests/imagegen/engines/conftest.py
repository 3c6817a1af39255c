import contextlib
import threading
import time

import pytest

from imagegen.engines.base import Call
from imagegen.engines.spool import Spool


class Gate:
    """Counts how often it is passed, and fails when it is passed twice at once."""

    def __init__(self):
        self.passed, self.lock = 0, threading.Lock()

    @contextlib.contextmanager
    def __call__(self):
        assert self.lock.acquire(blocking=False)
        self.passed += 1
        try:
            yield
        finally:
            self.lock.release()


@pytest.fixture
def call(tmp_path):
    """A call with twenty seconds, an empty folder and a gate that counts."""
    return Call(Spool(tmp_path, "generation-0"), time.monotonic() + 20, Gate())
