"""The form of a connection: the fields of its engine and no others, and a key that only goes in."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldBooleanSwitchWidget

from imagegen.admin.engine_fields import ENGINE_FIELDS
from imagegen.admin.fields import JSONText, Lines
from imagegen.admin.records import OvertakenForm
from imagegen.configuration.inspection import entered_config
from imagegen.configuration.masks import check_key, mask
from imagegen.engines.base import EngineConfig
from imagegen.models import EngineConnection


class ConnectionForm(OvertakenForm):
    """`engine` is set on the class that the admin makes of this for one page."""

    engine: ClassVar[str] = ""

    new_key = forms.CharField(
        label="Key",
        required=False,
        max_length=2000,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
    )
    forget_key = forms.BooleanField(
        label="Remove the stored key", required=False, widget=UnfoldBooleanSwitchWidget
    )
    parameters = JSONText(kind=dict)
    listed_models = Lines()
    trusted_origins = Lines(
        help_text="Further private hosts that this engine's picture links may point to, one"
        " scheme://host:port a line."
    )

    class Meta:
        model = EngineConnection
        fields = "__all__"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        entry = ENGINE_FIELDS[self.engine]
        for name in self.declared_fields.keys() - entry.names - {"seen"}:
            self.fields.pop(name, None)
        for name, text in entry.help.items():
            if name in self.fields:
                self.fields[name].help_text = text
        for name, text in entry.placeholders.items():
            if name in self.fields:
                self.fields[name].widget.attrs["placeholder"] = text
        if self.instance.pk is None:
            self.initial = {**entry.initial, **self.initial}
        self._describe_key()

    def _describe_key(self) -> None:
        if "new_key" not in self.fields:
            return
        stored = self.instance.encrypted_key
        if not stored:
            self.fields.pop("forget_key", None)
        else:
            key = self.fields["new_key"]
            key.widget.attrs["placeholder"] = mask(self.instance.readable_key)
            key.help_text = f"{key.help_text} Stored, and never shown again: left empty, it stays.".strip()

    def clean_new_key(self) -> str:
        key: str = self.cleaned_data["new_key"]
        try:
            check_key(key)
        except ValueError as error:
            raise ValidationError(str(error)) from None
        return key

    def clean(self) -> Any:
        cleaned = super().clean()
        if self.cleaned_data.get("forget_key") and self.cleaned_data.get("new_key"):
            self.add_error("forget_key", "Either enter a new key or remove the stored one.")
        return cleaned

    def save(self, commit: bool = True) -> Any:
        if self.cleaned_data.get("forget_key"):
            self.instance.key = ""
        elif self.cleaned_data.get("new_key"):
            self.instance.key = self.cleaned_data["new_key"]
        return super().save(commit)


class TrialForm(ConnectionForm):
    """What stands in the form, to be tried without being saved: its name may be taken or missing, and
    somebody may have saved the row in between."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored_at = self.instance.base_url if self.instance.pk else None
        for name in ("name", "seen", "allowed_groups"):
            self.fields.pop(name, None)

    def clean(self) -> Any:
        return forms.ModelForm.clean(self)

    def faults(self) -> list[str]:
        """Sentences, each with the label of its field."""
        return [
            f"{self.fields[name].label}: {message}" if name in self.fields else str(message)
            for name, messages in self.errors.items()
            for message in messages
        ]

    def config(self) -> EngineConfig:
        """Raises InvalidRequest."""
        key: str | None = self.cleaned_data.get("new_key") or None
        if self.cleaned_data.get("forget_key"):
            key = ""
        return entered_config(self.instance, key=key, stored_at=self.stored_at)

    @property
    def key_withheld(self) -> bool:
        """There is a stored key, and it is for another server than the one that is entered now."""
        kept = not (self.cleaned_data.get("new_key") or self.cleaned_data.get("forget_key"))
        config = self.config()
        return bool(kept and self.instance.encrypted_key and not (config.key or config.key_is_lost))
