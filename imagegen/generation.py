"""The only way from a request to stored pictures.

`generate()` finds the route, writes down what is about to happen, waits for the engine's whole answer, and
only then, a few at a time, parses, checks and stores. From the last byte of an answer on, a paid picture
survives the process: until rows point at its pictures, the answer lies in `EASEL_INCOMING_DIR`, or in memory
from where gunicorn's master puts it there (`imagegen.landing`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from django.db import DatabaseError, Error, IntegrityError, transaction
from django.utils import timezone
from opentelemetry import trace

from imagegen import metrics, prepared, quotas, routing, space
from imagegen.calls import Delivery, Plan, deliver
from imagegen.engines.base import Capabilities, EditRequest, ImageRequest
from imagegen.engines.errors import EngineError, EngineMisconfigured, Unsupported, error_for_code
from imagegen.engines.sizes import Size
from imagegen.errors import (
    Disabled,
    Interrupted,
    InvalidRequest,
    NotStored,
    OtherBody,
    QuotaExceeded,
    StillRunning,
)
from imagegen.models import EngineConnection, Generation, GroupQuota, ImageFile, ImageSettings, Quota
from imagegen.models.generation import QUOTA_EXCEEDED
from imagegen.models.quota import NO_QUOTA
from imagegen.models.settings import AUTO, parse_size
from imagegen.orders import Made, Order
from imagegen.outlasting import Patience
from imagegen.overdue import CUT_OFF, close_overdue
from imagegen.tracing import current_trace_id
from imagegen.waiting import room
from imagegen.write_queue import writing

if TYPE_CHECKING:
    from imagegen.sources import Sources

__all__ = ["Made", "Order", "generate"]

logger = structlog.stdlib.get_logger(__name__)
tracer = trace.get_tracer(__name__)

Status = Generation.Status

PORTRAIT_SIZE = Size(512, 512)
NOT_STORED, INTERNAL_ERROR = "not_stored", "internal_error"
_OWN_FAULTS = {NOT_STORED: NotStored, CUT_OFF: Interrupted}
STORING_SECONDS = 60
"""What may pass between an engine's deadline and the row that closes its generation."""


class TooLate(DatabaseError):
    """Whoever closes what is overdue has closed this generation, before its pictures had rows."""


def generate(order: Order, *, read_sources: Callable[[], Sources] | None = None) -> Made:
    """Make or edit the pictures of an order and store them.

    The sources of an edit are read only once it is clear that somebody will be asked to edit them.
    Returns as many as were asked for, or fewer when some of several calls failed.

    Raises:
        ImageServiceError: the order is refused, or its pictures could not be stored.
        EngineError: no engine delivered anything.
    """
    current = ImageSettings.objects.current()
    _refuse_disabled(order, current)
    with room.place(), tracer.start_as_current_span(order.operation):
        earlier = _earlier(order)
        if earlier is not None:
            return _replay(earlier, order)
        space.check()
        if order.n > current.max_pictures:
            raise InvalidRequest("n", f"Must be at most {current.max_pictures}.")
        if order.connection is not None:
            routes = [routing.route_to(order.connection)]
        else:
            routes = routing.choose(current, order.user, order.operation, order.model)
        if read_sources is not None:
            order = replace(order, **vars(read_sources()))
        plans = _plan(order, current, routes)
        quota = GroupQuota.objects.of(order.user) if current.quotas_exist else NO_QUOTA
        try:
            generation = _begin(order, plans, quota)
        except (IntegrityError, QuotaExceeded) as refused:
            first = _earlier(order)
            if first is not None:  # the same key came in twice at once, and the other was first
                return _replay(first, order)
            if isinstance(refused, QuotaExceeded):
                _write_refusal(order, plans, refused)
            raise
        return _carry_out(generation, plans, order)


def _refuse_disabled(order: Order, current: ImageSettings) -> None:
    if not current.generation_enabled:
        raise Disabled("Image generation is switched off.")
    if order.is_edit and not current.edit_enabled:
        raise Disabled("Image editing is switched off.")


def _plan(order: Order, current: ImageSettings, routes: Sequence[routing.Route]) -> list[Plan]:
    """The first connection with the request it will get, then those that could stand in for it.

    Raises InvalidRequest, Unsupported, EngineMisconfigured.
    """
    first, *others = routes
    plans = [_plan_for(first, order, current)]
    for route in others:
        with suppress(InvalidRequest, Unsupported, EngineMisconfigured):
            plans.append(_plan_for(route, order, current))
    return plans


def _plan_for(route: routing.Route, order: Order, current: ImageSettings) -> Plan:
    """Raises InvalidRequest, Unsupported and EngineMisconfigured for what this model cannot do."""
    request = _request(order, current, route)
    route.engine.check_request(request)
    size = None if current.keep_native and not order.is_portrait else request.size
    return Plan(route, request, size, current.write_provenance)


def _request(order: Order, current: ImageSettings, route: routing.Route) -> ImageRequest:
    """The order in the engine's terms. Raises InvalidRequest for what this model cannot do."""
    request = ImageRequest(
        prompt=order.prompt,
        model=route.model,
        size=_asked_size(order, current, route.engine.capabilities(route.model)),
        n=order.n,
        steps=order.steps or current.default_steps,
        negative_prompt=order.negative_prompt,
        seed=order.seed,
    )
    if not order.is_edit:
        return request
    return EditRequest(**vars(request), images=order.images, mask=order.mask, background=order.background)


def _asked_size(order: Order, current: ImageSettings, capabilities: Capabilities) -> Size | None:
    """None where the engine is to choose."""
    if order.is_portrait:
        return PORTRAIT_SIZE
    if order.size == AUTO and not capabilities.auto_size:
        raise InvalidRequest("size", "This model does not choose a size by itself: ask for WIDTHxHEIGHT.")
    configured = current.default_edit_size if order.is_edit else current.default_size
    size = order.size or configured or AUTO
    return None if size == AUTO else parse_size(size)


def _begin(order: Order, plans: list[Plan], quota: Quota) -> Generation:
    """Evidence first: the row is there before the engine hears of it, and holds what it may take.

    Raises QuotaExceeded, and IntegrityError for an idempotency key that is there already.
    """
    longest = max(plan.route.engine.config.deadline for plan in plans)
    reserved = max(plan.route.connection.price for plan in plans) * order.n
    # Without a quota there is nothing to count, and one statement needs no transaction around it.
    with writing(), nullcontext() if quota == NO_QUOTA else transaction.atomic():
        quotas.check(order.user, quota, pictures=order.n, money=reserved)
        now = timezone.now()
        return _write_down(
            order,
            plans,
            reserved=reserved,
            idempotency_key=order.idempotency_key,
            fingerprint=order.fingerprint,
            created_at=now,
            deadline_at=now + timedelta(seconds=longest + STORING_SECONDS),
        )


def _write_refusal(order: Order, plans: list[Plan], refusal: QuotaExceeded) -> None:
    """For staff to see. Without the idempotency key: the same request may pass once the quota resets."""
    now = timezone.now()
    _write_down(
        order,
        plans,
        status=Status.FAILED,
        pictures_failed=order.n,
        error_code=QUOTA_EXCEEDED,
        error_message=refusal.message,
        created_at=now,
        deadline_at=now,
        finished_at=now,
    )


def _write_down(order: Order, plans: list[Plan], **fields: Any) -> Generation:
    route, request = plans[0].route, plans[0].request
    generation = Generation(
        user=order.user,
        operation=order.operation,
        connection=route.connection,
        connection_name=route.connection.name,
        engine=route.connection.engine,
        model=route.model,
        prompt=order.prompt,
        parameters={
            "size": str(request.size or AUTO),
            "steps": request.steps,
            "negative_prompt": request.negative_prompt,
            "seed": request.seed,
            "metadata": order.metadata,
        },
        pictures_asked=order.n,
        chat_id=order.chat_id,
        message_id=order.message_id,
        trace_id=current_trace_id(),
        **fields,
    )
    prepared.insert([generation])
    return generation


def _carry_out(generation: Generation, plans: list[Plan], order: Order) -> Made:
    patience = Patience(generation.deadline_at)
    delivery = Delivery()
    with _closed_whatever_happens(generation, patience):
        with delivery.answers_kept():
            deliver(delivery, generation, plans, order)
            generation.path = delivery.path
            if delivery.files:
                patience.outlast(lambda: _record(generation, delivery))
        if not delivery.files:
            raise _told(delivery)
    logger.info(
        "pictures made",
        generation=str(generation.pk),
        connection=generation.connection_name,
        model=generation.model,
        pictures=len(delivery.files),
        failed=generation.pictures_failed,
    )
    return Made(generation, sorted(delivery.files, key=lambda file: file.position))


def _told(delivery: Delivery) -> EngineError:
    """Of all errors the first: the selected connection's. What any call may have cost is kept."""
    error = delivery.errors[0]
    error.may_have_charged = delivery.may_have_charged
    error.cost = None if delivery.cost is None else float(delivery.cost)
    return error


@contextmanager
def _closed_whatever_happens(generation: Generation, patience: Patience) -> Iterator[None]:
    """Write down how a generation failed. An answer that could not be stored stays on disk."""
    try:
        yield
    except EngineError as error:
        _close_failed(
            generation,
            patience,
            error.code,
            error.message,
            error.detail,
            may_have_charged=error.may_have_charged,
            cost=error.cost,
        )
        raise
    except (OSError, Error) as error:
        logger.exception("pictures not stored; the answers are kept", generation=str(generation.pk))
        told = "The pictures were made but could not be stored. An administrator may be able to recover them."
        reason = type(error.__cause__ or error).__name__
        _close_failed(generation, patience, NOT_STORED, told, reason, may_have_charged=True)
        raise NotStored(told) from error
    except BaseException as error:
        told = "Something went wrong on our side."
        _close_failed(generation, patience, INTERNAL_ERROR, told, type(error).__name__, may_have_charged=True)
        raise


def _record(generation: Generation, delivery: Delivery) -> None:
    """Rows for what is stored, and the end of the generation. Raises TooLate."""
    made_by = delivery.made_by
    assert made_by is not None, "files came from somewhere"  # noqa: S101
    try:
        _write_end(generation, delivery, made_by, connection=made_by.connection)
    except IntegrityError:  # staff have deleted it since
        _write_end(generation, delivery, made_by, connection=None)
    _count(generation, generation.status, pictures=len(delivery.files))


def _write_end(
    generation: Generation, delivery: Delivery, made_by: routing.Route, *, connection: EngineConnection | None
) -> None:
    """Together or not at all.

    Raises TooLate where the row's deadline has passed and somebody has closed it: its answers stay, and are
    given back as after a crash.
    """
    failed = generation.pictures_asked - len(delivery.files)
    error = delivery.errors[0] if delivery.errors else None
    with writing(), transaction.atomic():
        closed = generation.close(
            Status.PARTIAL if failed else Status.SUCCEEDED,
            connection=connection,
            connection_name=made_by.connection.name,
            engine=made_by.connection.engine,
            model=made_by.model,
            path=delivery.path,
            pictures_failed=failed,
            error_code=error.code if error else "",
            error_detail=error.detail if error else "",
            may_have_charged=delivery.may_have_charged,
            cost=delivery.cost,
        )
        if closed:
            prepared.insert(delivery.files)
        elif not ImageFile.objects.filter(pk=delivery.files[0].pk).exists():
            raise TooLate
        # else an earlier try was committed, and the database went away before it could say so


def _close_failed(
    generation: Generation,
    patience: Patience,
    code: str,
    message: str,
    detail: str,
    *,
    may_have_charged: bool,
    cost: float | None = None,
) -> None:
    """Close the row; where the database stays away, its deadline closes it later."""
    _count(generation, code)
    close = partial(
        generation.close,
        Status.FAILED,
        pictures_failed=generation.pictures_asked,
        error_code=code,
        error_message=message,
        error_detail=detail,
        may_have_charged=may_have_charged,
        cost=None if cost is None else Decimal(str(cost)),
        path=generation.path,
    )
    try:
        patience.outlast(close)
    except Error:
        logger.exception("generation not closed", generation=str(generation.pk), code=code)


def _count(generation: Generation, outcome: str, *, pictures: int = 0) -> None:
    labels = generation.connection_name, generation.engine, generation.operation
    metrics.generations(*labels, outcome).inc()
    metrics.pictures(*labels).inc(pictures)


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
        if own := _OWN_FAULTS.get(earlier.error_code):
            raise own(earlier.error_message)
        raise error_for_code(earlier.error_code, earlier.error_message)
    return Made(earlier, list(ImageFile.objects.alive().filter(generation=earlier).order_by("position")))
