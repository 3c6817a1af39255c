"""Chat completions, for polishing prompts."""

import time

import pytest

from imagegen.engines.errors import (
    BadEngineResponse,
    EngineMisconfigured,
    EngineTimeout,
    EngineUnavailable,
    RateLimited,
)
from tests.fakes import hosted, litellm
from tests.fakes import server as faults
from tests.fakes.chat import POLISHED
from tests.imagegen.engines.openai.case import engine


def ask(made_by, deadline=20.0):
    return made_by.complete("Improve this.", "a red cat", deadline=deadline)


MESSAGES = [
    {"role": "system", "content": "Improve this."},
    {"role": "user", "content": "a red cat"},
]


@pytest.mark.parametrize(
    ("fake", "parameters", "path"),
    [
        (litellm.LiteLLM, {"quality": "high"}, "/v1/chat/completions"),
        (hosted.OpenAIAPI, {}, "/v1/chat/completions"),
        (hosted.XaiAPI, {"dialect": "xai"}, "/v1/chat/completions"),
        (hosted.AzureAPI, {"dialect": "azure"}, "/openai/v1/chat/completions"),
        (
            hosted.AzureAPI,
            {"dialect": "azure", "api_version": "2025-04-01-preview"},
            "/openai/deployments/our%20pictures/chat/completions",
        ),
    ],
)
def test_each_hosts_way(fake, parameters, path):
    key = litellm.KEY if fake is litellm.LiteLLM else hosted.KEY
    with fake() as server:
        said = ask(engine(server.url, key=key, model="our pictures", parameters=parameters))
    assert said == POLISHED
    (request,) = server.requests
    named = {} if "deployments" in path else {"model": "our pictures"}
    assert (request.method, request.path) == ("POST", path)
    assert request.json == {"messages": MESSAGES, **named}


def test_a_base_url_that_was_copied_whole(proxy):
    assert ask(engine(f"{proxy.url}/v1/chat/completions", model="gpt-5-mini")) == POLISHED
    assert proxy.requests[0].path == "/v1/chat/completions"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.broken_json, BadEngineResponse),
        (faults.wrong_shape, BadEngineResponse),
        (faults.status(200, b"null"), BadEngineResponse),
        (faults.status(200, b'{"choices": []}'), BadEngineResponse),
        (faults.status(200, b'{"choices": [{"text": "old"}]}'), BadEngineResponse),
        (faults.status(200, b'{"choices": [{"message": {"content": null}}]}'), BadEngineResponse),
        (faults.status(200, b'{"choices": [{"message": {"content": [{"text": "x"}]}}]}'), BadEngineResponse),
        (faults.too_large, BadEngineResponse),
        (faults.cut_in_body, EngineUnavailable),
        (faults.error_500, EngineUnavailable),
        (faults.rate_limited(), RateLimited),
        (faults.status(401), EngineMisconfigured),
        (faults.redirect("http://169.254.169.254/"), EngineMisconfigured),
    ],
)
def test_anything_else(proxy, fault, error):
    proxy.fault = fault
    with pytest.raises(error) as caught:
        ask(engine(proxy.url, model="gpt-5-mini"))
    assert litellm.KEY not in caught.value.detail


def test_the_deadline(proxy):
    proxy.fault = faults.slow_body
    started = time.monotonic()
    with pytest.raises(EngineTimeout):
        ask(engine(proxy.url, model="gpt-5-mini"), deadline=1)
    assert time.monotonic() - started < 8
