from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.forms import PasswordChangeForm as DjangoPasswordChangeForm
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed

from imagegen.access.errors import TooManyRequests
from imagegen.access.models import NOT_ONE_LINE, ApiKey, is_one_line
from imagegen.access.passwords import check_password, forget_failures

MAX_PASSWORD = 4096
"""Characters, as in the API."""


class PausedForm(forms.Form):
    """A form that asks for a password, and for a pause after too many that were wrong."""

    wait = 0
    """Seconds until asking again makes sense; 0 where there is no pause."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            if "password" in name:
                field.validators.append(MaxLengthValidator(MAX_PASSWORD))

    def check_password(self, request: HttpRequest, username: str, password: str, *, wrong: str) -> Any:
        """The user. Raises ValidationError."""
        try:
            return check_password(request, username=username, password=password)
        except TooManyRequests as pause:
            self.wait = pause.wait
            raise ValidationError(str(pause.detail), code="paused") from None
        except AuthenticationFailed:
            raise ValidationError(wrong, code="wrong") from None


class LoginForm(PausedForm, AuthenticationForm):
    def clean(self) -> dict[str, Any]:
        assert self.request is not None  # noqa: S101 - LoginView gives it
        entered = self.cleaned_data
        if {"username", "password"} <= entered.keys():
            self.user_cache = self.check_password(
                self.request, entered["username"], entered["password"], wrong=WRONG_CREDENTIALS
            )
        return entered


WRONG_CREDENTIALS = "The username or password is wrong. Mind upper and lower case."


class PasswordForm(PausedForm, DjangoPasswordChangeForm):
    """The old password is asked for under the same pauses as in a login: a session may be a stolen one."""

    def __init__(self, user: Any, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        self.request = request

    def clean_old_password(self) -> str:
        old: str = self.cleaned_data["old_password"]
        self.check_password(
            self.request, self.user.get_username(), old, wrong="This is not your present password."
        )
        forget_failures(self.request, user=self.user)
        return old


LIFETIMES = {"30": "30 days", "90": "90 days", "365": "One year", "": "Until it is revoked"}


class NewKeyForm(forms.Form):
    name = forms.CharField(
        max_length=100,
        help_text="What the key is for, so that you know which one to revoke.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    lifetime = forms.ChoiceField(
        label="Valid for", choices=list(LIFETIMES.items()), initial="90", required=False
    )

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_name(self) -> str:
        """Two keys of one name cannot be told apart, and a form that is sent again makes no second key."""
        name: str = self.cleaned_data["name"]
        if not is_one_line(name):
            raise ValidationError(NOT_ONE_LINE)
        if ApiKey.objects.of(self.user).filter(name=name).exists():
            raise ValidationError("You have a key of this name already. Choose another, or revoke that one.")
        return name

    @property
    def expires_at(self) -> datetime | None:
        days = self.cleaned_data["lifetime"]
        return timezone.now() + timedelta(days=int(days)) if days else None
