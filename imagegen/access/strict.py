"""JSON bodies without second guesses: a number is no string, a string no number.

`null` means absent for an optional field and is refused for a required one. Text that PostgreSQL or
UTF-8 cannot hold (NUL, lone surrogates) is refused wherever it stands.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Container, Mapping
from typing import IO, Any, ClassVar, NoReturn

from django.core.validators import MaxLengthValidator, MinLengthValidator
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.fields import empty
from rest_framework.parsers import BaseParser
from rest_framework.settings import api_settings

MAX_DEPTH = 32
MAX_VALUES = 250_000
"""In one body, give or take: a list of a hundred million empty ones would fit into its bytes, and takes a
hundred times as many in memory."""

_BETWEEN_VALUES = (b",", b":", b"[", b"{")
_SURROGATE = re.compile("[\ud800-\udfff]")


class StrictJSONParser(BaseParser):
    """RFC 8259: UTF-8, and nothing that JSON has no word for. Anything else is a ParseError.

    It reads the stream itself. DRF's own parser leaves a copy of the body on the request, and with it
    tens of megabytes in memory while an engine works.
    """

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        text = _decode(stream.read())
        try:
            return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}"
            raise ParseError(f"The body is not valid JSON ({where}).") from None
        except ValueError:  # also an integer of more digits than Python converts
            raise ParseError("The body contains a number out of range.") from None
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None


def _decode(body: bytes) -> str:
    """A function of its own, so that the bytes are gone once there is text."""
    if sum(map(body.count, _BETWEEN_VALUES)) > MAX_VALUES:
        raise ParseError("The body holds too many values.")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise ParseError("The body is not UTF-8 text.") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def refuse_unstorable(value: Any) -> None:
    """Raise ValidationError where a JSON value holds NUL or lone surrogates, or is nested too deeply."""
    pending = [(value, 0)]
    while pending:
        item, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise serializers.ValidationError("This value is nested too deeply.")
        if isinstance(item, str):
            _refuse_unstorable_text(item)
        elif isinstance(item, dict):
            pending += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list):
            pending += [(part, depth + 1) for part in item]


def _refuse_unstorable_text(text: str) -> None:
    if "\0" in text:
        raise serializers.ValidationError("NUL characters are not allowed.")
    if not text.isascii() and _SURROGATE.search(text):
        raise serializers.ValidationError("Unpaired surrogates are not allowed: this is not valid text.")


def refuse_unstorable_beside(known: Container[str], data: Mapping[str, Any]) -> None:
    """The same for names that are not known, and what they hold. The fault names none of them: a name
    with such characters could not be sent back."""
    try:
        refuse_unstorable({name: value for name, value in data.items() if name not in known})
    except serializers.ValidationError as error:
        raise serializers.ValidationError({api_settings.NON_FIELD_ERRORS_KEY: error.detail}) from None


class StrictSerializer(serializers.Serializer[Any]):
    """The base of every body. Unknown fields are ignored, once they hold nothing that is refused anywhere.

    A field with a true `any_text` attribute takes text that cannot be stored, and must fold it itself.
    """

    def run_validation(self, data: Any = empty) -> Any:
        if data is None and self.parent is not None:
            return super().run_validation(data)
        if data is not empty and not isinstance(data, dict):
            what = "The body" if self.parent is None else "This"
            raise serializers.ValidationError(
                {api_settings.NON_FIELD_ERRORS_KEY: [f"{what} must be a JSON object."]}
            )
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> Any:
        given = {}
        errors = {}
        for name, field in self.fields.items():
            value = data.get(name)
            if name not in data or (value is None and not field.required):
                continue
            given[name] = value
            try:
                if not getattr(field, "any_text", False):
                    refuse_unstorable(value)
            except serializers.ValidationError as error:
                errors[name] = error.detail
        if errors:
            raise serializers.ValidationError(errors)
        refuse_unstorable_beside(self.fields, data)
        return super().to_internal_value(given)


def read(body: StrictSerializer, data: Any) -> dict[str, Any]:
    """What `data` says, by a serializer that is made once: to make one takes longer than to use it.

    Raises ValidationError.
    """
    return dict(body.run_validation(data))


class _TrimmedMaxLength(MaxLengthValidator):
    def clean(self, x: Any) -> int:
        return len(x.strip())


class _TrimmedMinLength(MinLengthValidator):
    def clean(self, x: Any) -> int:
        return len(x.strip())


class StrictCharField(serializers.CharField):
    """A JSON string, kept as it is: never trimmed.

    Unless `allow_blank`, it must hold more than white space. With `count_trimmed` the limits are those
    of the trimmed text. `any_text`: see StrictSerializer.
    """

    default_error_messages: ClassVar = {"invalid": "This must be a string."}

    def __init__(self, *, any_text: bool = False, count_trimmed: bool = False, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)
        self.any_text = any_text
        self.validators = [
            _trimmed(validator) if count_trimmed else validator
            for validator in self.validators
            if isinstance(validator, MaxLengthValidator | MinLengthValidator)
        ]
        if not any_text:
            self.validators.append(_refuse_unstorable_text)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        if not (self.allow_blank or data.strip()):
            self.fail("blank")
        return data


def _trimmed(validator: MaxLengthValidator | MinLengthValidator) -> MaxLengthValidator | MinLengthValidator:
    kind = _TrimmedMaxLength if isinstance(validator, MaxLengthValidator) else _TrimmedMinLength
    return kind(validator.limit_value, message=validator.message)


class StrictIntegerField(serializers.IntegerField):
    """A JSON number that is whole. JSON has one kind of number, so 2.0 is 2; true is none."""

    default_error_messages: ClassVar = {"invalid": "This must be a whole number."}

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, float) and data.is_integer():
            return int(data)
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return data


class StrictBooleanField(serializers.BooleanField):
    default_error_messages: ClassVar = {"invalid": "This must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class StrictListField(serializers.ListField):
    default_error_messages: ClassVar = {"not_a_list": "This must be a list."}

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list):
            self.fail("not_a_list")
        value: list[Any] = super().to_internal_value(data)
        return value


class StrictDateTimeField(serializers.DateTimeField):
    """A JSON string in ISO 8601."""

    default_error_messages: ClassVar = {"invalid": "This must be a time in ISO 8601: 2030-01-31T12:00:00Z."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictObjectField(serializers.DictField):
    """A JSON object with free keys.

    Args:
        known: fields for keys that have a rule; `null` means absent for those that are optional.
        max_bytes: length of the whole as JSON text, in UTF-8.
    """

    default_error_messages: ClassVar = {
        "not_a_dict": "This must be a JSON object.",
        "too_large": "This must be at most {max_bytes} bytes of JSON.",
    }

    def __init__(
        self,
        *,
        known: Mapping[str, serializers.Field[Any, Any, Any, Any]] | None = None,
        max_bytes: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.known = dict(known or {})
        self.max_bytes = max_bytes

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("not_a_dict")
        refuse_unstorable(data)
        size = len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())
        if self.max_bytes is not None and size > self.max_bytes:
            self.fail("too_large", max_bytes=self.max_bytes)
        return {name: value for name, value in data.items() if name not in self.known} | self._run_known(data)

    def _run_known(self, data: dict[str, Any]) -> dict[str, Any]:
        values, errors = {}, {}
        for name, field in self.known.items():
            if data.get(name) is None and not field.required:
                continue
            try:
                values[name] = field.run_validation(data.get(name, empty))
            except serializers.ValidationError as error:
                errors[name] = error.detail
        if errors:
            raise serializers.ValidationError(errors)
        return values
