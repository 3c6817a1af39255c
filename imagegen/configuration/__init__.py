"""The settings as Open WebUI's flat keys: a view over `ImageSettings` and the connections, no second store.

What `read` shows, `update` takes back unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db import transaction

from imagegen.configuration.draft import Draft
from imagegen.models import EngineConnection, ImageSettings

logger = structlog.stdlib.get_logger(__name__)


def read() -> dict[str, Any]:
    """Every key with its value, credentials masked."""
    return Draft(ImageSettings.objects.current(), EngineConnection.objects.all()).show()


def update(*, values: Mapping[str, Any], user: User) -> dict[str, Any]:
    """Change what `values` name, all or nothing, and return what `read` would.

    Raises ValidationError, with every fault under its key.
    """
    ImageSettings.objects.lay_out()
    with transaction.atomic():
        settings = ImageSettings.objects.select_for_update().get()
        draft = Draft(settings, EngineConnection.objects.select_for_update())
        draft.take(values)
        draft.save()
        if changed := [change.key for change in draft.changes]:
            _record(settings, user, changed)
    return read()


def _record(settings: ImageSettings, user: User, changed: list[str]) -> None:
    """Who changed what, by name: a value could be a key."""
    message = [{"changed": {"fields": changed}}]
    LogEntry.objects.log_actions(user.pk, [settings], CHANGE, message, single_object=True)
    logger.info("image settings changed", user=user.pk, keys=changed)
