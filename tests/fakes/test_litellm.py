"""The fake proxy answers as the real one did."""

import json
import re

import pytest
import requests

from tests.fakes.litellm import KEY, RECORDINGS, LiteLLM
from tests.fakes.server import picture

PICTURE = picture(64, 64)


def _steady(body):
    """The body without what differs from call to call: times, ids, picture data."""
    text = json.dumps(body, sort_keys=True)
    text = re.sub(r'"created": \d+', '"created": 0', text)
    text = re.sub(r'"b64_json": "[^"]+"', '"b64_json": "…"', text)
    return re.sub(r'"http://127[^"]*/files/(\w+)-[^"]*"', r'"http://files/\1"', text)


@pytest.mark.parametrize("recorded", RECORDINGS, ids=lambda recorded: recorded["name"])
def test_answers_as_recorded(recorded):
    asked, wanted = recorded["request"], recorded["response"]
    headers = {"Authorization": f"Bearer {KEY}"}
    if recorded["name"] in ("bad key", "no key"):
        headers = {"bad key": {"Authorization": "Bearer sk-wrong"}, "no key": {}}[recorded["name"]]
    with LiteLLM(strict="upstream strict" in recorded["name"]) as proxy:
        body = b"{oops" if "content" in asked else json.dumps(asked["json"]) if "json" in asked else None
        form = [(field, (None, text)) for field, text in asked.get("data", {}).items()]
        form += [(field, (name, PICTURE, type)) for field, name, type in asked.get("files", ())]
        url = proxy.url + asked["path"]
        got = requests.request(asked["method"], url, data=body, files=form, headers=headers, timeout=20)
    assert got.status_code == wanted["status"]
    assert _steady(got.json()) == _steady(wanted["body"])
    for name in ("content-type", "x-litellm-response-cost"):
        assert got.headers.get(name) == wanted["headers"].get(name)
    assert ("x-litellm-call-id" in got.headers) == ("x-litellm-call-id" in wanted["headers"])
