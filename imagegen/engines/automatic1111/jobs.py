"""Asking the server, and what its answers say of a job.

`POST /internal/progress {"id_task"}` -> {active, queued, completed, progress} tells of one job, by the id
it was given; it is there when the web UI is. `GET /sdapi/v1/progress` -> {progress, state: {job,
job_count, interrupted, …}} tells of whatever runs. Recorded; stable-diffusion.cpp has neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imagegen.engines.automatic1111.refusals import NoSuchAddress
from imagegen.engines.http import Body, Client

API = "/sdapi/v1"
PROGRESS = f"{API}/progress?skip_current_image=true"


@dataclass(frozen=True)
class Job:
    """Whether a job runs at this moment, and how far it is (0 to 1).

    `ours` is False where the server tells of whatever runs, and it may be someone else's.
    """

    running: bool
    progress: float
    ours: bool


def ask(
    client: Client, path: str, *, method: str = "GET", body: Body | None = None, deadline_at: float
) -> Any | None:
    """What the server answers, None where it has no such address. Raises EngineError."""
    try:
        return client.exchange(method, path, body=body, deadline_at=deadline_at).json()
    except NoSuchAddress:
        return None


def look(client: Client, task: str, *, deadline_at: float) -> Job | None:
    """The job with this id, or else whatever runs; None where the server tells nothing.

    Raises EngineError.
    """
    body = Body.json({"id_task": task, "live_preview": False})
    own = ask(client, "/internal/progress", method="POST", body=body, deadline_at=deadline_at)
    if isinstance(own, dict) and any(own.get(name) is True for name in ("active", "queued", "completed")):
        done = 1.0 if own.get("completed") is True else _fraction(own.get("progress"))
        return Job(own.get("active") is True, done, ours=True)
    seen = ask(client, PROGRESS, deadline_at=deadline_at)
    state = state_of(seen)
    if seen is None or state is None:
        return None
    return Job(bool(state.get("job") or state.get("job_count")), _fraction(seen.get("progress")), ours=False)


def state_of(seen: Any) -> dict[str, Any] | None:
    """The `state` in an answer of `/sdapi/v1/progress`."""
    state = seen.get("state") if isinstance(seen, dict) else None
    return state if isinstance(state, dict) else None


def _fraction(value: Any) -> float:
    return min(max(float(value), 0.0), 1.0) if isinstance(value, int | float) else 0.0
