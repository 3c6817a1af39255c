"""Changes: written down from what to what, and never over somebody else's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest

from imagegen.admin.lookups import FilteredAdmin

SHOWN = 80
"""Characters of a value in the history."""

OVERTAKEN = (
    "Somebody else has saved this since you opened it, so nothing of yours was saved. Reload the page to see"
    " what it is now, then make your change again."
)


class OvertakenForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses to save over a change that its user has not seen. The model has `updated_at`."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            self.initial["seen"] = self.instance.updated_at.isoformat()

    def clean(self) -> Any:
        """Inside the transaction that saves: the row stays locked until then."""
        cleaned = super().clean()
        if self.instance.pk is not None:
            rows = type(self.instance)._default_manager.select_for_update()
            saved_at = rows.values_list("updated_at", flat=True).filter(pk=self.instance.pk).first()
            if saved_at is None or saved_at.isoformat() != self.cleaned_data.get("seen"):
                raise ValidationError(OVERTAKEN)
        return cleaned


class RecordedAdmin(FilteredAdmin):
    """The history says which value a field had and has. Fields in `unshown` are named, no more."""

    unshown: ClassVar[Mapping[str, str]] = {}
    """Field -> what is written down of its change."""

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        if add:
            return super().construct_change_message(request, form, formsets, add)
        changes = [*self._changes(form)]
        for formset in formsets or ():
            changes += [
                change for inline in formset.forms for change in self._changes_of_inline(formset, inline)
            ]
        return f"Changed {'; '.join(changes)}." if changes else "Saved without a change."

    def _changes_of_inline(self, formset: Any, inline: Any) -> Iterator[str]:
        what = formset.model._meta.verbose_name
        if inline in formset.deleted_forms:
            yield f"the {what}: it was removed"
        elif inline.has_changed():
            yield f"the {what}: {', '.join(self._changes(inline))}"

    def _changes(self, form: Any) -> Iterator[str]:
        for name in form.changed_data:
            if name in self.unshown:
                yield self.unshown[name]
                continue
            field = form.fields[name]
            before, after = form.initial.get(name), form.cleaned_data.get(name)
            yield f"{form[name].label.lower()} from {shown(field, before)} to {shown(field, after)}"


def shown(field: forms.Field, value: Any) -> str:
    """A value of a form's field in words."""
    if isinstance(field, forms.ModelMultipleChoiceField):
        return ", ".join(sorted(map(str, value or ()))) or "none"
    if isinstance(field, forms.ModelChoiceField) and value is not None and not isinstance(value, Model):
        assert field.queryset is not None  # noqa: S101 - every field here has one
        value = field.queryset.model._default_manager.filter(pk=value).first()
    if isinstance(value, bool):
        return "on" if value else "off"
    if value in (None, "", [], {}):
        return "nothing"
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = str(value)
    return f"{text[:SHOWN]}…" if len(text) > SHOWN else text
