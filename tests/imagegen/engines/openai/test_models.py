import json
import logging
from datetime import UTC, datetime

import pytest

from imagegen.engines.base import ImageRequest
from imagegen.engines.errors import (
    BadEngineResponse,
    EngineMisconfigured,
    Unsupported,
)
from imagegen.engines.openai import OpenAI
from imagegen.engines.openai.models import FAMILIES, SHUTDOWN, UNKNOWN, family
from imagegen.engines.sizes import AnySize, ListedSizes, Size
from tests.fakes import hosted, litellm
from tests.fakes import server as faults
from tests.imagegen.engines.openai.case import engine, through


def payload(model="gpt-image-2", url="http://litellm:4000", parameters=None, **request):
    asked = ImageRequest(**{"prompt": "a red cat", "model": model, **request})
    return engine(url, parameters=parameters or {}).build_payload(asked)


class TestPayload:
    @pytest.mark.parametrize(
        ("model", "size", "more"),
        [
            ("gpt-image-2", Size(1024, 1024), {"size": "1024x1024"}),
            ("gpt-image-2", Size(512, 512), {"size": "816x816"}),
            ("gpt-image-2", Size(1000, 500), {"size": "1152x576"}),
            ("gpt-image-2", None, {}),
            ("gpt-image-2-2026-04-21", Size(1920, 1080), {"size": "1920x1088"}),
            ("gpt-image-2.5-flare", Size(1024, 1024), {"size": "1024x1024"}),
            ("gpt-image-2.6-sunburst-2026-09-08", Size(2048, 1024), {"size": "2048x1024"}),
            ("openai/gpt-image-2", Size(1024, 1024), {"size": "1024x1024"}),
            ("azure/gpt-image-1.5", Size(1920, 1080), {"size": "1536x1024"}),
            ("gpt-image-1", Size(512, 512), {"size": "1024x1024"}),
            ("gpt-image-1-mini", Size(600, 900), {"size": "1024x1536"}),
            ("chatgpt-image-latest", Size(512, 512), {"size": "1024x1024"}),
            ("dall-e-3", Size(1920, 1080), {"size": "1792x1024"}),
            ("dall-e-2", Size(500, 500), {"size": "512x512"}),
            ("grok-imagine-image", Size(512, 512), {"aspect_ratio": "1:1"}),
            ("grok-imagine-image", None, {}),
            ("xai/grok-imagine-image-2.0", Size(1920, 1080), {"aspect_ratio": "16:9"}),
            ("XAI/Grok-Imagine-Image-2.0", Size(768, 1024), {"aspect_ratio": "3:4"}),
            ("grok-2-image", Size(512, 512), {}),
            ("grok-2-image-1212", Size(512, 512), {}),
            ("portraits", Size(512, 512), {}),
            ("flux/schnell", Size(512, 512), {}),
        ],
    )
    def test_each_model_gets_what_it_takes(self, model, size, more):
        assert payload(model, size=size) == {"model": model, "prompt": "a red cat", "n": 1, **more}

    def test_a_seed_steps_and_a_negative_prompt_are_never_sent(self):
        sent = payload(seed=7, steps=20, negative_prompt="dogs")
        assert sent == {"model": "gpt-image-2", "prompt": "a red cat", "n": 1}

    def test_gpt_image_2_takes_only_sizes_within_its_bounds(self):
        for asked in (Size(64, 64), Size(4096, 4096), Size(4096, 64), Size(64, 4096), Size(1000, 333)):
            width, height = map(int, payload(size=asked)["size"].split("x"))
            assert width % 16 == height % 16 == 0
            assert 655_360 <= width * height <= 8_294_400
            assert max(width, height) <= 3840
            assert max(width, height) <= 3 * min(width, height)

    @pytest.mark.parametrize(
        ("model", "sent"),
        [
            (
                "gpt-image-2",
                {"quality", "background", "output_format", "output_compression", "moderation", "user"},
            ),
            (
                "gpt-image-1",
                {"quality", "background", "output_format", "output_compression", "moderation", "user"},
            ),
            ("dall-e-3", {"response_format", "user"}),
            ("dall-e-2", {"response_format", "user"}),
            ("grok-imagine-image", {"aspect_ratio", "resolution", "response_format", "user"}),
            ("grok-2-image", {"response_format", "user"}),
        ],
    )
    def test_parameters_that_a_model_does_not_take_are_left_out(self, model, sent, caplog):
        caplog.set_level(logging.INFO)
        parameters = {
            "quality": "low",
            "style": "secret-value",
            "background": "opaque",
            "output_format": "webp",
            "output_compression": 80,
            "moderation": "low",
            "user": "easel",
            "response_format": "b64_json",
            "aspect_ratio": "4:3",
            "resolution": "2k",
        }
        got = payload(model, parameters=parameters)
        assert got.keys() == sent | {"model", "prompt", "n"}
        for name in parameters.keys() - sent:
            assert name in caplog.text
        assert "secret-value" not in caplog.text

    @pytest.mark.parametrize(
        ("model", "given", "sent"),
        [
            ("gpt-image-2.6-flare", {"quality": "max", "complexity": "low"}, {"quality", "complexity"}),
            ("gpt-image-2.5-flare", {"quality": "max", "complexity": "low"}, {"quality"}),
            ("gpt-image-2", {"quality": "max", "complexity": "low"}, set()),
            ("gpt-image-1.5", {"quality": "xhigh", "input_fidelity": "high"}, set()),
            ("dall-e-3", {"quality": "hd", "style": "vivid"}, {"quality", "style"}),
            ("dall-e-3", {"quality": "high", "style": "grand"}, set()),
            ("grok-imagine-image-2.0", {"quality": "low", "resolution": "2k"}, {"quality", "resolution"}),
            ("grok-imagine-image-2.0", {"quality": "high", "resolution": "4k"}, set()),
            ("grok-imagine-image-quality", {"quality": "low"}, set()),
            ("gpt-image-2", {"quality": ["low"]}, set()),
        ],
    )
    def test_values_that_a_model_does_not_take_are_left_out(self, model, given, sent):
        assert payload(model, parameters=given).keys() == sent | {"model", "prompt", "n"}

    def test_an_unknown_model_gets_whatever_staff_set(self):
        got = payload("portraits", parameters={"steps": 4, "sampler": "euler", "size": "1x1"})
        assert got == {
            "model": "portraits",
            "prompt": "a red cat",
            "n": 1,
            "steps": 4,
            "sampler": "euler",
            "size": "1x1",
        }

    def test_parameters_override_neither_the_request_nor_the_answers_form(self):
        parameters = {"prompt": "x", "model": "y", "n": 9, "stream": True, "partial_images": 3}
        assert payload("portraits", parameters=parameters) == {
            "model": "portraits",
            "prompt": "a red cat",
            "n": 1,
        }

    def test_the_asked_shape_wins_over_the_configured_one(self):
        parameters = {"aspect_ratio": "4:3"}
        assert payload("grok-imagine-image", parameters=parameters)["aspect_ratio"] == "4:3"
        asked = payload("grok-imagine-image", parameters=parameters, size=Size(512, 512))
        assert asked["aspect_ratio"] == "1:1"

    @pytest.mark.parametrize(("declared", "sent"), [("any", "600x400"), (["512x512", "768x512"], "768x512")])
    def test_sizes_declared_for_an_unknown_model(self, declared, sent):
        got = payload("portraits", parameters={"sizes": declared}, size=Size(600, 400))
        assert got == {"model": "portraits", "prompt": "a red cat", "n": 1, "size": sent}

    def test_a_known_model_keeps_its_own_sizes(self):
        assert payload("grok-2-image", parameters={"sizes": "any"}, size=Size(600, 400)) == payload(
            "grok-2-image"
        )

    @pytest.mark.parametrize("declared", ["large", ["512"], [512], 7, {"a": 1}])
    def test_sizes_that_cannot_be_read(self, declared):
        with pytest.raises(EngineMisconfigured) as caught:
            payload("portraits", parameters={"sizes": declared})
        assert "sizes" in caught.value.detail

    def test_an_alias_of_which_staff_say_what_it_is(self):
        parameters = {"base_models": {"portraits": "gpt-image-1.5"}, "style": "x"}
        sent = payload("portraits", parameters=parameters, size=Size(600, 400))
        assert sent == {"model": "portraits", "prompt": "a red cat", "n": 1, "size": "1536x1024"}
        assert payload("others", parameters=parameters)["style"] == "x"
        able = engine(parameters=parameters).capabilities("portraits")
        assert (able.per_call, able.edit_sources) == (10, 16)

    @pytest.mark.parametrize("named", ["gpt-image-2", ["portraits"], {"portraits": None}, 7])
    def test_base_models_that_say_nothing(self, named):
        assert payload("portraits", parameters={"base_models": named}).keys() == {"model", "prompt", "n"}

    def test_xai_itself_is_asked_for_the_data(self):
        got = payload("grok-imagine-image", url="https://api.x.ai/v1")
        assert got["response_format"] == "b64_json"
        assert "response_format" not in payload("grok-imagine-image", url="https://litellm.example")

    def test_the_model_of_the_connection_and_of_the_engine(self):
        asked = ImageRequest(prompt="x")
        assert engine(model="dall-e-3").build_payload(asked)["model"] == "dall-e-3"
        assert engine().build_payload(asked)["model"] == OpenAI.default_model == "gpt-image-2"

    def test_as_recorded(self):
        """The requests that the real proxy answered are those that we make for its models."""
        for name in ("grok-2-image", "grok-imagine-image", "gpt-image-1", "dall-e-3"):
            recorded = next(one for one in litellm.RECORDINGS if one["name"] == f"{name} plain")
            assert payload(name) == recorded["request"]["json"]
        recorded = next(one for one in litellm.RECORDINGS if one["name"] == "grok n=3")
        assert payload("grok-imagine-image", n=3) == recorded["request"]["json"]


class TestModelsTable:
    def test_every_family_can_be_found(self):
        for row in FAMILIES:
            for pattern in row.ids:
                assert family(pattern.replace("*", "x")) is row

    @pytest.mark.parametrize(
        "model", ["", "gpt-5", "gpt-image-3", "gpt-image-20", "grok-5", "my-gpt-image-2"]
    )
    def test_what_no_row_knows(self, model):
        assert family(model) is UNKNOWN

    def test_capabilities(self):
        able = engine().capabilities("gpt-image-2")
        assert able.operations == {"generate", "edit"}
        assert isinstance(able.sizes, AnySize)
        assert (able.auto_size, able.per_call, able.max_prompt) == (True, 10, 32_000)
        assert not (able.seed or able.steps or able.negative_prompt)
        able = engine().capabilities("dall-e-3")
        assert isinstance(able.sizes, ListedSizes)
        assert (able.auto_size, able.per_call, able.max_prompt) == (False, 1, 4_000)
        assert engine().capabilities("portraits").per_call == 1
        assert engine().capabilities("") == engine().capabilities("gpt-image-2")

    @pytest.mark.parametrize(
        ("url", "model", "sources", "mask"),
        [
            ("https://api.openai.com/v1", "gpt-image-2", 16, True),
            ("https://api.openai.com/v1", "gpt-image-1-mini-2026-01-01", 16, True),
            ("https://ours.openai.azure.com", "gpt-image-2.5-sunburst", 16, True),
            ("https://ours.openai.azure.com", "our deployment", 1, True),
            ("http://litellm:4000", "dall-e-2", 1, True),
            ("http://litellm:4000", "dall-e-3", 0, False),
            ("http://litellm:4000", "portraits", 1, True),
            ("http://litellm:4000", "xai/grok-imagine-image", 0, False),
            ("https://api.x.ai/v1", "grok-imagine-image", 3, False),
            ("https://api.x.ai/v1", "grok-imagine-image-2.0", 3, False),
            ("https://api.x.ai/v1", "grok-2-image", 0, False),
            ("https://api.x.ai/v1", "something-new", 1, False),
            ("", "gpt-image-2", 16, True),
            ("nonsense", "grok-imagine-image", 0, False),
        ],
    )
    def test_what_can_be_edited(self, url, model, sources, mask):
        able = engine(url).capabilities(model)
        assert ("edit" in able.operations) == bool(sources)
        assert (able.edit_sources, able.mask) == (sources, mask)

    def test_sizes_that_cannot_be_read_break_no_list(self):
        assert engine(parameters={"sizes": "large"}).capabilities("portraits").per_call == 1

    def test_what_a_model_cannot_do_never_reaches_it(self, call):
        for request in (
            ImageRequest(prompt="x", model="dall-e-3", n=2),
            ImageRequest(prompt="x" * 4001, model="dall-e-3"),
        ):
            with pytest.raises(Unsupported):
                engine("http://127.0.0.1:9").generate(request, call)


class TestModels:
    def test_litellm_says_which_make_pictures(self, proxy):
        found = [model.id for model in through(proxy).models()]
        assert found == [*litellm.DEPLOYMENTS, "gpt-image-2"]

    def test_the_connections_own_model_is_always_among_them(self, proxy):
        assert through(proxy, model="ours").models()[0].id == "ours"
        assert [one.id for one in through(proxy, model="dall-e-3").models()].count("dall-e-3") == 1

    def test_ids_tell_where_nothing_else_does(self):
        with hosted.XaiAPI() as server:
            found = engine(server.url, key=hosted.KEY).models()
        assert [model.id for model in found] == ["grok-imagine-image", "grok-imagine-image-2.0"]

    def test_other_modes_are_no_image_models(self, proxy):
        entries = [
            {"id": "gpt-image-2", "mode": "chat"},
            {"id": "flux", "mode": "image_generation"},
            {"id": "grok-imagine-image", "mode": None},
            {"id": 7},
            "gpt-image-1",
        ]
        proxy.fault = faults.status(200, json.dumps({"data": entries}).encode())
        proxy.faulty = lambda request: True
        assert [model.id for model in through(proxy).models()] == ["flux", "grok-imagine-image"]

    def test_the_configured_list_where_the_server_has_no_image_model(self, proxy):
        proxy.fault = faults.status(200, b'{"data": [{"id": "gpt-5"}]}')
        proxy.faulty = lambda request: True
        found = through(proxy, model="ours", models=("theirs", "ours")).models()
        assert [model.id for model in found] == ["ours", "theirs"]

    def test_retirement_counts_at_the_maker_alone(self):
        listed = [
            {"id": "gpt-image-2", "shutdown_date": None},
            {"id": "gpt-image-1.5", "shutdown_date": "2020-01-01"},
            {"id": "gpt-image-2.5-flare", "shutdown_date": 1577836800},
            {"id": "gpt-image-2.6-flare", "shutdown_date": "2999-01-01T00:00:00Z"},
            {"id": "dall-e-3"},
            {"id": "dall-e-2"},
        ]
        at_openai = engine(model="dall-e-2")._image_models(listed)
        assert [(model.id, model.shutdown) for model in at_openai] == [
            ("gpt-image-2", ""),
            ("gpt-image-2.6-flare", "2999-01-01"),
            ("dall-e-2", "2026-05-12"),
        ]
        elsewhere = engine("http://litellm:4000")._image_models(listed)
        assert [model.id for model in elsewhere] == [entry["id"] for entry in listed]

    def test_xai_switches_models_off_too(self):
        listed = [{"id": "grok-imagine-image-pro"}, {"id": "grok-imagine-image-2.0"}]
        assert [model.id for model in engine("https://api.x.ai/v1")._image_models(listed)] == [
            "grok-imagine-image-2.0"
        ]

    def test_dates_are_dates(self):
        for text in (date for models in SHUTDOWN.values() for date in models.values()):
            assert datetime.fromisoformat(text).replace(tzinfo=UTC)

    @pytest.mark.parametrize("body", [b"[]", b'{"data": {}}', b"<html>", b"{}"])
    def test_a_list_of_another_shape(self, proxy, body):
        proxy.fault = faults.status(200, body)
        proxy.faulty = lambda request: True
        with pytest.raises(BadEngineResponse):
            through(proxy).models()
