"""Where pictures come from: one row per server or account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone

from imagegen.engines import ENGINES
from imagegen.engines.addresses import Forbidden, Target
from imagegen.engines.base import EDIT, GENERATE, Engine, EngineConfig, Workflow
from imagegen.models import secrets
from imagegen.prepared import Prepared

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


def engine_choices() -> list[tuple[str, str]]:
    return [(name, engine.label) for name, engine in ENGINES.items()]


def validate_base_url(value: str) -> None:
    """An http(s) URL of a server, without credentials, query or fragment."""
    if set("@?#") & set(value):
        raise ValidationError("Leave out user name, password, query and fragment: keys have their own field.")
    try:
        Target.parse(value)
    except Forbidden:
        raise ValidationError("Enter an http or https URL, such as https://api.example.com/v1.") from None


def validate_string_list(value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise ValidationError("Enter a JSON list of strings.")


def validate_origins(value: Any) -> None:
    validate_string_list(value)
    for origin in value:
        try:
            Target.parse(origin)
        except Forbidden as error:
            raise ValidationError(f"{origin!r} is no scheme://host:port: {error}.") from None


def validate_object(value: Any) -> None:
    if not isinstance(value, dict):
        raise ValidationError("Enter a JSON object.")


class ConnectionQuerySet(models.QuerySet["EngineConnection"]):
    def enabled(self) -> ConnectionQuerySet:
        return self.filter(enabled=True)

    def usable_by(self, user: User | AnonymousUser) -> ConnectionQuerySet:
        """Enabled ones that name no group, or one of the user's. Superusers may use all."""
        return self.enabled() if user.is_superuser else self.enabled().open_to(user.pk or 0)

    def open_to(self, user_id: int) -> ConnectionQuerySet:
        limited = self.model.allowed_groups.through.objects.values("engineconnection")
        permitted = limited.filter(group__user=user_id)
        return self.filter(~models.Q(pk__in=limited) | models.Q(pk__in=permitted))

    def with_places(self) -> ConnectionQuerySet:
        """And their place in the order of failover, None for those without, as `fallback_position`."""
        return self.annotate(fallback_position=models.F("fallback__position"))


class EngineConnection(models.Model):
    """One server or account of one engine, and how Easel uses it."""

    name = models.CharField(
        max_length=50,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9][a-z0-9_.-]*\Z", "Use a-z, 0-9, dot, dash and underscore.")],
        help_text="What you call it. Clients may ask for name/model.",
    )
    engine = models.CharField(max_length=30, choices=engine_choices)
    enabled = models.BooleanField(default=True)
    base_url = models.CharField(
        "base URL",
        max_length=500,
        blank=True,
        validators=[validate_base_url],
        help_text="Left empty: the engine's own, where it has one.",
    )
    encrypted_key = models.TextField(blank=True, editable=False)
    default_model = models.CharField(max_length=200, blank=True)
    listed_models = models.JSONField(
        default=list,
        blank=True,
        validators=[validate_string_list],
        help_text="Model ids to offer where the engine cannot list its own, as a JSON list.",
    )
    parameters = models.JSONField(
        default=dict,
        blank=True,
        validators=[validate_object],
        help_text='Sent with every request, in the engine\'s words, as JSON: {"quality": "high"}.',
    )
    trusted_origins = models.JSONField(
        default=list,
        blank=True,
        validators=[validate_origins],
        help_text="Further private hosts that this engine's picture links may point to, as scheme://host:port.",
    )
    workflow = models.JSONField(
        null=True, blank=True, help_text="ComfyUI: the graph that generates, in API format."
    )
    workflow_nodes = models.JSONField(
        default=list, blank=True, help_text="Which nodes take prompt, size, steps, seed and so on."
    )
    edit_workflow = models.JSONField(
        null=True, blank=True, help_text="ComfyUI: the graph that edits, in API format."
    )
    edit_workflow_nodes = models.JSONField(
        default=list, blank=True, help_text="Which nodes take the source pictures, the mask and so on."
    )
    deadline = models.PositiveIntegerField(
        default=120,
        validators=[MinValueValidator(1), MaxValueValidator(3600)],
        help_text="Seconds that one call may take in all.",
    )
    concurrency = models.PositiveIntegerField(
        default=0, validators=[MaxValueValidator(1000)], help_text="Calls at once; 0 for no limit."
    )
    price = models.DecimalField(
        max_digits=10,
        decimal_places=6,
        default=0,
        validators=[MinValueValidator(0)],
        help_text="US dollars per picture, where the engine does not say what it took.",
    )
    allowed_groups = models.ManyToManyField(
        "auth.Group", blank=True, help_text="Who may use it. None: everyone with the permission."
    )
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="In a row.")
    rests_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ConnectionQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = "connection"

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Whoever saves a connection has mended it: it is tried again at once."""
        self.failures, self.rests_until = 0, None
        super().save(*args, **kwargs)

    def clean(self) -> None:
        engine = ENGINES.get(self.engine)
        if engine and engine.needs_base_url and not (self.base_url or engine.default_base_url):
            raise ValidationError({"base_url": f"{engine.label} needs the URL of its server."})
        errors = {}
        for operation, workflow in self._workflows().items():
            try:
                if engine:
                    engine.check_workflow(workflow)
            except ValueError as error:
                errors["workflow" if operation == GENERATE else "edit_workflow"] = str(error)
        if errors:
            raise ValidationError(errors)

    @property
    def is_resting(self) -> bool:
        return self.rests_until is not None and self.rests_until > timezone.now()

    @property
    def key(self) -> str:
        """The credential in clear. Raises ImproperlyConfigured where it cannot be decrypted."""
        return secrets.decrypt(self.encrypted_key)

    @key.setter
    def key(self, value: str) -> None:
        self.encrypted_key = secrets.encrypt(value)

    @property
    def readable_key(self) -> str | None:
        """The same; None where it cannot be decrypted."""
        try:
            return self.key
        except ImproperlyConfigured:
            return None

    @property
    def key_is_lost(self) -> bool:
        """One is stored, and none of EASEL_ENCRYPTION_KEYS decrypts it."""
        return self.readable_key is None

    def to_config(self) -> EngineConfig:
        """What its engine is given."""
        engine, key = ENGINES[self.engine], self.readable_key
        return EngineConfig(
            name=self.name,
            base_url=(self.base_url or engine.default_base_url).rstrip("/"),
            key=key or "",
            key_is_lost=key is None,
            model=self.default_model or engine.default_model,
            models=tuple(self.listed_models),
            parameters=self.parameters,
            deadline=float(self.deadline),
            trusted_origins=tuple(self.trusted_origins),
            workflows=self._workflows(),
        )

    def _workflows(self) -> dict[str, Workflow]:
        entered = {
            GENERATE: (self.workflow, self.workflow_nodes),
            EDIT: (self.edit_workflow, self.edit_workflow_nodes),
        }
        return {name: Workflow(graph, nodes) for name, (graph, nodes) in entered.items() if graph}

    def to_engine(self) -> Engine:
        return ENGINES[self.engine](self.to_config())


_enabled = Prepared(lambda: EngineConnection.objects.enabled().with_places())
_enabled_and_open_to = Prepared(
    lambda user_id: EngineConnection.objects.enabled().open_to(user_id).with_places()
)


def find_usable(user: User | AnonymousUser) -> list[EngineConnection]:
    """What `usable_by` finds, with their places in the order of failover. One query."""
    return _enabled() if user.is_superuser else _enabled_and_open_to(user.pk or 0)
