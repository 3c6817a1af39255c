"""Which connection serves this caller and this model."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from django.core.cache import cache

from imagegen.engines.base import Engine, Model
from imagegen.engines.errors import EngineError
from imagegen.errors import Disabled, InvalidRequest, NotAllowed
from imagegen.models import EngineConnection, ImageSettings

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

logger = structlog.stdlib.get_logger(__name__)

FRESH_SECONDS, STALE_SECONDS = 60, 24 * 3600
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


def choose(settings: ImageSettings, user: User | AnonymousUser, operation: str, model: str = "") -> Route:
    """The route for `operation` (generate, edit or portrait).

    Without `model`, the selected connection and its default model. A model is looked for there first,
    then at the other connections the caller may use; `connection/model` names one outright.

    Raises Disabled, NotAllowed, InvalidRequest (field `model`).
    """
    selected = settings.connection_for(operation)
    usable = _selected_first(EngineConnection.objects.usable_by(user), selected)
    if model:
        return _named(usable, model)
    if selected is None or not selected.enabled:
        raise Disabled("No image engine is selected. Please ask an administrator to choose one.")
    if usable[:1] != [selected]:
        raise NotAllowed("You may not use the image engine that is selected.")
    engine = selected.to_engine()
    return Route(selected, engine, engine.config.model)


def _selected_first(connections: object, selected: EngineConnection | None) -> list[EngineConnection]:
    rows: list[EngineConnection] = list(connections)  # type: ignore[call-overload]
    return sorted(rows, key=lambda connection: connection != selected)


def _named(usable: list[EngineConnection], model: str) -> Route:
    name, _, rest = model.partition("/")
    for connection in usable:
        if connection.name == name and rest:
            return _if_offered([connection], rest) or _unknown(usable, model)
    return _if_offered(usable, model) or _unknown(usable, model)


def _if_offered(connections: list[EngineConnection], model: str) -> Route | None:
    """The first connection that has the model. What staff entered is looked at before any is asked."""
    engines = [(connection, connection.to_engine()) for connection in connections]
    for connection, engine in engines:
        if model in (engine.config.model, *engine.config.models):
            return Route(connection, engine, model)
    for connection, engine in engines:
        if any(offered.id == model for offered in list_models(connection, engine)):
            return Route(connection, engine, model)
    return None


def _unknown(usable: list[EngineConnection], model: str) -> Route:
    offered = [item.id for connection in usable for item in offered_by(connection)]
    names = ", ".join(dict.fromkeys(offered[:_NAMED_AT_MOST])) or "none"
    raise InvalidRequest("model", f"Unknown model {model[:100]!r}. Available to you: {names}.")


def offered_to(settings: ImageSettings, user: User | AnonymousUser, operation: str) -> list[OfferedModel]:
    """Every model that the caller may use for `operation`, the selected connection's first."""
    selected = settings.connection_for(operation)
    usable = _selected_first(EngineConnection.objects.usable_by(user), selected)
    return [item for connection in usable for item in offered_by(connection, operation)]


def offered_by(connection: EngineConnection, operation: str = "generate") -> list[OfferedModel]:
    """The configured model is always among them."""
    engine = connection.to_engine()
    models = list_models(connection, engine)
    if engine.config.model and all(model.id != engine.config.model for model in models):
        models = [Model(engine.config.model), *models]
    return [
        OfferedModel(model.id, model.name or model.id, connection.name, connection.engine)
        for model in models
        if operation in engine.capabilities(model.id).operations
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
