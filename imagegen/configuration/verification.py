"""Whether an engine is there, and takes a key."""

from __future__ import annotations

from dataclasses import replace

import structlog

from imagegen.configuration.masks import is_mask, mask
from imagegen.database import release_connections
from imagegen.engines import ENGINES
from imagegen.engines.addresses import Forbidden, Target
from imagegen.engines.base import Engine, EngineConfig
from imagegen.engines.errors import (
    BadEngineResponse,
    EngineError,
    EngineMisconfigured,
    EngineTimeout,
    EngineUnavailable,
    KeyLost,
    KeyRefused,
)
from imagegen.errors import InvalidRequest
from imagegen.models import EngineConnection

logger = structlog.stdlib.get_logger(__name__)

_NOT_THAT_ENGINE = "The server at this URL does not answer as {engine} does. Check the URL and the engine."
_REASONS: dict[type[EngineError], str] = {
    EngineUnavailable: "The server at this URL cannot be reached, or fails at the moment.",
    EngineTimeout: "The server at this URL takes too long to answer.",
    KeyLost: "The stored key cannot be decrypted. Enter it again.",
    KeyRefused: "The server refuses this key, or wants one.",
    EngineMisconfigured: _NOT_THAT_ENGINE,
    BadEngineResponse: _NOT_THAT_ENGINE,
}
"""What staff are told; the first that fits. The log has the details."""


def verify(*, engine: str, url: str, key: str) -> None:
    """Reach `engine` at `url`, where it has one, with `key`, at no cost.

    A mask stands for the key that is stored for this engine at this very server: no other server is
    ever sent it. Raises EngineError with the reason, and InvalidRequest.
    """
    kind = ENGINES[engine]
    url = url or kind.default_base_url
    if kind.needs_base_url and not url:
        raise InvalidRequest("url", f"{kind.label} needs the URL of its server.")
    origin = origin_of(url)
    config = _stored(kind, origin, key) if is_mask(key) else EngineConfig(name="verify", key=key)
    release_connections()
    try:
        kind(replace(config, base_url=url.rstrip("/"))).check()
    except EngineError as error:
        logger.warning("engine not verified", engine=engine, code=error.code, detail=error.detail)
        error.message = explain(error, engine)
        raise


def explain(error: EngineError, engine: str) -> str:
    """What staff are told about a server that did not do: a sentence without its own words."""
    reasons = (text for fault, text in _REASONS.items() if isinstance(error, fault))
    return next(reasons, error.message).format(engine=ENGINES[engine].label)


def origin_of(url: str) -> str:
    """`scheme://host:port`, empty for none. Raises InvalidRequest."""
    try:
        return Target.parse(url).origin if url else ""
    except Forbidden as error:
        raise InvalidRequest("url", f"This cannot be used: {error}.") from None


def _stored(kind: type[Engine], origin: str, masked: str) -> EngineConfig:
    """What proves who we are, of the connection whose key has this mask, at this server alone.

    Raises InvalidRequest.
    """
    for connection in EngineConnection.objects.filter(engine=kind.name).exclude(encrypted_key=""):
        config = connection.to_config()
        if mask(connection.readable_key) == masked and origin_of(config.base_url) == origin:
            return EngineConfig(
                config.name,
                key=config.key,
                key_is_lost=config.key_is_lost,
                parameters=config.parameters,
            )
    raise InvalidRequest("key", "No such key is stored for this engine at this server. Enter the whole key.")
