"""From a plan to stored pictures: as many calls as it takes, and the next connection where one fails.

A call's answer lands where it outlives this process. Then, a few at a time, answers are parsed, their
pictures checked and stored. What was not made, and cannot have been charged, is asked of the next connection.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django.db import connections

from imagegen import metrics
from imagegen.database import release_connections
from imagegen.engines.base import Call, EditRequest, EngineImage, ImageRequest
from imagegen.engines.errors import (
    BadEngineResponse,
    EngineError,
    EngineMisconfigured,
    EngineTimeout,
    EngineUnavailable,
    RateLimited,
)
from imagegen.engines.sizes import Size
from imagegen.engines.spool import Answer, Spool
from imagegen.incoming import CallName
from imagegen.models import Generation, ImageFile
from imagegen.orders import Order
from imagegen.pictures import NotAPicture
from imagegen.routing import Route, note_outcome
from imagegen.storing import store_image, tool_name
from imagegen.turns import turn

logger = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

PARALLEL_CALLS = 4
IMPLAUSIBLE = 10_000
"""US dollars: what an engine says of a call is believed below. A hundred of them have room in the column."""
FAILS_OVER = (EngineUnavailable, EngineTimeout, RateLimited, EngineMisconfigured)


class Gate:
    """So many may pass at once. How long each has waited is counted."""

    def __init__(self, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)

    def __enter__(self) -> None:
        started = time.perf_counter()
        self._places.acquire()
        metrics.gate_seconds.observe(time.perf_counter() - started)

    def __exit__(self, *_: object) -> None:
        self._places.release()


gate = Gate(4)
"""Held while a picture is in memory: four of them at a time, not five hundred."""


@dataclass(frozen=True)
class Plan:
    """A connection, the order in its engine's terms, and what is done to its pictures.

    `size` is that of the stored picture, None for the native one. With `provenance` a note goes into it.
    """

    route: Route
    request: ImageRequest
    size: Size | None = None
    provenance: bool = False


@dataclass
class Delivery:
    """What all calls together brought.

    Attributes:
        files: rows whose bytes are stored, not yet saved themselves.
        errors: what went wrong, in order; empty when every picture came from the first connection.
        spools: where the answers lie until the rows are saved.
        cost: US dollars: what an engine said that its call took, where that can be, else its connection's
            price for each picture; None where nobody knows of any.
        path: for the generation's row: which connections were asked, and how that ended.
        made_by: the connection that made the last picture.
    """

    files: list[ImageFile] = field(default_factory=list)
    errors: list[EngineError] = field(default_factory=list)
    spools: list[Spool] = field(default_factory=list)
    cost: Decimal | None = None
    path: list[dict[str, Any]] = field(default_factory=list)
    made_by: Route | None = None

    @property
    def may_have_charged(self) -> bool:
        return any(error.may_have_charged for error in self.errors)

    @contextmanager
    def answers_kept(self) -> Iterator[None]:
        """Until all is recorded; and where that fails, for `reconcile_files` to find."""
        try:
            yield
        except BaseException:
            for spool in self.spools:
                try:
                    spool.keep()
                except OSError:
                    logger.exception("answer in memory alone, until this process ends", call=spool.name)
            raise
        for spool in self.spools:
            spool.clear_named()


@dataclass
class _Outcome:
    """Of one call, for the pictures with these numbers."""

    numbers: Sequence[int]
    files: list[ImageFile] = field(default_factory=list)
    error: EngineError | None = None
    cost: float | None = None

    @property
    def left_over(self) -> Sequence[int]:
        """The pictures that another connection may be asked for."""
        fails_over = isinstance(self.error, FAILS_OVER) and not self.error.may_have_charged
        return self.numbers if fails_over and not self.files else ()


def deliver(delivery: Delivery, generation: Generation, plans: Sequence[Plan], order: Order) -> None:
    """Carry out the first plan; what it leaves over, the next.

    Raises what the storage raises. Errors of engines are in the delivery.
    """
    deadline_at = time.monotonic() + max(plan.route.engine.config.deadline for plan in plans)
    wanted: Sequence[int] = range(order.n)
    for plan in plans:
        started = time.monotonic()
        release_connections()
        outcomes = _ask(delivery.spools, generation, plan, wanted, deadline_at)
        _add(delivery, plan.route, outcomes, seconds=time.monotonic() - started)
        note_outcome(plan.route.connection, [outcome.error for outcome in outcomes])
        wanted = [number for outcome in outcomes for number in outcome.left_over]
        if not wanted or time.monotonic() >= deadline_at:
            break


def _add(delivery: Delivery, route: Route, outcomes: Iterable[_Outcome], *, seconds: float) -> None:
    step: dict[str, Any] = {"connection": route.connection.name, "model": route.model, "pictures": 0}
    for outcome in outcomes:
        delivery.files += outcome.files
        step["pictures"] += len(outcome.files)
        cost = _cost(outcome, route)
        if cost is not None:
            delivery.cost = (delivery.cost or 0) + cost
        if outcome.error is not None:
            delivery.errors.append(outcome.error)
            step["error"] = outcome.error.code
            logger.warning(
                "engine failed",
                connection=route.connection.name,
                code=outcome.error.code,
                detail=outcome.error.detail,
            )
    if step["pictures"]:
        delivery.made_by = route
    delivery.path.append({**step, "seconds": round(seconds, 3)})


def _cost(outcome: _Outcome, route: Route) -> Decimal | None:
    if outcome.cost is not None and 0 <= outcome.cost < IMPLAUSIBLE:
        return Decimal(str(outcome.cost))
    return route.connection.price * len(outcome.files) or None


def _ask(
    spools: list[Spool], generation: Generation, plan: Plan, wanted: Sequence[int], deadline_at: float
) -> list[_Outcome]:
    """Calls for the wanted pictures, several at a time. Each one's spool is added to `spools` first."""
    folder = Path(settings.EASEL_INCOMING_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    engine, connection = plan.route.engine, plan.route.connection
    until = min(deadline_at, time.monotonic() + engine.config.deadline)
    per_call = engine.capabilities(plan.request.model).per_call
    jobs = []
    for numbers in _chunks(wanted, per_call):
        spools.append(Spool(folder, str(CallName(generation.pk, len(spools), connection.pk, numbers[0]))))
        call = Call(spools[-1], until, lambda: gate)
        jobs.append(partial(_one_call, generation, plan, numbers, call))
    if len(jobs) == 1:
        return [jobs[0]()]
    with ThreadPoolExecutor(min(len(jobs), connection.concurrency or PARALLEL_CALLS)) as pool:
        futures = [pool.submit(contextvars.copy_context().run, _beside, job) for job in jobs]
        return [future.result() for future in futures]


def _beside(call: Callable[[], T]) -> T:
    """In a thread of its own, which takes the connections to the database with it that it has opened."""
    try:
        return call()
    finally:
        connections.close_all()


def _chunks(numbers: Sequence[int], most: int) -> Iterator[list[int]]:
    """Runs of consecutive numbers, none longer than `most`: within a call, seeds count up by one."""
    chunk: list[int] = []
    for number in numbers:
        if chunk and (len(chunk) == most or number != chunk[-1] + 1):
            yield chunk
            chunk = []
        chunk.append(number)
    if chunk:
        yield chunk


def _one_call(generation: Generation, plan: Plan, numbers: Sequence[int], call: Call) -> _Outcome:
    """Ask, wait, then store. May run in a thread of its own, and holds no database connection there."""
    seed = plan.request.seed
    request = replace(plan.request, n=len(numbers), seed=None if seed is None else seed + numbers[0])
    outcome = _Outcome(numbers)
    try:
        _ask_and_store(outcome, generation, plan, request, call)
    except EngineError as error:
        outcome.error = error
        outcome.cost = outcome.cost if error.cost is None else error.cost
    finally:
        ended = outcome.error.code if outcome.error else metrics.OK
        metrics.calls(plan.route.connection.name, plan.route.connection.engine, ended).inc()
    return outcome


def _ask_and_store(
    outcome: _Outcome, generation: Generation, plan: Plan, request: ImageRequest, call: Call
) -> None:
    """Raises EngineError, and what the storage raises."""
    with turn(plan.route.connection, call):
        answer = _call_engine(plan.route, request, call)
    outcome.cost = answer.cost
    with gate:
        images = plan.route.engine.parse(answer)
        for number, image in zip(outcome.numbers, images, strict=False):
            _store(outcome, generation, plan, number, image, answer)
    if len(outcome.files) < request.n and outcome.error is None:
        detail = f"{len(outcome.files)} of {request.n} pictures in the answer"
        outcome.error = BadEngineResponse(detail=detail, may_have_charged=True)


def _call_engine(route: Route, request: ImageRequest, call: Call) -> Answer:
    labels = route.connection.name, route.connection.engine
    with metrics.engine_call(*labels):
        if isinstance(request, EditRequest):
            answer = route.engine.edit(request, call)
        else:
            answer = route.engine.generate(request, call)
    metrics.received(*labels).inc(answer.size())
    return answer


def _store(
    outcome: _Outcome, generation: Generation, plan: Plan, number: int, image: EngineImage, answer: Answer
) -> None:
    connection, model = plan.route.connection, plan.route.model
    tool = tool_name(connection.engine, model, generation) if plan.provenance else ""
    try:
        file = store_image(image, generation, number, size=plan.size, tool=tool, meta=answer.meta)
    except NotAPicture as error:
        outcome.error = BadEngineResponse(detail=f"picture {number}: {error}", may_have_charged=True)
    else:
        outcome.files.append(file)
