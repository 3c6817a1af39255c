from django.contrib.contenttypes.models import ContentType


class Feature(ContentType):
    """No table of its own. It carries the permissions that staff grant to users and groups."""

    class Meta:
        proxy = True
        default_permissions = ()
        permissions = [("image_generation", "Can generate images")]
