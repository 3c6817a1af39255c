"""What an engine says of itself, for the person who sets it up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from imagegen.configuration.verification import explain, origin_of
from imagegen.database import release_connections
from imagegen.engines import ENGINES
from imagegen.engines.base import EngineConfig
from imagegen.engines.errors import EngineError
from imagegen.models import EngineConnection

logger = structlog.stdlib.get_logger(__name__)

MODELS_SHOWN, NAME_SHOWN, DETAIL_SHOWN = 300, 200, 600
"""Entries, and characters: an upstream could send any number of them."""


@dataclass(frozen=True)
class Listing:
    """Models that an engine offers, no more than can be shown. `total` counts all."""

    names: Sequence[str] = ()
    total: int = 0
    fault: str = ""


@dataclass(frozen=True)
class Report:
    """What was found at an engine, or what to mend.

    `seconds` is what the engine took to answer; `detail` is for staff and comes from upstream.
    """

    reached: bool
    sentence: str
    detail: str = ""
    seconds: float = 0.0
    models: Listing = Listing()


def entered_config(connection: EngineConnection, *, key: str | None, stored_at: str | None) -> EngineConfig:
    """The connection as it stands in a form, unsaved.

    `key` is the one that was entered, None where the field was left alone. Then the stored one counts, but
    only for the server that it is stored for: `stored_at`, the base URL in the database.
    """
    config, kind = connection.to_config(), ENGINES[connection.engine]
    if key is not None:
        return replace(config, key=key, key_is_lost=False)
    if stored_at is None or origin_of(stored_at or kind.default_base_url) != origin_of(config.base_url):
        return replace(config, key="", key_is_lost=False)
    return config


def inspect(engine: str, config: EngineConfig) -> Report:
    """Reach an engine, at no cost, within the engine's own deadline for that."""
    release_connections()
    started = time.monotonic()
    try:
        found = ENGINES[engine](config).check()
    except EngineError as error:
        logger.warning("engine not verified", engine=engine, code=error.code, detail=error.detail)
        return Report(False, explain(error, engine), error.detail[:DETAIL_SHOWN])
    seconds = time.monotonic() - started
    return Report(True, found[:DETAIL_SHOWN], seconds=seconds, models=list_live(engine, config))


def list_live(engine: str, config: EngineConfig) -> Listing:
    """The models that the engine names at this moment."""
    release_connections()
    try:
        models = ENGINES[engine](config).models()
    except EngineError as error:
        logger.warning("models not listed", connection=config.name, code=error.code, detail=error.detail)
        return Listing(fault=explain(error, engine))
    names = list(dict.fromkeys(model.id for model in models if len(model.id) <= NAME_SHOWN))
    return Listing(names[:MODELS_SHOWN], len(names))
