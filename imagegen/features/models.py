from __future__ import annotations

from django.db import models


class Feature(models.Model):  # noqa: DJ008 - it never has a row
    """No table. It carries the permissions that staff grant to users and groups."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = [("image_generation", "Can generate images")]
