"""The only way from a request to stored pictures.

`generate()` finds the route, writes down what is about to happen, waits for the engine with its answer
going straight to disk, and only then, a few at a time, parses, checks and stores. From the last byte of
an answer on, a paid picture survives a crash: the answer lies in `EASEL_INCOMING_DIR` until rows point
at its pictures.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone
from opentelemetry import trace

from imagegen import pictures, routing, storage
from imagegen.database import release_connections
from imagegen.engines.base import Call, Capabilities, EngineImage, ImageRequest, Spool
from imagegen.engines.errors import BadEngineResponse, EngineError, error_for_code
from imagegen.engines.sizes import Size
from imagegen.errors import Disabled, InvalidRequest, NotStored, OtherBody, StillRunning
from imagegen.models import Generation, ImageFile, ImageSettings
from imagegen.models.settings import AUTO, parse_size
from imagegen.tracing import current_trace_id
from imagegen.waiting import room

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = structlog.stdlib.get_logger(__name__)
tracer = trace.get_tracer(__name__)

Status = Generation.Status

PORTRAIT_SIZE = Size(512, 512)
PARALLEL_CALLS = 4
CUT_OFF = "interrupted"
STORING_SECONDS = 60
"""What may pass between an engine's deadline and the row that closes its generation."""

gate = threading.BoundedSemaphore(4)
"""Held while a picture is in memory: four of them at a time, not five hundred."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a person asks for.

    `size` is `WIDTHxHEIGHT`, `auto`, or empty for the configured one. `fingerprint` tells bodies apart
    that come under one `idempotency_key`.
    """

    user: User
    prompt: str
    operation: Generation.Operation = Generation.Operation.GENERATE
    model: str = ""
    size: str = ""
    n: int = 1
    steps: int | None = None
    negative_prompt: str = ""
    seed: int | None = None
    chat_id: str = ""
    message_id: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    idempotency_key: str = ""
    fingerprint: str = ""

    @property
    def is_portrait(self) -> bool:
        return self.operation == Generation.Operation.PORTRAIT


@dataclass(frozen=True)
class Made:
    """What became of an order: its row and its pictures, in order."""

    generation: Generation
    files: Sequence[ImageFile]


@dataclass
class _Outcome:
    """Of one call: rows not yet saved, what went wrong, and the answer on disk."""

    spool: Spool
    asked: int
    files: list[ImageFile] = field(default_factory=list)
    error: EngineError | None = None
    cost: float | None = None


def generate(order: Order) -> Made:
    """Make the pictures of an order and store them.

    Returns as many as were asked for, or fewer when some of several calls failed.

    Raises:
        ImageServiceError: the order is refused, or its pictures could not be stored.
        EngineError: the engine delivered nothing.
    """
    current = ImageSettings.objects.current()
    if not current.generation_enabled:
        raise Disabled("Image generation is switched off.")
    with room.place(), tracer.start_as_current_span("generate"):
        earlier = _earlier(order)
        if earlier is not None:
            return _replay(earlier, order)
        route = routing.choose(current, order.user, order.operation, order.model)
        request = _request(order, current, route)
        try:
            generation = _begin(order, route, request)
        except IntegrityError:  # the same key came in twice at once, and the other was first
            first = _earlier(order)
            if first is None:
                raise
            return _replay(first, order)
        return _carry_out(generation, route, request, order)


def _request(order: Order, current: ImageSettings, route: routing.Route) -> ImageRequest:
    """The order in the engine's terms. Raises InvalidRequest for what this model cannot do."""
    if order.n > current.max_pictures:
        raise InvalidRequest("n", f"Must be at most {current.max_pictures}.")
    return ImageRequest(
        prompt=order.prompt,
        model=route.model,
        size=_asked_size(order, current, route.engine.capabilities(route.model)),
        n=order.n,
        steps=order.steps or current.default_steps,
        negative_prompt=order.negative_prompt,
        seed=order.seed,
    )


def _asked_size(order: Order, current: ImageSettings, capabilities: Capabilities) -> Size | None:
    """None where the model is to choose."""
    if order.is_portrait:
        return PORTRAIT_SIZE
    if order.size == AUTO and not capabilities.auto_size:
        raise InvalidRequest("size", "This model does not choose a size by itself: ask for WIDTHxHEIGHT.")
    size = order.size or current.default_size
    return None if size == AUTO else parse_size(size)


def _begin(order: Order, route: routing.Route, request: ImageRequest) -> Generation:
    """Evidence first: the row is there before the engine hears of it. Raises IntegrityError."""
    now = timezone.now()
    asked = {
        "size": str(request.size or AUTO),
        "steps": request.steps,
        "negative_prompt": request.negative_prompt,
        "seed": request.seed,
        "metadata": order.metadata,
    }
    with transaction.atomic():
        return Generation.objects.create(
            user=order.user,
            operation=order.operation,
            connection=route.connection,
            connection_name=route.connection.name,
            engine=route.connection.engine,
            model=route.model,
            prompt=order.prompt,
            parameters=asked,
            pictures_asked=order.n,
            chat_id=order.chat_id,
            message_id=order.message_id,
            trace_id=current_trace_id(),
            idempotency_key=order.idempotency_key,
            fingerprint=order.fingerprint,
            created_at=now,
            deadline_at=now + timedelta(seconds=route.engine.config.deadline + STORING_SECONDS),
        )


def _carry_out(generation: Generation, route: routing.Route, request: ImageRequest, order: Order) -> Made:
    with _closed_whatever_happens(generation):
        release_connections()
        outcomes = _call_engine(generation, route, request, order)
        files = [file for outcome in outcomes for file in outcome.files]
        for error in filter(None, (outcome.error for outcome in outcomes)):
            logger.warning(
                "engine failed",
                generation=str(generation.pk),
                connection=route.connection.name,
                code=error.code,
                detail=error.detail,
            )
        if files:
            _record(generation, route, outcomes, files)
        for outcome in outcomes:
            outcome.spool.clear()
        if not files:
            raise next(outcome.error for outcome in outcomes if outcome.error)
    logger.info(
        "pictures made",
        generation=str(generation.pk),
        connection=route.connection.name,
        model=route.model,
        pictures=len(files),
        failed=generation.pictures_failed,
    )
    return Made(generation, files)


@contextmanager
def _closed_whatever_happens(generation: Generation) -> Iterator[None]:
    """Write down how a generation failed. An answer that could not be stored stays on disk."""
    try:
        yield
    except EngineError as error:
        _close_failed(
            generation,
            error.code,
            error.message,
            error.detail,
            may_have_charged=error.may_have_charged,
            cost=error.cost,
        )
        raise
    except (OSError, DatabaseError) as error:
        logger.exception("pictures not stored; the answers are kept", generation=str(generation.pk))
        told = "The pictures were made but could not be stored. An administrator can recover them."
        _close_failed(generation, "not_stored", told, type(error).__name__, may_have_charged=True)
        raise NotStored(told) from error
    except BaseException as error:
        told = "Something went wrong on our side."
        _close_failed(generation, "internal_error", told, type(error).__name__, may_have_charged=True)
        raise


def _call_engine(
    generation: Generation, route: routing.Route, request: ImageRequest, order: Order
) -> list[_Outcome]:
    """As many calls as it takes, several at a time, under one deadline."""
    per_call = route.engine.capabilities(route.model).per_call
    deadline_at = time.monotonic() + route.engine.config.deadline
    folder = Path(settings.EASEL_INCOMING_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    jobs = []
    for number, first in enumerate(range(0, request.n, per_call)):
        part = replace(
            request,
            n=min(per_call, request.n - first),
            seed=None if request.seed is None else request.seed + first,
        )
        call = Call(Spool(folder, f"{generation.pk}-{number}"), deadline_at, lambda: gate)
        jobs.append(partial(_one_call, generation, route, part, order, call, first))
    if len(jobs) == 1:
        return [jobs[0]()]
    at_once = min(len(jobs), route.connection.concurrency or PARALLEL_CALLS)
    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(contextvars.copy_context().run, job) for job in jobs]
        return [future.result() for future in futures]


def _one_call(
    generation: Generation, route: routing.Route, request: ImageRequest, order: Order, call: Call, first: int
) -> _Outcome:
    """Ask, wait, then store. Touches no database: it may run in a thread of its own."""
    outcome = _Outcome(call.spool, request.n)
    try:
        answer = route.engine.generate(request, call)
        outcome.cost = answer.cost
        with gate:
            for k, image in enumerate(route.engine.parse(answer)[: request.n], start=first):
                _store_one(outcome, generation, image, k, request.size, order, answer.meta)
    except EngineError as error:
        outcome.error = error
        outcome.cost = outcome.cost if error.cost is None else error.cost
    if not outcome.files and outcome.error is None:
        outcome.error = BadEngineResponse(detail="an answer without pictures", may_have_charged=True)
    return outcome


def _store_one(
    outcome: _Outcome,
    generation: Generation,
    image: EngineImage,
    k: int,
    size: Size | None,
    order: Order,
    answer_meta: dict[str, Any],
) -> None:
    try:
        picture = pictures.prepare(image.data, size=size, rgb_png=order.is_portrait)
    except pictures.NotAPicture as error:
        outcome.error = BadEngineResponse(detail=f"picture {k}: {error}", may_have_charged=True)
        return
    meta = {**answer_meta, **image.meta}
    if image.seed is not None:
        meta["seed"] = image.seed
    if image.revised_prompt:
        meta["revised_prompt"] = image.revised_prompt
    fields: dict[str, Any] = {"meta": meta}
    if order.is_portrait:
        now = timezone.now()
        fields["temp_name"] = storage.temp_name(now)
        fields["expires_at"] = now + timedelta(days=settings.EASEL_PORTRAIT_DAYS)
    outcome.files.append(storage.store(picture, generation, k, **fields))


def _record(
    generation: Generation, route: routing.Route, outcomes: list[_Outcome], files: list[ImageFile]
) -> None:
    """Rows for what is stored, and the end of the generation, together or not at all."""
    failed = generation.pictures_asked - len(files)
    error = next((outcome.error for outcome in outcomes if outcome.error), None)
    known = [outcome.cost for outcome in outcomes if outcome.cost is not None]
    price = route.connection.price * len(files)
    with transaction.atomic():
        ImageFile.objects.bulk_create(files)
        generation.close(
            Status.PARTIAL if failed else Status.SUCCEEDED,
            pictures_failed=failed,
            error_code=error.code if error else "",
            error_detail=error.detail if error else "",
            cost=Decimal(str(sum(known))) if known else price or None,
        )


def _close_failed(
    generation: Generation,
    code: str,
    message: str,
    detail: str,
    *,
    may_have_charged: bool,
    cost: float | None = None,
) -> None:
    """Close the row; where the database is away, its deadline closes it later."""
    try:
        generation.close(
            Status.FAILED,
            pictures_failed=generation.pictures_asked,
            error_code=code,
            error_message=message,
            error_detail=detail,
            may_have_charged=may_have_charged,
            cost=None if cost is None else Decimal(str(cost)),
        )
    except DatabaseError:
        logger.exception("generation not closed", generation=str(generation.pk), code=code)


def close_overdue() -> int:
    """Close what a crash left running past its deadline; return how many. Safe from any machine."""
    return Generation.objects.overdue().update(
        status=Status.FAILED,
        error_code=CUT_OFF,
        error_message="The service was interrupted while the picture was being made.",
        may_have_charged=True,
        finished_at=timezone.now(),
    )


def _earlier(order: Order) -> Generation | None:
    if not order.idempotency_key:
        return None
    return Generation.objects.filter(user=order.user, idempotency_key=order.idempotency_key).first()


def _replay(earlier: Generation, order: Order) -> Made:
    """The answer that the first request with this key got, from its rows.

    Raises OtherBody, StillRunning, and what the first request raised.
    """
    if earlier.fingerprint != order.fingerprint:
        raise OtherBody("This Idempotency-Key was used with another request.")
    if earlier.status == Status.RUNNING and earlier.deadline_at < timezone.now():
        close_overdue()
        earlier.refresh_from_db()
    if earlier.finished_at is None:
        wait = (earlier.deadline_at - timezone.now()).total_seconds()
        raise StillRunning(
            "The first request with this Idempotency-Key is still running.", retry_after=min(max(wait, 1), 5)
        )
    if earlier.status == Status.FAILED:
        raise error_for_code(earlier.error_code, earlier.error_message)
    return Made(earlier, list(ImageFile.objects.alive().filter(generation=earlier).order_by("position")))
