"""Bodies that are sent to do harm."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from imagegen.access.strict import MAX_VALUES
from imagegen.models import Generation

GENERATIONS = "/api/images/generations"
BUILDER = "/api/mind/profile/generatePortraitPrompt"
OPEN = ["/api/auth/token", "/api/auth/token/refresh", "/api/auth/logout", "/api/auth/session"]
MANY_VALUES = b'{"prompt": "a pixie", "also": [' + b"{}," * MAX_VALUES + b"0]}"
UNSTORABLE = ['"\\u0000"', '"\\ud800"', '["\\udfff"]', '{"\\u0000": 1}', '[[{"a": "x\\u0000"}]]']


def post(client, path, body):
    return client.post(path, body, content_type="application/json")


@pytest.mark.parametrize("value", UNSTORABLE)
def test_what_cannot_be_stored_is_refused_in_fields_that_nobody_knows(api, value):
    response = post(api, GENERATIONS, f'{{"prompt": "a pixie", "size": "64x64", "also": {value}}}')
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert not Generation.objects.exists()


@pytest.mark.parametrize("name", ["\\u0000", "a\\ud800", "\\udfff"])
@pytest.mark.parametrize(
    ("path", "known"),
    [
        (GENERATIONS, '"prompt": "a pixie"'),
        ("/api/mind/profile/generatePortrait", '"prompt": "a pixie"'),
        (BUILDER, '"subject": "a pixie"'),
    ],
)
def test_names_too_and_the_answer_can_be_sent(api, path, known, name):
    response = post(api, path, f'{{{known}, "{name}": 1}}')
    assert response.status_code == 400
    assert "\0" not in response.content.decode("utf-8", "strict")


def test_only_the_builders_own_text_is_folded(api):
    folded = post(api, BUILDER, '{"subject": "a p\\u0000ixie\\ud800"}')
    assert folded.status_code == 200
    assert post(api, BUILDER, '{"subject": "a pixie", "also": "\\u0000"}').status_code == 400


@pytest.mark.parametrize("path", [GENERATIONS, BUILDER, "/api/images/edit"])
def test_more_values_than_anybody_needs_are_not_parsed(api, path):
    response = post(api, path, MANY_VALUES)
    assert response.status_code == 400
    assert "too many values" in response.content.decode()


def test_a_prompt_may_be_made_of_commas(api):
    body = {"prompt": "," * 31_999 + "a", "negative_prompt": "[" * 32_000, "size": "64x64"}
    assert post(api, GENERATIONS, json.dumps(body)).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("path", OPEN)
def test_who_is_not_known_yet_sends_little(path):
    response = post(Client(), path, b'{"username": "' + b"a" * 64 * 1024 + b'"}')
    assert response.status_code == 413
    assert response.json() == {"detail": "The request body is larger than 64 KB.", "code": "too_large"}
