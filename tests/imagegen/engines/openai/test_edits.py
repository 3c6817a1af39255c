"""Edits, at each host in its way."""

import io
import json
import logging

import pytest
from PIL import Image

from imagegen.engines.base import EditRequest
from imagegen.engines.errors import (
    BadEngineResponse,
    EngineError,
    EngineMisconfigured,
    EngineTimeout,
    EngineUnavailable,
    PromptRejected,
    RateLimited,
    Unsupported,
)
from imagegen.engines.sizes import Size
from tests.fakes import hosted, litellm
from tests.fakes import server as faults
from tests.fakes.forms import EDITED, Form
from tests.fakes.server import Request, picture
from tests.imagegen.engines.openai.case import engine, size_of, through

BLUE = picture(64, 32, colour="blue")
RED_JPEG = picture(48, 48, "JPEG")
WEBP = picture(64, 32, "WEBP")


def edit(made_by, call, images=(BLUE,), prompt="a red cat", model="gpt-image-1", **request):
    asked = EditRequest(prompt=prompt, model=model, images=images, **request)
    answer = made_by.edit(asked, call)
    return answer, made_by.parse(answer)


def payload(model="gpt-image-2", url="http://litellm:4000", parameters=None, **request):
    asked = EditRequest(**{"prompt": "a red cat", "model": model, "images": [BLUE], **request})
    return engine(url, parameters=parameters or {}).build_payload(asked)


def mask(left=255, right=0):
    image = Image.new("L", (64, 32), right)
    image.paste(left, (0, 0, 32, 32))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def colours(image):
    """In the middle of the left and of the right half."""
    pixels = Image.open(io.BytesIO(image.data)).convert("RGB")
    return [pixels.getpixel((pixels.width * k // 4, pixels.height // 2)) for k in (1, 3)]


class TestPayload:
    @pytest.mark.parametrize(
        ("model", "sent"),
        [
            ("gpt-image-2.6-flare", {"quality", "background", "complexity"}),
            ("gpt-image-2.5-flare", {"quality", "background"}),
            ("gpt-image-2", {"background"}),
            ("gpt-image-1.5", {"background", "input_fidelity"}),
            ("gpt-image-1-mini", {"background"}),
            ("dall-e-2", set()),
            ("portraits", {"quality", "background", "complexity", "moderation", "input_fidelity"}),
        ],
    )
    def test_parameters_by_model(self, model, sent):
        parameters = {
            "quality": "xhigh",
            "background": "opaque",
            "complexity": "high",
            "moderation": "low",
            "input_fidelity": "high",
        }
        assert payload(model, parameters=parameters).keys() == sent | {"model", "prompt", "n"}

    def test_parameters_cannot_bring_sources(self):
        parameters = {"image": "x", "images": ["x"], "mask": "x"}
        assert payload("portraits", parameters=parameters).keys() == {"model", "prompt", "n"}

    def test_the_requests_background_wins(self):
        sent = payload(background="opaque", parameters={"background": "transparent"})
        assert sent["background"] == "opaque"
        assert "background" not in payload()

    def test_no_transparent_jpeg(self):
        parameters = {"output_format": "jpeg", "output_compression": 80}
        sent = payload(background="transparent", parameters=parameters)
        assert (sent["background"], sent["output_format"]) == ("transparent", "png")
        assert "output_compression" not in sent
        assert payload(background="opaque", parameters=parameters)["output_format"] == "jpeg"

    @pytest.mark.parametrize(("model", "background"), [("dall-e-2", "transparent"), ("gpt-image-2", "pink")])
    def test_a_background_that_the_model_does_not_make(self, model, background):
        with pytest.raises(Unsupported) as caught:
            payload(model, background=background)
        assert "background" in caught.value.message

    @pytest.mark.parametrize("background", ["opaque", "auto", ""])
    def test_a_background_that_every_model_makes(self, background):
        assert "background" not in payload("dall-e-2", background=background)

    def test_sizes_are_those_of_the_model(self):
        assert payload("gpt-image-1", size=Size(1920, 1080))["size"] == "1536x1024"
        assert "size" not in payload("gpt-image-1")

    def test_xai_keeps_the_shape_of_a_single_source(self):
        at_xai = {"url": "https://api.x.ai/v1", "model": "grok-imagine-image", "size": Size(1920, 1080)}
        parameters = {"aspect_ratio": "1:1"}
        assert "aspect_ratio" not in payload(**at_xai, parameters=parameters)
        assert payload(**at_xai, images=[BLUE, BLUE])["aspect_ratio"] == "16:9"
        at_xai["size"] = None
        assert payload(**at_xai, images=[BLUE, BLUE], parameters=parameters)["aspect_ratio"] == "1:1"
        assert "aspect_ratio" not in payload(**at_xai, images=[BLUE, BLUE])

    def test_source_pictures_are_not_copied(self):
        body = engine().build_edit(EditRequest(prompt="x", images=[BLUE, RED_JPEG]))
        assert any(piece is BLUE for piece in body.data)
        assert any(piece is RED_JPEG for piece in body.data)
        assert len(body) == len(b"".join(body.data))


class TestAsRecorded:
    """The forms that the real proxy took are those that we make."""

    def sent(self, **request):
        body = engine().build_edit(EditRequest(**request))
        headers = {"content-type": body.content_type}
        form = Form.read(Request("POST", "/", {}, headers, b"".join(body.data)))
        return form.fields, [[file.field, file.content_type] for file in form.files]

    def recorded(self, name):
        request = next(one["request"] for one in litellm.RECORDINGS if one["name"] == name)
        return request["data"], [[field, type] for field, _, type in request["files"]]

    def test_one_picture(self):
        sent = self.sent(prompt="a red cat", model="gpt-image-1", size=Size(1024, 1024), images=[BLUE])
        assert sent == self.recorded("edit gpt-image-1")

    def test_two_and_a_mask(self):
        fields, files = self.sent(
            prompt="a red cat", model="gpt-image-1", images=[BLUE, RED_JPEG], mask=mask()
        )
        wanted, parts = self.recorded("edit gpt-image-1 image[] x2 + mask")
        assert fields == wanted | {"n": "1"}
        assert files == [parts[0], ["image[]", "image/jpeg"], parts[2]]


class TestThroughLiteLLM:
    def test_a_picture(self, proxy, call):
        answer, (image,) = edit(through(proxy), call, size=Size(1000, 1000))
        assert size_of(image) == (1024, 1024)
        assert colours(image) == [EDITED, EDITED]
        assert answer.cost == 0.01093
        assert len(answer.meta["litellm_call_id"]) == 36
        assert [path.name for path in call.spool.files()] == ["generation-0.answer"]

    @pytest.mark.parametrize(("left", "right"), [(255, 0), (0, 255)])
    def test_white_is_what_changes(self, proxy, call, left, right):
        _, (image,) = edit(through(proxy), call, mask=mask(left, right))
        assert colours(image) == ([EDITED, (0, 0, 255)] if left else [(0, 0, 255), EDITED])

    def test_several_from_several(self, proxy, call):
        _, images = edit(through(proxy), call, images=[BLUE, RED_JPEG, WEBP], n=3)
        assert len(images) == 3
        form = Form.read(proxy.requests[0])
        assert [(file.field, file.data) for file in form.files] == [
            ("image[]", BLUE),
            ("image[]", RED_JPEG),
            ("image[]", WEBP),
        ]

    def test_an_unknown_model_by_url(self, call):
        with litellm.LiteLLM(more={"ours": ("openai", "flux")}) as proxy:
            _, (image,) = edit(through(proxy), call, model="ours")
            assert size_of(image) == (1024, 1024)
            assert len(proxy.files.requests) == 1

    @pytest.mark.parametrize("model", ["grok-imagine-image", "xai/grok-imagine-image-2.0", "grok-2-image"])
    def test_grok_is_not_even_asked(self, proxy, call, model):
        with pytest.raises(Unsupported):
            edit(through(proxy), call, model=model)
        assert not proxy.requests

    def test_grok_behind_another_name(self, proxy, call):
        with pytest.raises(Unsupported) as caught:
            edit(through(proxy), call, model="grok-drop")
        assert caught.value.message == "This model cannot edit pictures."
        assert "not supported for xai" in caught.value.detail
        assert not caught.value.may_have_charged

    @pytest.mark.parametrize(
        ("prompt", "error", "may_have_charged"),
        [
            ("[400] x", PromptRejected, False),
            ("[mod] x", PromptRejected, False),
            ("[429] x", RateLimited, False),
            ("[401] x", EngineMisconfigured, False),
            ("[500] x", EngineUnavailable, True),
            ("[503] x", EngineUnavailable, False),
            ("[html] x", EngineUnavailable, True),
            ("[conn] x", EngineUnavailable, True),
            ("[slow:10] x", EngineTimeout, True),
        ],
    )
    def test_refusals(self, proxy, call, prompt, error, may_have_charged):
        with pytest.raises(error) as caught:
            edit(through(proxy), call, prompt=prompt)
        assert caught.value.may_have_charged is may_have_charged
        assert "LiteLLM" not in caught.value.message
        assert call.spool.files() == []

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            (faults.broken_json, BadEngineResponse),
            (faults.wrong_shape, BadEngineResponse),
            (faults.cut_in_body, EngineUnavailable),
            (faults.cut_before_headers, EngineUnavailable),
            (faults.error_html, EngineUnavailable),
            (faults.too_large, BadEngineResponse),
        ],
    )
    def test_faults(self, proxy, call, fault, error):
        proxy.fault = fault
        with pytest.raises(error) as caught:
            edit(through(proxy, max_answer_bytes=3_000_000), call)
        assert caught.value.may_have_charged

    def test_no_word_of_the_key_or_the_pictures(self, proxy, call, caplog):
        caplog.set_level(logging.DEBUG)
        for prompt in ("[400] x", "[401] x", "[500] x"):
            with pytest.raises(EngineError) as caught:
                edit(through(proxy), call, prompt=prompt)
            told = f"{caught.value!r}{caught.value.detail}{caught.value.__cause__!r}{caplog.text}"
            assert litellm.KEY not in told
            assert repr(BLUE[16:32])[2:-1] not in told


class TestOpenAI:
    @pytest.fixture
    def server(self):
        with hosted.OpenAIAPI() as running:
            yield running

    def test_everything_at_once(self, server, call):
        parameters = {
            "quality": "high",
            "input_fidelity": "high",
            "moderation": "low",
            "output_format": "webp",
        }
        ours = engine(server.url, key=hosted.KEY, parameters=parameters)
        images = [WEBP, BLUE, RED_JPEG]
        _, found = edit(ours, call, images, model="gpt-image-1", mask=mask(), background="transparent", n=2)
        assert len(found) == 2
        form = Form.read(server.requests[0])
        assert form.fields == {
            "model": "gpt-image-1",
            "prompt": "a red cat",
            "n": "2",
            "quality": "high",
            "input_fidelity": "high",
            "output_format": "webp",
            "background": "transparent",
        }

    @pytest.mark.parametrize("model", ["gpt-image-2", "gpt-image-2.5-flare", "gpt-image-1.5"])
    def test_input_fidelity_goes_only_where_it_is_taken(self, server, call, model):
        ours = engine(server.url, key=hosted.KEY, parameters={"input_fidelity": "high"})
        edit(ours, call, model=model)
        sent = Form.read(server.requests[0]).fields
        assert ("input_fidelity" in sent) == (model == "gpt-image-1.5")

    @pytest.mark.parametrize(
        ("prompt", "error", "message"),
        [
            ("[mod] x", PromptRejected, "rephrase"),
            ("[dalle] x", PromptRejected, "rephrase"),
            ("[image] x", Unsupported, "does not take these source pictures"),
            ("[mask] x", Unsupported, "does not take these source pictures"),
            ("[transparent] x", Unsupported, "makes no transparent background"),
            ("[size413] x", Unsupported, "too large"),
            ("[broke] x", EngineMisconfigured, "administrator"),
            ("[unverified] x", EngineMisconfigured, "administrator"),
            ("[size] x", EngineMisconfigured, "administrator"),
            ("[overloaded] x", EngineUnavailable, "later"),
        ],
    )
    def test_refusals(self, server, call, prompt, error, message):
        with pytest.raises(error) as caught:
            edit(engine(server.url, key=hosted.KEY), call, prompt=prompt)
        assert message in caught.value.message
        assert not caught.value.may_have_charged
        assert call.spool.files() == []

    def test_what_the_table_forbids_is_not_sent(self, server, call):
        ours = engine(server.url, key=hosted.KEY)
        for model, images, masked in (
            ("dall-e-3", [BLUE], None),
            ("dall-e-2", [BLUE, BLUE], None),
            ("gpt-image-2", [BLUE] * 17, None),
            ("portraits", [BLUE, BLUE], None),
            ("gpt-image-2", [BLUE], picture(32, 64)),
            ("gpt-image-2", [b"no picture"], None),
        ):
            with pytest.raises(Unsupported):
                edit(ours, call, images, model=model, mask=masked)
        assert not server.requests


class TestAzure:
    @pytest.fixture
    def server(self):
        with hosted.AzureAPI() as running:
            yield running

    def azure(self, server, **parameters):
        parameters = {"dialect": "azure", "base_models": {server.DEPLOYMENT: "gpt-image-1.5"}, **parameters}
        return engine(server.url, key=hosted.KEY, parameters=parameters)

    @pytest.mark.parametrize("version", ["", "v1", "2025-04-01-preview"])
    def test_a_picture_and_a_mask(self, server, call, version):
        ours = self.azure(server, api_version=version)
        _, (image,) = edit(ours, call, [BLUE, RED_JPEG], model=server.DEPLOYMENT, mask=mask())
        assert colours(image) == [EDITED, (0, 0, 255)]
        assert ("model" in Form.read(server.requests[0]).fields) == (version != "2025-04-01-preview")

    def test_no_webp(self, server, call):
        edit(self.azure(server), call, [WEBP, BLUE], model=server.DEPLOYMENT)
        sent = Form.read(server.requests[0])
        assert [(file.name, file.content_type) for file in sent.files] == [
            ("image.jpg", "image/jpeg"),
            ("image.png", "image/png"),
        ]

    @pytest.mark.parametrize("prompt", ["[docs] x", "[inner] x", "[generic] x"])
    def test_the_content_filter(self, server, call, prompt):
        with pytest.raises(PromptRejected) as caught:
            edit(self.azure(server), call, prompt=prompt, model=server.DEPLOYMENT)
        assert not caught.value.may_have_charged

    @pytest.mark.parametrize("version", ["v1", "2025-04-01-preview"])
    def test_an_unknown_deployment(self, server, call, version):
        with pytest.raises(EngineMisconfigured) as caught:
            edit(self.azure(server, api_version=version), call, model="another")
        assert "no such model" in caught.value.detail


class TestXai:
    @pytest.fixture
    def server(self):
        with hosted.XaiAPI() as running:
            yield running

    def xai(self, server, **parameters):
        return engine(server.url, key=hosted.KEY, parameters={"dialect": "xai", **parameters})

    @pytest.mark.parametrize("data", [BLUE, RED_JPEG, WEBP])
    def test_one_picture(self, server, call, data):
        answer, images = edit(
            self.xai(server), call, [data], model="grok-imagine-image", n=2, size=Size(512, 512)
        )
        assert [size_of(image) for image in images] == [Image.open(io.BytesIO(data)).size] * 2
        assert answer.cost == pytest.approx(0.04)
        sent = server.requests[0].json
        assert sent.keys() == {"model", "prompt", "n", "response_format", "image"}

    def test_three_pictures_and_a_size(self, server, call):
        three = [BLUE, RED_JPEG, WEBP]
        edit(self.xai(server), call, three, model="grok-imagine-image", size=Size(1920, 1080))
        sent = server.requests[0].json
        assert sent["aspect_ratio"] == "16:9"
        assert [entry["url"][:22] for entry in sent["images"]] == [
            "data:image/png;base64,",
            "data:image/jpeg;base64",
            "data:image/webp;base64",
        ]

    def test_what_xai_cannot_do(self, server, call):
        for request in (
            {"images": [BLUE] * 4, "model": "grok-imagine-image"},
            {"mask": mask(), "model": "grok-imagine-image"},
            {"mask": mask(), "model": "something-new"},
            {"images": [BLUE] * 2, "model": "something-new"},
            {"background": "transparent", "model": "grok-imagine-image"},
            {"model": "grok-2-image"},
        ):
            with pytest.raises(Unsupported):
                edit(self.xai(server), call, **request)
        assert not server.requests

    def test_a_picture_rejected_after_it_was_made_is_paid_for(self, server, call):
        with pytest.raises(PromptRejected) as caught:
            edit(self.xai(server), call, prompt="[mod] x", model="grok-imagine-image")
        assert caught.value.may_have_charged
        assert caught.value.cost == pytest.approx(0.02)

    @pytest.mark.parametrize("prompt", ["[respect] x", "[reason] x", "[empty] x"])
    def test_rejected_with_a_200(self, server, call, prompt):
        with pytest.raises(PromptRejected) as caught:
            edit(self.xai(server), call, prompt=prompt, model="grok-imagine-image")
        assert caught.value.may_have_charged

    @pytest.mark.parametrize("prompt", ["[broke] x", "[broke403] x"])
    def test_no_credits(self, server, call, prompt):
        with pytest.raises(EngineMisconfigured) as caught:
            edit(self.xai(server), call, prompt=prompt, model="grok-imagine-image")
        assert "no money" in caught.value.detail

    def test_no_picture_data_in_what_staff_read(self, server, call):
        body = json.dumps({"code": "400", "error": f"bad {'iVBORw0KGgo' * 40}"}).encode()
        server.fault = faults.status(400, body)
        with pytest.raises(EngineMisconfigured) as caught:
            edit(self.xai(server), call, model="grok-imagine-image")
        assert "iVBORw0KGgoiVBOR" not in caught.value.detail
