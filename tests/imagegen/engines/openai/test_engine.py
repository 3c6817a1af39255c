import io
import json
import logging
import time
from dataclasses import replace

import pytest
from PIL import Image

from imagegen.engines.errors import (
    BadEngineResponse,
    EngineError,
    EngineMisconfigured,
    EngineTimeout,
    EngineUnavailable,
    PromptRejected,
    RateLimited,
)
from imagegen.engines.sizes import Size
from imagegen.engines.spool import Answer
from tests.fakes import litellm
from tests.fakes import server as faults
from tests.fakes.server import Response
from tests.imagegen.engines.openai.case import engine, make, size_of, through


class TestThroughLiteLLM:
    @pytest.mark.parametrize("model", ["grok-imagine-image", "grok-2-image", "grok-openai"])
    def test_grok_by_url(self, proxy, call, model):
        answer, (image,) = make(through(proxy), call, model=model, size=Size(512, 512))
        assert Image.open(io.BytesIO(image.data)).format == "JPEG"
        assert size_of(image) == (1024, 1024)
        assert image.revised_prompt == "REVISED: a red cat"
        assert answer.cost == (0.02 if model == "grok-imagine-image" else None)
        assert len(answer.meta["litellm_call_id"]) == 36
        assert call.gate.passed == 1
        assert [path.name for path in call.spool.files()] == [
            "generation-0.0.picture",
            "generation-0.answer",
        ]

    def test_the_shape_is_asked_for(self, proxy, call):
        _, (image,) = make(through(proxy), call, size=Size(1920, 1080))
        width, height = size_of(image)
        assert abs(width / height - 16 / 9) < 0.01

    def test_gpt_image_inline(self, proxy, call):
        answer, (image,) = make(through(proxy), call, model="gpt-image-2", size=Size(512, 512))
        assert size_of(image) == (816, 816)
        assert image.meta == {
            "background": "opaque",
            "output_format": "png",
            "quality": "low",
            "size": "816x816",
        }
        assert (answer.cost, answer.pictures) == (0.01093, [])

    def test_several(self, proxy, call):
        answer, images = make(through(proxy), call, n=3)
        assert len(images) == len(answer.pictures) == 3
        assert answer.cost == 0.06

    def test_eleven_pictures_keep_their_order(self, call):
        """Nothing promises fewer than ten; `10` sorts before `2`."""
        call.spool.answer.write_text(
            json.dumps({"data": [{"url": f"http://h/{k}", "revised_prompt": str(k)} for k in range(11)]})
        )
        for k in range(11):
            call.spool.picture(k).write_bytes(b"%d" % k)
        found = sorted(call.spool.folder.glob("*.picture"))
        images = engine().parse(Answer(body=call.spool.answer, pictures=found))
        assert [image.revised_prompt for image in images] == [str(k) for k in range(11)]
        assert [image.data for image in images] == [b"%d" % k for k in range(11)]

    def test_the_key_goes_to_the_proxy_alone(self, proxy, call):
        make(through(proxy), call)
        assert proxy.requests[0].headers["authorization"] == f"Bearer {litellm.KEY}"
        assert "authorization" not in proxy.files.requests[0].headers

    def test_a_providers_host_that_nobody_vouched_for(self, proxy, call):
        with pytest.raises(BadEngineResponse) as caught:
            make(engine(proxy.url), call)
        assert "not followed" in caught.value.detail
        assert caught.value.may_have_charged
        assert caught.value.cost == 0.02
        assert not proxy.files.requests
        assert call.spool.files() == []

    def test_what_can_be_fetched_of_several_is_kept(self, proxy, call):
        def gone(wire, response):
            wire.send(response if len(proxy.files.requests) != 2 else Response(404))

        proxy.files.fault = gone
        answer, images = make(through(proxy), call, n=3)
        assert len(images) == 2
        assert answer.meta["pictures_failed"] == 1

    def test_none_of_several_can_be_fetched(self, proxy, call):
        proxy.files.fault = faults.cut_in_body
        with pytest.raises(EngineUnavailable) as caught:
            make(through(proxy), call, n=3)
        assert caught.value.may_have_charged
        assert call.spool.files() == []

    @pytest.mark.parametrize(
        ("prompt", "error", "may_have_charged"),
        [
            ("[400] x", PromptRejected, False),
            ("[mod] x", PromptRejected, False),
            ("[xai400] x", BadEngineResponse, True),
            ("[429] x", RateLimited, False),
            ("[401] x", EngineMisconfigured, False),
            ("[500] x", EngineUnavailable, True),
            ("[503] x", EngineUnavailable, False),
            ("[html] x", EngineUnavailable, True),
            ("[conn] x", EngineUnavailable, True),
            ("[slow:10] x", EngineTimeout, True),
        ],
    )
    @pytest.mark.parametrize("model", ["grok-imagine-image", "gpt-image-1"])
    def test_refusals(self, proxy, call, prompt, error, may_have_charged, model):
        if (prompt, model) == ("[xai400] x", "gpt-image-1"):
            error, may_have_charged = EngineMisconfigured, False
        with pytest.raises(error) as caught:
            make(through(proxy), call, prompt=prompt, model=model)
        assert caught.value.may_have_charged is may_have_charged
        assert "LiteLLM" not in caught.value.message
        assert "litellm" in caught.value.detail
        assert call.spool.files() == []

    def test_an_unknown_model(self, proxy, call):
        with pytest.raises(EngineMisconfigured) as caught:
            make(through(proxy), call, model="nope")
        assert "no such model" in caught.value.detail

    @pytest.mark.parametrize("key", ["", "sk-wrong"])
    def test_a_wrong_key(self, proxy, call, key):
        with pytest.raises(EngineMisconfigured) as caught:
            make(through(proxy, key=key), call)
        assert "the key was refused" in caught.value.detail
        assert not caught.value.may_have_charged

    def test_what_staff_set_and_the_proxy_refuses(self, proxy, call):
        with pytest.raises(EngineMisconfigured) as caught:
            make(through(proxy, parameters={"style": "vivid"}), call, model="dall-e-3")
        assert "Setting `style` is not supported" in caught.value.detail

    def test_a_grok_model_is_never_sent_a_size(self, proxy, call):
        make(through(proxy, parameters={"size": "512x512", "quality": "low"}), call, size=Size(512, 512))
        assert proxy.requests[0].json.keys() == {"model", "prompt", "n", "aspect_ratio"}

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            (faults.broken_json, BadEngineResponse),
            (faults.wrong_shape, BadEngineResponse),
            (faults.status(200, b"<html>hello</html>"), BadEngineResponse),
            (faults.status(200, b"[]"), BadEngineResponse),
            (faults.status(200, b"null"), BadEngineResponse),
            (faults.status(200, b""), BadEngineResponse),
            (faults.status(200, b"{}"), BadEngineResponse),
            (faults.status(200, b'{"data": null}'), BadEngineResponse),
            (faults.status(200, b'{"data": [null, 7, "x", [], {}]}'), BadEngineResponse),
            (faults.status(200, b'{"data": [{"b64_json": null, "url": null}]}'), BadEngineResponse),
            (faults.status(200, b'{"data": [{"b64_json": "", "url": ""}]}'), BadEngineResponse),
            (faults.status(200, b'{"data": [{"b64_json": "no base64!"}]}'), BadEngineResponse),
            (faults.status(200, b'{"data": [{"b64_json": 7, "url": {}}]}'), BadEngineResponse),
            (faults.status(200, b'{"data": [{"url": "file:///etc/passwd"}]}'), BadEngineResponse),
            (faults.status(200, b'{"data": [{"url": "data:image/png,raw"}]}'), BadEngineResponse),
            (faults.status(200, b'{"data": [{"url": "http://169.254.169.254/"}]}'), BadEngineResponse),
            (faults.status(200, b'{"data": []}'), PromptRejected),
            (faults.too_large, BadEngineResponse),
            (faults.cut_in_body, EngineUnavailable),
            (faults.error_html, EngineUnavailable),
        ],
    )
    def test_answers_without_a_picture(self, proxy, call, fault, error):
        proxy.fault = fault
        with pytest.raises(error) as caught:
            make(through(proxy, max_answer_bytes=3_000_000), call)
        assert caught.value.may_have_charged
        assert caught.value.message == error.default_message

    def test_a_retry_after_is_handed_on(self, proxy, call):
        proxy.fault = faults.rate_limited(retry_after_ms="1500")
        with pytest.raises(RateLimited) as caught:
            make(through(proxy), call)
        assert caught.value.retry_after == 1.5

    def test_the_deadline(self, proxy, call):
        proxy.fault = faults.slow_headers
        short = replace(call, deadline_at=time.monotonic() + 1)
        with pytest.raises(EngineTimeout) as caught:
            make(through(proxy), short)
        assert time.monotonic() - short.deadline_at < 4
        assert caught.value.may_have_charged

    def test_no_word_of_the_key(self, proxy, call, caplog):
        caplog.set_level(logging.DEBUG)
        for prompt in ("[400] x", "[401] x", "[500] x"):
            with pytest.raises(EngineError) as caught:
                make(through(proxy), call, prompt=prompt)
            assert litellm.KEY not in f"{caught.value!r}{caught.value.detail}{caught.value.__cause__!r}"
        proxy.files.fault = faults.cut_in_body
        with pytest.raises(EngineError):
            make(through(proxy), call)
        assert litellm.KEY not in caplog.text


class TestCheck:
    def test_what_was_found(self, proxy):
        assert through(proxy).check() == "10 models, 10 of them known to make pictures."
        assert through(proxy, model="ours").check().endswith("'ours' is not among them.")
        assert [(request.method, request.path) for request in proxy.requests] == [("GET", "/v1/models")] * 2

    @pytest.mark.parametrize("key", ["", "sk-wrong"])
    def test_wrong_credentials(self, proxy, key):
        with pytest.raises(EngineMisconfigured) as caught:
            through(proxy, key=key).check()
        assert "the key was refused" in caught.value.detail

    def test_another_kind_of_server(self):
        with litellm.ProviderFiles() as server, pytest.raises(EngineMisconfigured) as caught:
            engine(server.url).check()
        assert "no such model or address" in caught.value.detail

    def test_nobody_there(self):
        with pytest.raises(EngineUnavailable):
            engine("http://127.0.0.1:9").check()
