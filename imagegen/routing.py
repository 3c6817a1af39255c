"""Which connection serves this caller and this model."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn

import structlog
from django.core.cache import cache
from django.db import Error
from django.db.models import Case, F, Value, When
from django.utils import timezone

from imagegen.engines.base import EDIT, GENERATE, Engine, Model
from imagegen.engines.errors import EngineError, EngineTimeout, EngineUnavailable, NoTurn
from imagegen.errors import Disabled, InvalidRequest, NotAllowed
from imagegen.models import EngineConnection, ImageSettings
from imagegen.models.connection import find_usable

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

logger = structlog.stdlib.get_logger(__name__)

FRESH_SECONDS, STALE_SECONDS = 60, 24 * 3600
FAILURES_BEFORE_REST, REST = 3, timedelta(seconds=30)
_NAMED_AT_MOST = 30


@dataclass(frozen=True)
class Route:
    """A connection, its engine, and the model to ask it for (empty: the engine's own default)."""

    connection: EngineConnection
    engine: Engine
    model: str


@dataclass(frozen=True)
class OfferedModel:
    """A model as the API lists it. `id` works as `model`, and so does `connection/id`."""

    id: str
    name: str
    connection: str
    engine: str


def choose(
    settings: ImageSettings, user: User | AnonymousUser, operation: str, model: str = ""
) -> list[Route]:
    """The route for `operation` (generate, edit or portrait), and those to fail over to, in order.

    Without `model`: the selected connection and its default model. A model is looked for there first,
    then at the other connections the caller may use; `connection/model` names one outright, and then
    there is no other. A connection that rests after repeated failures goes to the end.

    Raises Disabled, NotAllowed, InvalidRequest (field `model`).
    """
    usable = _usable(settings, user, operation)
    if model:
        routes = _offering(usable, model) or _unknown(usable, model, operation)
    else:
        routes = [route_to(connection) for connection in _at_default(usable, settings, operation)]
    return sorted(routes, key=lambda route: route.connection.is_resting)


def _usable(settings: ImageSettings, user: User | AnonymousUser, operation: str) -> list[EngineConnection]:
    """What the caller may use, the selected connection first."""
    selected = settings.connection_id_for(operation)
    return sorted(find_usable(user), key=lambda connection: connection.pk != selected)


def _at_default(
    usable: list[EngineConnection], settings: ImageSettings, operation: str
) -> list[EngineConnection]:
    if usable and usable[0].pk == settings.connection_id_for(operation):
        return [usable[0], *_fallbacks(usable[1:])]
    selected = settings.connection_for(operation)
    if selected is None:
        raise Disabled("No image engine is selected. Please ask an administrator to choose one.")
    if not selected.enabled:
        raise Disabled("The selected image engine is switched off. Please ask an administrator.")
    raise NotAllowed("You may not use the image engine that is selected.")


def _fallbacks(connections: Iterable[EngineConnection]) -> list[EngineConnection]:
    """Those with a place in the order of failover; `find_usable` has put it on them."""
    place = attrgetter("fallback_position")
    return sorted((c for c in connections if place(c) is not None), key=place)


def route_to(connection: EngineConnection) -> Route:
    """This connection with its default model, whoever may use it and whether it is enabled or not."""
    engine = connection.to_engine()
    return Route(connection, engine, engine.config.model)


def _offering(usable: list[EngineConnection], model: str) -> list[Route]:
    name, _, rest = model.partition("/")
    named = [connection for connection in usable if connection.name == name and rest]
    if outright := _first_offering(named, rest):
        return [outright]
    first = _first_offering(usable, model)
    if first is None:
        return []
    others = [connection for connection in _fallbacks(usable) if connection != first.connection]
    return [first, *filter(None, (_first_offering([other], model) for other in others))]


def _first_offering(connections: Iterable[EngineConnection], model: str) -> Route | None:
    """The first connection that has the model. What staff entered is looked at before any is asked."""
    routes = [Route(connection, connection.to_engine(), model) for connection in connections]
    for route in routes:
        if model in (route.engine.config.model, *route.engine.config.models):
            return route
    for route in routes:
        if any(offered.id == model for offered in list_models(route.connection, route.engine)):
            return route
    return None


def _unknown(usable: list[EngineConnection], model: str, operation: str) -> NoReturn:
    offered = [item.id for connection in usable for item in offered_by(connection, operation)]
    names = ", ".join(dict.fromkeys(offered[:_NAMED_AT_MOST])) or "none"
    raise InvalidRequest("model", f"Unknown model {model[:100]!r}. Available to you: {names}.")


def note_outcome(connection: EngineConnection, errors: Iterable[EngineError | None]) -> None:
    """Count failures in a row; let a connection rest for a while after several. Writes only on change, and
    where the database is away not at all: what was made or went wrong matters more. A call whose turn did not
    come says nothing of the engine.
    """
    asked = (error for error in errors if not isinstance(error, NoTurn))
    faults = [isinstance(error, (EngineUnavailable, EngineTimeout)) for error in asked]
    if not faults:
        return
    if all(faults):
        several = When(failures__gte=FAILURES_BEFORE_REST - 1, then=Value(timezone.now() + REST))
        noted: dict[str, Any] = {"failures": F("failures") + 1, "rests_until": Case(several)}
    elif connection.failures and not any(faults):
        noted = {"failures": 0, "rests_until": None}
    else:
        return
    try:
        EngineConnection.objects.filter(pk=connection.pk).update(**noted)
    except Error:
        logger.exception("outcome not noted", connection=connection.name)


def offered_to(settings: ImageSettings, user: User | AnonymousUser, operation: str) -> list[OfferedModel]:
    """Every model that the caller may use for `operation`, the selected connection's first."""
    usable = _usable(settings, user, operation)
    return [item for connection in usable for item in offered_by(connection, operation)]


def offered_by(connection: EngineConnection, operation: str) -> list[OfferedModel]:
    """The configured model is always among them."""
    engine = connection.to_engine()
    models = list_models(connection, engine)
    if engine.config.model and all(model.id != engine.config.model for model in models):
        models = [Model(engine.config.model), *models]
    return [
        OfferedModel(model.id, model.name or model.id, connection.name, connection.engine)
        for model in models
        if (EDIT if operation == EDIT else GENERATE) in engine.capabilities(model.id).operations
    ]


def list_models(connection: EngineConnection, engine: Engine) -> list[Model]:
    """Asked of the engine at most once a minute; while it is down, what it said last, else what staff
    entered."""
    key = f"models:{connection.pk}:{connection.updated_at.timestamp()}"
    known: tuple[float, list[Model]] | None = cache.get(key)
    if known and time.time() < known[0]:
        return known[1]
    try:
        models = engine.models()
    except EngineError as error:
        logger.warning("models not listed", connection=connection.name, code=error.code, detail=error.detail)
        entered = (engine.config.model, *engine.config.models)
        models = known[1] if known else [Model(id) for id in dict.fromkeys(filter(None, entered))]
    cache.set(key, (time.time() + FRESH_SECONDS, models), STALE_SECONDS)
    return models
