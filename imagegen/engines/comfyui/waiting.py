"""From a prompt that is sent to what the history says of it.

History and queue are polled. Following `/ws` instead would show progress and save requests; it belongs
here, and `Capabilities.progress` is false until then.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from imagegen.engines.comfyui import outcomes
from imagegen.engines.comfyui.server import Server
from imagegen.engines.comfyui.workflows import Template
from imagegen.engines.errors import (
    EngineError,
    EngineMisconfigured,
    EngineTimeout,
    EngineUnavailable,
    RateLimited,
)

logger = logging.getLogger(__name__)

SHORTEST, LONGEST = 0.1, 2.0
SHARE = 0.05
"""Seconds between two looks: a twentieth of the time waited so far, within these bounds."""

QUEUE_EVERY = 4
"""Looks at the history for one at the queue, which is only there to notice that a prompt is gone."""

PATIENCE = 3
"""Looks in a row that may fail before the server counts as down; each is only a question."""

TO_WITHDRAW = 3.0
"""Seconds past the deadline in which a prompt that nobody waits for any more is taken back."""


def run(
    server: Server, payload: Mapping[str, Any], template: Template, deadline_at: float
) -> tuple[str, dict[str, Any]]:
    """Queue a prompt and wait for it; return its id and its entry in the history.

    Raises EngineError. Whenever the prompt may have been queued by then, it is taken back first.
    """
    with _withdrawn_on_failure(server, payload["prompt_id"]):
        id, errors = server.submit(payload, deadline_at)
    with _withdrawn_on_failure(server, id):
        try:
            _check_parts(server, template, errors)
            return id, _Watch(server, id, deadline_at).wait()
        except EngineError as error:
            error.may_have_charged = True
            raise


def _check_parts(server: Server, template: Template, errors: Mapping[str, Any]) -> None:
    """Of a graph that runs in part, at least one wanted output must be in that part."""
    if not errors:
        return
    detail = server.scrub(f"a part of the workflow does not run: {'; '.join(outcomes.node_errors(errors))}")
    if template.wanted and not set(template.wanted) - outcomes.broken_outputs(errors):
        raise EngineMisconfigured(detail=detail)
    logger.warning("%s", detail)


@dataclass
class _Watch:
    """One who waits for a prompt, and what was seen of it so far."""

    server: Server
    id: str
    deadline_at: float
    place: str = ""
    looks: int = 0
    failures: int = 0
    out_of_sight: bool = False

    def wait(self) -> dict[str, Any]:
        started = now = time.monotonic()
        while now < self.deadline_at:
            entry, gone = self._look_patiently()
            if entry is not None:
                return entry
            if gone:
                raise self._gone()
            now = time.monotonic()
            time.sleep(pause(now - started, self.deadline_at - now))
            now = time.monotonic()
        raise EngineTimeout(detail=f"the prompt was still {self.place or 'unfinished'} at the deadline")

    def _look_patiently(self) -> tuple[dict[str, Any] | None, bool]:
        """As `_look`, but a few looks may fail: the prompt runs on meanwhile."""
        try:
            seen = self._look()
        except (EngineUnavailable, EngineTimeout, RateLimited) as error:
            self.out_of_sight = True
            self.failures += not isinstance(error, EngineTimeout)
            if self.failures >= PATIENCE:
                raise
            return None, False
        self.failures = 0
        return seen

    def _look(self) -> tuple[dict[str, Any] | None, bool]:
        """The entry in the history, if there is one, and whether nobody knows the prompt any more."""
        self.looks += 1
        entry = self.server.history(self.id, self.deadline_at)
        if entry is not None or self.looks % QUEUE_EVERY:
            return entry, False
        if place := self.server.place(self.id, self.deadline_at):
            self.place = place
            return None, False
        # It may have finished between the two questions.
        return self.server.history(self.id, self.deadline_at), True

    def _gone(self) -> EngineUnavailable:
        """A running prompt cannot be deleted, and an interrupted one leaves a history."""
        if self.out_of_sight or self.place == "running":
            detail = "neither in the queue nor in the history any more: restarted?"
            return EngineUnavailable(outcomes.RESTARTED, detail=detail)
        return EngineUnavailable(outcomes.DEQUEUED, detail="deleted from the queue before it ran")


def pause(waited: float, left: float) -> float:
    """Seconds until the next look, for one who has waited this long and has this much time left."""
    return max(0.0, min(max(SHORTEST, waited * SHARE), LONGEST, left))


@contextmanager
def _withdrawn_on_failure(server: Server, id: str) -> Iterator[None]:
    try:
        yield
    except EngineError as error:
        if error.may_have_charged:
            try:
                server.withdraw(id, time.monotonic() + TO_WITHDRAW)
            except EngineError as second:
                logger.warning("prompt %s was not withdrawn: %s", server.scrub(id), second.detail)
        raise
