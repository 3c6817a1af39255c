import pytest
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from imagegen.idempotency import read


def request(body, **headers):
    made = APIRequestFactory().post("/", body, format="json", headers=headers)
    return Request(made, parsers=[JSONParser()])


def fingerprint(body, operation="generate"):
    return read(request(body, **{"idempotency-key": "k"}), operation)["fingerprint"]


def test_without_a_key_there_is_nothing_to_remember():
    assert read(request({"prompt": "a"}), "generate") == {"idempotency_key": "", "fingerprint": ""}


@pytest.mark.parametrize("key", ["k", "x" * 255, "!~", '"quoted"'])
def test_keys(key):
    assert read(request({}, **{"idempotency-key": key}), "generate")["idempotency_key"] == key


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é", "a\tb"])
def test_what_is_no_key(key):
    with pytest.raises(ValidationError) as refused:
        read(request({}, **{"idempotency-key": key}), "generate")
    assert list(refused.value.detail) == ["Idempotency-Key"]


def test_equal_bodies_are_equal_however_written():
    assert fingerprint({"a": 1, "b": [1, {"c": None, "d": "é"}]}) == fingerprint(
        {"b": [1, {"d": "é", "c": None}], "a": 1}
    )


@pytest.mark.parametrize(
    "other", [{"a": 2}, {"a": "1"}, {"a": True}, {"a": 1.5}, {"a": 1, "b": None}, {}, [1], {"b": 1}]
)
def test_other_bodies_differ(other):
    assert fingerprint({"a": 1}) != fingerprint(other)


def test_the_operation_counts():
    assert fingerprint({"a": 1}) != fingerprint({"a": 1}, "edit")
