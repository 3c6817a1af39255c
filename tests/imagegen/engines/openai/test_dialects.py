import io

import pytest
from PIL import Image

from imagegen.engines.base import EngineConfig
from imagegen.engines.errors import (
    EngineMisconfigured,
    EngineUnavailable,
    PromptRejected,
)
from imagegen.engines.openai.dialects import dialect
from imagegen.engines.sizes import Size
from tests.fakes import hosted
from tests.imagegen.engines.openai.case import engine, make, size_of


class TestDialects:
    @pytest.mark.parametrize(
        ("url", "parameters", "full"),
        [
            ("https://api.openai.com", {}, "https://api.openai.com/v1/images/generations"),
            ("https://api.openai.com/", {}, "https://api.openai.com/v1/images/generations"),
            ("https://api.openai.com/v1", {}, "https://api.openai.com/v1/images/generations"),
            ("https://api.openai.com/v1/", {}, "https://api.openai.com/v1/images/generations"),
            (
                "https://api.openai.com/v1/images/generations",
                {},
                "https://api.openai.com/v1/images/generations",
            ),
            ("http://litellm:4000", {}, "http://litellm:4000/v1/images/generations"),
            ("http://litellm:4000/proxy/v1", {}, "http://litellm:4000/proxy/v1/images/generations"),
            ("https://api.x.ai", {}, "https://api.x.ai/v1/images/generations"),
            (
                "https://ours.openai.azure.com",
                {},
                "https://ours.openai.azure.com/openai/v1/images/generations",
            ),
            (
                "https://ours.services.ai.azure.com/openai/v1/",
                {"api_version": "preview"},
                "https://ours.services.ai.azure.com/openai/v1/images/generations?api-version=preview",
            ),
            (
                "https://ours.cognitiveservices.azure.com",
                {"api_version": "2025-04-01-preview"},
                "https://ours.cognitiveservices.azure.com/openai/deployments/a%20b%2Fc/images/generations"
                "?api-version=2025-04-01-preview",
            ),
            (
                "https://ours.openai.azure.com/openai/deployments/theirs/images/generations"
                "?api-version=2025-04-01-preview",
                {},
                "https://ours.openai.azure.com/openai/deployments/theirs/images/generations"
                "?api-version=2025-04-01-preview",
            ),
            (
                "http://gateway.example/azure",
                {"dialect": "azure", "api_version": "2025-04-01-preview"},
                "http://gateway.example/openai/deployments/a%20b%2Fc/images/generations"
                "?api-version=2025-04-01-preview",
            ),
        ],
    )
    def test_where_things_are_asked_for(self, url, parameters, full):
        spoken = dialect(EngineConfig("ours", url, parameters=parameters))
        assert spoken.base_url + spoken.generations("a b/c") == full
        assert spoken.base_url + spoken.edits("a b/c") == full.replace("/generations", "/edits")
        chat = full.replace("/images/generations", "/chat/completions")
        assert spoken.base_url + spoken.chat("a b/c") == chat

    def test_how_one_shows_who_one_is(self):
        assert dialect(EngineConfig("", "https://api.x.ai/v1")).credentials("k") == {
            "Authorization": "Bearer k"
        }
        assert dialect(EngineConfig("", "https://a.openai.azure.com")).credentials("k") == {"api-key": "k"}
        assert dialect(EngineConfig("", "http://localai:8080")).credentials("") == {}

    @pytest.mark.parametrize(
        ("url", "parameters"),
        [("https://api.openai.com", {"dialect": "gemini"}), ("api.openai.com", {}), ("http://[bad", {})],
    )
    def test_what_cannot_be_spoken(self, url, parameters):
        with pytest.raises(EngineMisconfigured):
            dialect(EngineConfig("ours", url, parameters=parameters))

    def test_a_host_that_only_looks_like_azure(self):
        assert dialect(EngineConfig("", "https://openai.azure.com.evil.example")).name == "openai"
        assert dialect(EngineConfig("", "https://notapi.x.ai.example")).name == "openai"


class TestOpenAI:
    @pytest.fixture
    def server(self):
        with hosted.OpenAIAPI() as running:
            yield running

    def test_pictures(self, server, call):
        answer, images = make(
            engine(server.url, key=hosted.KEY), call, model="gpt-image-2", n=2, size=Size(1024, 1536)
        )
        assert [size_of(image) for image in images] == [(1024, 1536)] * 2
        assert answer.meta == {"request_id": "req_7f3a9c51e2"}

    @pytest.mark.parametrize(
        ("prompt", "error", "detail"),
        [
            ("[mod] x", PromptRejected, "content policy"),
            ("[dalle] x", PromptRejected, "content policy"),
            ("[long] x", PromptRejected, "prompt too long"),
            ("[broke] x", EngineMisconfigured, "no money"),
            ("[limit] x", EngineMisconfigured, "no money"),
            ("[unverified] x", EngineMisconfigured, "must be verified"),
            ("[size] x", EngineMisconfigured, "divisible by 16"),
            ("[overloaded] x", EngineUnavailable, "overloaded"),
        ],
    )
    def test_refusals(self, server, call, prompt, error, detail):
        with pytest.raises(error) as caught:
            make(engine(server.url, key=hosted.KEY), call, prompt=prompt, model="gpt-image-2")
        assert detail in caught.value.detail
        assert not caught.value.may_have_charged
        assert "openai" not in caught.value.message.lower()

    def test_an_unknown_model(self, server, call):
        with pytest.raises(EngineMisconfigured) as caught:
            make(engine(server.url, key=hosted.KEY), call, model="dall-e-3")
        assert "no such model" in caught.value.detail

    def test_a_wrong_key(self, server, call):
        with pytest.raises(EngineMisconfigured) as caught:
            make(engine(server.url), call, model="gpt-image-2")
        assert "the key was refused" in caught.value.detail
        assert "mnop" not in caught.value.detail


class TestAzure:
    @pytest.fixture
    def server(self):
        with hosted.AzureAPI() as running:
            yield running

    def azure(self, server, key=hosted.KEY, **parameters):
        return engine(
            server.url,
            key=key,
            model=server.DEPLOYMENT,
            models=("another",),
            parameters={"dialect": "azure", **parameters},
        )

    @pytest.mark.parametrize("version", ["", "v1", "2025-04-01-preview"])
    def test_pictures(self, server, call, version):
        make(self.azure(server, api_version=version), call, model=server.DEPLOYMENT)
        assert ("model" in server.requests[0].json) == (version != "2025-04-01-preview")

    @pytest.mark.parametrize("version", ["v1", "2025-04-01-preview"])
    def test_an_unknown_deployment(self, server, call, version):
        with pytest.raises(EngineMisconfigured) as caught:
            make(self.azure(server, api_version=version), call, model="another")
        assert "no such model" in caught.value.detail

    @pytest.mark.parametrize("prompt", ["[docs] x", "[inner] x", "[generic] x"])
    def test_the_content_filter(self, server, call, prompt):
        with pytest.raises(PromptRejected):
            make(self.azure(server), call, prompt=prompt, model=server.DEPLOYMENT)

    def test_a_blocked_resource(self, server, call):
        with pytest.raises(EngineMisconfigured) as caught:
            make(self.azure(server), call, prompt="[blocked] x", model=server.DEPLOYMENT)
        assert "temporarily blocked" in caught.value.detail

    def test_models_are_those_of_the_connection(self, server):
        assert [model.id for model in self.azure(server).models()] == [server.DEPLOYMENT, "another"]
        assert not server.requests

    def test_check(self, server):
        assert "accepts the key" in self.azure(server).check()
        with pytest.raises(EngineMisconfigured):
            self.azure(server, key="wrong").check()


class TestXai:
    @pytest.fixture
    def server(self):
        with hosted.XaiAPI() as running:
            yield running

    def xai(self, server, key=hosted.KEY, **parameters):
        return engine(server.url, key=key, parameters={"dialect": "xai", **parameters})

    def test_pictures_and_what_they_cost(self, server, call):
        answer, images = make(self.xai(server, resolution="2k"), call, n=2, size=Size(512, 512))
        assert [Image.open(io.BytesIO(image.data)).format for image in images] == ["JPEG", "JPEG"]
        assert answer.cost == pytest.approx(0.04)
        assert answer.pictures == []

    def test_a_picture_rejected_after_it_was_made_is_paid_for(self, server, call):
        with pytest.raises(PromptRejected) as caught:
            make(self.xai(server), call, prompt="[mod] x")
        assert caught.value.may_have_charged
        assert caught.value.cost == pytest.approx(0.02)

    @pytest.mark.parametrize("prompt", ["[respect] x", "[reason] x", "[empty] x"])
    def test_rejected_with_a_200(self, server, call, prompt):
        with pytest.raises(PromptRejected) as caught:
            make(self.xai(server), call, prompt=prompt)
        assert caught.value.may_have_charged

    @pytest.mark.parametrize("prompt", ["[broke] x", "[broke403] x"])
    def test_no_credits(self, server, call, prompt):
        with pytest.raises(EngineMisconfigured) as caught:
            make(self.xai(server), call, prompt=prompt)
        assert "no money" in caught.value.detail

    def test_a_wrong_key(self, server, call):
        with pytest.raises(EngineMisconfigured) as caught:
            make(self.xai(server, key="wrong"), call)
        assert "the key was refused" in caught.value.detail

    def test_an_unknown_model(self, server, call):
        with pytest.raises(EngineMisconfigured) as caught:
            make(self.xai(server), call, model="grok-2-image")
        assert "no such model" in caught.value.detail
