from contextlib import suppress
from typing import Any

from django.apps import AppConfig
from django.db import DatabaseError, transaction
from django.db.models.signals import post_migrate


class ImagegenConfig(AppConfig):
    name = "imagegen"
    verbose_name = "Images"

    def ready(self) -> None:
        from imagegen.lifecycle import departure

        post_migrate.connect(_lay_out, sender=self)
        departure.watch()


def _lay_out(**_: Any) -> None:
    """The one row of settings. On a new database it selects the built-in engine, so that all works."""
    from imagegen.models import ImageSettings

    # Without all tables yet, on a partial migrate, the first request makes up for it.
    with suppress(DatabaseError), transaction.atomic():
        ImageSettings.objects.lay_out()
