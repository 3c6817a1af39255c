import base64
import json
import time
from email.utils import formatdate
from pathlib import Path

import orjson
import pytest

from imagegen.engines.errors import (
    BadEngineResponse,
    EngineUnavailable,
)
from imagegen.engines.replies import LONG_TEXT, Reply, Scrub, load, load_decoded, refusal, retry_after

KEY = "sk-verysecret-0123456789"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "1e9"}, 3600),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9),
    ],
)
def test_retry_after(headers, seconds):
    assert retry_after(headers) == seconds


def test_retry_after_a_date():
    wait = retry_after({"retry-after": formatdate(time.time() + 60, usegmt=True)})
    assert wait is not None
    assert 30 < wait <= 61


def test_a_password_is_scrubbed_however_it_was_sent():
    scrub = Scrub("someone:pass", "c29tZW9uZTpwYXNz")
    assert scrub("was someone:pass or c29tZW9uZTpwYXNz") == "was *** or ***"


def test_details_are_one_line():
    assert Scrub()("a\r\nb\x00\x1b[31mc\u2028d") == "a b [31mc d"


def test_nothing_reaches_the_person_who_asked():
    reply = Reply(500, {}, f"{KEY} at http://10.1.2.3".encode())
    assert refusal(reply, Scrub(KEY)).message == EngineUnavailable.default_message


PICTURE = bytes(range(256)) * 400
TEXT = base64.b64encode(PICTURE).decode()


def written(folder: Path, text: str) -> Path:
    path = folder / "answer"
    path.write_text(text)
    return path


class TestLongTexts:
    """`load_decoded` says what `load` says, but for texts that are long and base64."""

    @pytest.mark.parametrize("indent", [None, 4])
    def test_are_decoded(self, tmp_path, indent):
        whole = {"data": [{"b64_json": TEXT, "revised_prompt": "a"}, {"b64_json": TEXT}], "n": 1}
        found = load_decoded(written(tmp_path, json.dumps(whole, indent=indent)))
        assert found == {
            "data": [{"b64_json": PICTURE, "revised_prompt": "a"}, {"b64_json": PICTURE}],
            "n": 1,
        }

    @pytest.mark.parametrize(
        "value",
        [
            TEXT[:1000],
            TEXT[:-1],
            f"{TEXT}*",
            f"data:image/png;base64,{TEXT}",
            f'a "quoted" word, {TEXT}',
            f'"{TEXT}',
            f'{TEXT}"',
            f'a\\"{TEXT}\\"',
            f"{TEXT}\\",
            "é" * LONG_TEXT,
            [*range(LONG_TEXT)],
            {"a": " " * 2 * LONG_TEXT},
            {TEXT[:999]: None},
        ],
        ids=lambda value: str(value)[:12],
    )
    def test_whatever_else_there_is_stays(self, tmp_path, value):
        path = written(tmp_path, json.dumps({"before": 1, "value": value, "after": [""]}))
        assert load_decoded(path) == load(path)

    def test_much_space_between_values_is_none(self, tmp_path):
        path = written(tmp_path, f'{{"a":{" " * 2 * LONG_TEXT}"b", "c": 1}}')
        assert load_decoded(path) == {"a": "b", "c": 1}

    def test_a_key_is_none(self, tmp_path):
        assert set(load(written(tmp_path, json.dumps({TEXT: 1})))) == {TEXT}
        assert len(load_decoded(tmp_path / "answer")) == 1

    @pytest.mark.parametrize("text", ["", "[]", "{", f'{{"a": "{TEXT}', f'{{"a": "{TEXT}"', f'["{TEXT}"]'])
    def test_what_is_no_object(self, tmp_path, text):
        with pytest.raises(BadEngineResponse):
            load_decoded(written(tmp_path, text))

    def test_an_answer_of_many_quotes_is_not_looked_through(self, tmp_path):
        whole = {"a": [""] * 20_000, "b": TEXT}
        assert load_decoded(written(tmp_path, orjson.dumps(whole).decode())) == whole
