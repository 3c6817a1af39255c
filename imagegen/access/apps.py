from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "imagegen.access"
    label = "access"
    verbose_name = "Access"

    def ready(self) -> None:
        from imagegen.access import checks, schema  # noqa: F401
