"""Form fields for what is stored as JSON, and for models."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from imagegen.configuration.json_text import read_json


class CodeArea(UnfoldAdminTextareaWidget):
    """For text that is typed with a fixed pitch."""

    def __init__(self, rows: int) -> None:
        super().__init__(
            {"rows": rows, "spellcheck": "false", "autocapitalize": "off", "autocomplete": "off"}
        )
        self.attrs["class"] += " font-mono max-w-4xl!"


class ModelInput(UnfoldAdminTextInputWidget):
    """Free text, with a button that fetches what the engine lists."""

    template_name = "imagegen/admin/model_input.html"
    fetch_url = ""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        return context | {"fetch_url": self.fetch_url}


class JSONText(forms.CharField):
    """JSON as text. `kind` is what it must be: `dict` or `list`; empty text is an empty one."""

    def __init__(self, *, kind: type, rows: int = 6, **kwargs: Any) -> None:
        super().__init__(required=False, strip=True, widget=CodeArea(rows), **kwargs)
        self.kind = kind

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return value
        return json.dumps(value, indent=2, ensure_ascii=False) if value else ""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return self.kind()
        try:
            found = read_json(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None
        if not isinstance(found, self.kind):
            raise ValidationError(f"This must be a JSON {'object' if self.kind is dict else 'list'}.")
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        return _changed(self.to_python, initial or self.kind(), data)


class Lines(forms.CharField):
    """A list of strings, one a line."""

    def __init__(self, *, rows: int = 3, **kwargs: Any) -> None:
        super().__init__(required=False, widget=CodeArea(rows), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else "\n".join(map(str, value or ()))

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        lines = (line.strip() for line in (super().to_python(value) or "").splitlines())
        return list(dict.fromkeys(filter(None, lines)))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return _changed(self.to_python, initial or [], data)


def _changed(to_python: Callable[[Any], Any], initial: Any, data: Any) -> bool:
    try:
        return bool(to_python(data) != initial)
    except ValidationError:
        return True
