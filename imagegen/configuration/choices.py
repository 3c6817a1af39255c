"""Which connections can do what, so that only those are offered."""

from __future__ import annotations

from imagegen.engines import ENGINES
from imagegen.engines.base import EDIT, GENERATE
from imagegen.models import EngineConnection

POLISH = "polish"
_NEEDED = {"generate": GENERATE, "portrait": GENERATE, "edit": EDIT}
"""Operation of the settings -> that of an engine."""


def obstacle(connection: EngineConnection, operation: str) -> str:
    """Why a connection cannot do `operation` (generate, edit, portrait or polish), in few words; empty
    where it can. Nobody is asked but our own rows."""
    engine = ENGINES.get(connection.engine)
    if engine is None:
        return "its engine is not there any more"
    if not connection.enabled:
        return "switched off"
    if engine.needs_base_url and not (connection.base_url or engine.default_base_url):
        return "no URL is set"
    if operation == POLISH:
        return "" if engine.has_chat else "has no chat model"
    if _NEEDED[operation] in _operations(connection):
        return ""
    return "cannot edit" if _NEEDED[operation] == EDIT else "cannot make pictures"


def _operations(connection: EngineConnection) -> frozenset[str]:
    """Of its default model."""
    config = connection.to_config()
    return ENGINES[connection.engine](config).capabilities(config.model).operations
