import json
from typing import Any

import pytest
from rest_framework import serializers

from imagegen.access.strict import StrictCharField, StrictDateTimeField, StrictSerializer
from tests.imagegen.access.urls import PictureSerializer

pytestmark = pytest.mark.usefixtures("painter")


@pytest.fixture
def send(post, bearer):
    return lambda body: post("/pictures", body, headers=bearer)


def errors(response) -> dict[str, list[str]]:
    assert response.status_code == 400, response.content
    body = response.json()
    assert body["code"] == "invalid" and body["detail"]
    return body["errors"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"{'prompt': 'a'}",
        b'{"prompt": "a",}',
        b'\xef\xbb\xbf{"prompt": "a"}',
        b'{"prompt": "\xff"}',
        b'{"prompt": "\xed\xa0\x80"}',
        '{"prompt": "a"}'.encode("utf-16"),
        b'{"prompt": "a", "n": NaN}',
        b'{"prompt": "a", "n": Infinity}',
        b'{"prompt": "a", "n": -Infinity}',
        b'{"prompt": "a", "metadata": {"x": 1e999}}',
        b'{"prompt": "a", "n": ' + b"9" * 5000 + b"}",
        b'{"prompt": "a"} {"prompt": "b"}',
        b'{"prompt": "a\x00"}',
        b'{"prompt": "a\nb"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"prompt": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"prompt": "a", "metadata": ' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}",
    ],
)
def test_what_is_not_json_is_400_and_says_so(send, body):
    response = send(body)
    assert response.status_code == 400
    assert response.json()["detail"]
    assert "Traceback" not in response.content.decode()


@pytest.mark.parametrize("body", [[], [{"prompt": "a"}], "prompt", 1, 1.5, True, None])
def test_a_body_that_is_no_object(send, body):
    response = send(json.dumps(body))
    assert response.status_code == 400
    assert response.json() == {"detail": "The body must be a JSON object.", "code": "invalid"}


def test_what_is_right_passes_unchanged(send):
    body = {
        "prompt": "  a pixie \U0001f9da ",
        "n": 2,
        "tiled": False,
        "images": ["a", "b"],
        "metadata": {"chat_id": "c", "other": [1, 2.5, None, {"deep": True}]},
    }
    assert send(body).json() == body


def test_unknown_fields_are_ignored(send):
    assert send({"prompt": "a", "unknown": 5, "also": [[[]]]}).json() == {"prompt": "a"}


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("prompt", [1, 1.5, True, False, [], ["a"], {}, {"a": 1}, "", " ", "\n\t\u2003", "x" * 21]),
        ("n", ["1", "", True, False, 1.5, [], {}, 0, 11, -1, 1e300, 10**400]),
        ("tiled", ["true", "", 0, 1, [], {}, "on"]),
        ("images", ["a", {}, {"0": "a"}, 1, True]),
        ("metadata", ["a", [], 1, True, "{}"]),
    ],
)
def test_a_wrong_type_or_value_names_its_field(send, field, wrong):
    for value in wrong:
        response = send({"prompt": "a"} | {field: value})
        assert list(errors(response)) == [field], value
        assert field in response.json()["detail"]


def test_a_whole_number_may_be_written_with_a_point(send):
    assert send(b'{"prompt": "a", "n": 2.0}').json()["n"] == 2


def test_null_means_absent_for_an_optional_field(send):
    body = {"prompt": "a", "n": None, "tiled": None, "images": None, "metadata": None, "trimmed": None}
    assert send(body).json() == {"prompt": "a"}
    assert send({"prompt": "a", "metadata": {"chat_id": None, "free": None}}).json()["metadata"] == {
        "free": None
    }


def test_null_is_refused_for_a_required_field(send):
    assert list(errors(send({"prompt": None}))) == ["prompt"]
    assert list(errors(send({}))) == ["prompt"]


@pytest.mark.parametrize("bad", ["\0", "\ud800", "\udfff", "a\udc00b", "\udc00\ud800"])
@pytest.mark.parametrize(
    ("place", "path"),
    [
        (lambda bad: {"prompt": f"a{bad}"}, "prompt"),
        (lambda bad: {"images": ["a", f"a{bad}"]}, "images"),
        (lambda bad: {"metadata": {"chat_id": bad}}, "metadata"),
        (lambda bad: {"metadata": {"free": [{"deep": f"é{bad}"}]}}, "metadata"),
        (lambda bad: {"metadata": {f"key{bad}": 1}}, "metadata"),
    ],
)
def test_text_that_cannot_be_stored(send, bad, place, path):
    assert list(errors(send({"prompt": "a"} | place(bad)))) == [path]


def test_a_field_that_folds_takes_any_text(send):
    assert send({"prompt": "a", "folded": "a\0b"}).json()["folded"] == "a\0b"


def test_a_pair_of_surrogates_is_a_character(send):
    assert send(b'{"prompt": "\\ud83e\\uddda"}').json()["prompt"] == "\U0001f9da"


def test_limits_count_the_trimmed_text_where_the_field_says_so(send):
    assert send({"prompt": "a", "trimmed": "   12345\n\n"}).json()["trimmed"] == "   12345\n\n"
    assert list(errors(send({"prompt": "a", "trimmed": "123456"}))) == ["trimmed"]
    assert list(errors(send({"prompt": "a", "trimmed": "     "}))) == ["trimmed"]


def test_free_objects_have_a_size(send):
    def of(count: int) -> dict[str, Any]:
        return {"prompt": "a", "metadata": {"x": "é" * count}}

    assert send(of(2044)).status_code == 200  # 4088 bytes and {"x":""}
    assert list(errors(send(of(2045)))) == ["metadata"]


def test_known_keys_of_a_free_object_have_rules(send):
    assert list(errors(send({"prompt": "a", "metadata": {"chat_id": "x" * 256}}))) == ["metadata.chat_id"]
    assert list(errors(send({"prompt": "a", "metadata": {"chat_id": 7}}))) == ["metadata.chat_id"]


def test_nesting_has_an_end(send):
    def nested(depth: int) -> Any:
        value: Any = 1
        for _ in range(depth):
            value = [value]
        return value

    assert send({"prompt": "a", "metadata": {"x": nested(20)}}).status_code == 200
    assert list(errors(send({"prompt": "a", "metadata": {"x": nested(200)}}))) == ["metadata"]


def test_a_nested_serializer():
    class Outer(StrictSerializer):
        inner = PictureSerializer()

    for body, path in (({"inner": []}, "inner"), ({"inner": None}, "inner"), ({}, "inner")):
        outer = Outer(data=body)
        assert not outer.is_valid() and list(outer.errors) == [path]
    assert Outer(data={"inner": {"prompt": "a"}}).is_valid()


def test_times_are_text():
    class Body(StrictSerializer):
        at = StrictDateTimeField()

    for wrong in (
        5,
        1.5,
        True,
        [],
        "soon",
        "2030-02-31T00:00:00Z",
        "",
        "9" * 100,
        "0001-01-01T00:00:00+23:59",
    ):
        assert not Body(data={"at": wrong}).is_valid(), wrong
    assert Body(data={"at": "2030-01-31T12:00:00+02:00"}).is_valid()


def test_a_strict_field_is_strict_outside_a_strict_serializer():
    class Loose(serializers.Serializer):
        text = StrictCharField()

    assert not Loose(data={"text": "a\0"}).is_valid()
