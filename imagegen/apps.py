from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ImagegenConfig(AppConfig):
    name = "imagegen"
    verbose_name = "Images"

    def ready(self) -> None:
        post_migrate.connect(_lay_out, sender=self)


def _lay_out(**_: Any) -> None:
    """The one row of settings. On a new database it selects the built-in engine, so that all works."""
    from imagegen.models import ImageSettings

    ImageSettings.objects.lay_out()
