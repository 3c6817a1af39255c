"""Settings, Images: one row."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from imagegen.engines.sizes import Size
from imagegen.models.connection import EngineConnection
from imagegen.models.quota import GroupQuota
from imagegen.prepared import Prepared

AUTO = "auto"
MIN_EDGE, MAX_EDGE = 64, 4096
OPERATIONS = ("generate", "edit", "portrait", "polish")


def parse_size(value: str) -> Size:
    """`WIDTHxHEIGHT`, each 64 to 4096. Raises ValueError with the rule."""
    try:
        size = Size.parse(value)
    except ValueError:
        raise ValueError("Must be WIDTHxHEIGHT, such as 1024x1024.") from None
    if not all(MIN_EDGE <= edge <= MAX_EDGE for edge in size):
        raise ValueError(f"Width and height must each be {MIN_EDGE} to {MAX_EDGE} pixels.")
    return size


def validate_size(value: str) -> None:
    if value != AUTO:
        try:
            parse_size(value)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class SettingsManager(models.Manager["ImageSettings"]):
    def current(self) -> ImageSettings:
        """The row, without its connections, and whether there are quotas: a change is seen by the next
        request anywhere."""
        try:
            return _current()[0]
        except IndexError:
            self.lay_out()
            return self.current()

    def lay_out(self) -> None:
        """Create the row where there is none, with the built-in engine selected."""
        if not self.filter(pk=1).exists():
            built_in, _ = EngineConnection.objects.get_or_create(
                name="built-in", defaults={"engine": "dicebear"}
            )
            self.get_or_create(
                pk=1, defaults={"generate_connection": built_in, "portrait_connection": built_in}
            )


def _with_quotas() -> models.QuerySet[ImageSettings]:
    there_are = models.Exists(GroupQuota.objects.all())
    return ImageSettings.objects.filter(pk=1).annotate(quotas_exist=there_are)  # type: ignore[no-redef]


_current = Prepared(_with_quotas)


def _connection(purpose: str) -> models.ForeignKey[EngineConnection | None, Any]:
    return models.ForeignKey(
        EngineConnection,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text=purpose,
    )


class ImageSettings(models.Model):
    """Which connection does what, and the defaults and limits of a request."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    generation_enabled = models.BooleanField("image generation", default=True)
    edit_enabled = models.BooleanField("image editing", default=True)
    prompt_enabled = models.BooleanField("prompt generation", default=True)
    generate_connection = _connection("Makes pictures from prompts.")
    edit_connection = _connection("Edits pictures.")
    portrait_connection = _connection("Makes portraits. Empty: the one that makes pictures.")
    polish_connection = _connection("A chat model that polishes portrait prompts. Empty: no polishing.")
    fallbacks: models.ManyToManyField[EngineConnection, Fallback] = models.ManyToManyField(
        EngineConnection,
        through="Fallback",
        related_name="+",
        blank=True,
        help_text="Asked in this order when the selected one fails without having charged anything.",
    )
    default_size = models.CharField(max_length=20, default="1024x1024", validators=[validate_size])
    default_edit_size = models.CharField(
        max_length=20, blank=True, validators=[validate_size], help_text="Empty: the engine's own choice."
    )
    default_steps = models.PositiveSmallIntegerField(
        default=30, validators=[MinValueValidator(1), MaxValueValidator(150)]
    )
    max_pictures = models.PositiveSmallIntegerField(
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="Pictures that one request may ask for.",
    )
    retention_days = models.PositiveIntegerField(
        default=0,
        help_text="Days after which pictures are deleted; 0: never. A group's own retention comes first.",
    )
    delete_pictures_with_user = models.BooleanField(
        default=False,
        help_text="When a user is deleted, delete their pictures and prompts. Otherwise both stay, "
        "without an owner.",
    )
    keep_native = models.BooleanField(
        "keep the native size",
        default=False,
        help_text="Store pictures in the size the engine made, whatever was asked for. Never portraits.",
    )
    write_provenance = models.BooleanField(
        default=False,
        help_text="Write into PNG and JPEG files that an AI made them (IPTC's digital source type), and with "
        "which engine, model and generation. Never the prompt.",
    )
    updated_at = models.DateTimeField(auto_now=True)

    quotas_exist: bool
    """Only on what `current()` returns."""

    objects = SettingsManager()

    class Meta:
        verbose_name = verbose_name_plural = "image settings"
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="imagesettings_one_row")]

    def __str__(self) -> str:
        return "Image settings"

    def connection_for(self, operation: str) -> EngineConnection | None:
        """The selected connection; portraits fall back to the one that generates."""
        chosen: EngineConnection | None = getattr(self, f"{operation}_connection")
        return chosen or (self.generate_connection if operation == "portrait" else None)

    def connection_id_for(self, operation: str) -> int | None:
        """The same, without a query."""
        chosen: int | None = getattr(self, f"{operation}_connection_id")
        return chosen or (self.generate_connection_id if operation == "portrait" else None)


class Fallback(models.Model):
    """A place in the order of failover."""

    settings = models.ForeignKey(ImageSettings, models.CASCADE)
    connection = models.ForeignKey(EngineConnection, models.CASCADE)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["settings", "connection"], name="fallback_connection_once")
        ]

    def __str__(self) -> str:
        return f"{self.position}: {self.connection}"
