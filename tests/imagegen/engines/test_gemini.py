import io
import json
import logging
import time
from contextlib import nullcontext

import pytest
from PIL import Image

from imagegen.engines.base import EDIT, GENERATE, Call, EditRequest, EngineConfig, ImageRequest
from imagegen.engines.errors import (
    BadEngineResponse,
    EngineError,
    EngineMisconfigured,
    EngineTimeout,
    EngineUnavailable,
    KeyRefused,
    PromptRejected,
    RateLimited,
    Unsupported,
)
from imagegen.engines.gemini import Gemini
from imagegen.engines.gemini.models import FAMILIES, SHUTDOWN, family, method_for
from imagegen.engines.replies import LONGEST_WAIT
from imagegen.engines.sizes import OWN_SIZE, Size
from imagegen.engines.spool import Answer, Spool
from tests.fakes import server as faults
from tests.fakes.gemini import KEY, MODELS, GeminiAPI
from tests.fakes.server import Response, picture

FLASH, PRO, OLD = "gemini-3.1-flash-image", "gemini-3-pro-image", "gemini-2.5-flash-image"
IMAGEN = "imagen-4.0-generate-001"
PNG, JPEG, WEBP = (picture(64, 48, format) for format in ("PNG", "JPEG", "WEBP"))


@pytest.fixture
def google():
    with GeminiAPI() as running:
        yield running


@pytest.fixture
def compatible():
    with GeminiAPI(imagen=True) as running:
        yield running


def engine_at(url, **config):
    config = {"base_url": url, "key": KEY, "model": FLASH, **config}
    return Gemini(EngineConfig("ours", **config))


def offline(**config):
    return engine_at(Gemini.default_base_url, **config)


def call_in(folder, seconds=10.0):
    return Call(Spool(folder, "call"), time.monotonic() + seconds, nullcontext)


def make(engine, folder, seconds=10.0, **request):
    """The pictures of one call, as (image, width, height, format)."""
    request = {"prompt": "a cat", **request}
    call = call_in(folder, seconds)
    if "images" in request:
        answer = engine.edit(EditRequest(**request), call)
    else:
        answer = engine.generate(ImageRequest(**request), call)
    return engine.parse(answer)


def looks(image):
    with Image.open(io.BytesIO(image.data)) as opened:
        return (*opened.size, opened.format)


class TestPayloads:
    @pytest.mark.parametrize(
        ("model", "size", "shape"),
        [
            (FLASH, "512x512", {"aspectRatio": "1:1", "imageSize": "512"}),
            (FLASH, "513x512", {"aspectRatio": "1:1", "imageSize": "1K"}),
            (FLASH, "1024x1024", {"aspectRatio": "1:1", "imageSize": "1K"}),
            (FLASH, "1024x1536", {"aspectRatio": "2:3", "imageSize": "2K"}),
            (FLASH, "1920x1080", {"aspectRatio": "16:9", "imageSize": "2K"}),
            (FLASH, "1376x768", {"aspectRatio": "16:9", "imageSize": "1K"}),
            (FLASH, "4096x4096", {"aspectRatio": "1:1", "imageSize": "4K"}),
            (FLASH, "4096x512", {"aspectRatio": "8:1", "imageSize": "2K"}),
            (FLASH, "64x4096", {"aspectRatio": "1:8", "imageSize": "2K"}),
            (PRO, "512x512", {"aspectRatio": "1:1", "imageSize": "1K"}),
            (PRO, "4096x512", {"aspectRatio": "21:9", "imageSize": "4K"}),
            (OLD, "2048x2048", {"aspectRatio": "1:1"}),
            ("gemini-3.1-flash-lite-image", "512x2048", {"aspectRatio": "1:4"}),
            ("gemini-nano-banana-2.1", "512x512", {"aspectRatio": "1:1", "imageSize": "1K"}),
            ("models/gemini-3-pro-image", "1000x1000", {"aspectRatio": "1:1", "imageSize": "1K"}),
            ("nano-banana-pro-preview", "1000x1000", {"aspectRatio": "1:1", "imageSize": "1K"}),
        ],
    )
    def test_shape(self, model, size, shape):
        payload = offline().build_payload(ImageRequest("a cat", model=model, size=Size.parse(size)))
        assert payload == {
            "contents": [{"role": "user", "parts": [{"text": "a cat"}]}],
            "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": shape},
        }

    def test_unknown_model_gets_the_least(self):
        request = ImageRequest("a cat", model="gemini-9-image", size=Size(512, 512), seed=4)
        assert offline().build_payload(request) == {
            "contents": [{"role": "user", "parts": [{"text": "a cat"}]}],
            "generationConfig": {"responseModalities": ["TEXT", "IMAGE"]},
        }

    def test_model_chooses_the_size(self):
        assert "imageConfig" not in offline().build_payload(ImageRequest("a cat"))["generationConfig"]

    @pytest.mark.parametrize(("seed", "sent"), [(0, 0), (2**31 - 1, 2**31 - 1), (2**31 + 5, 5)])
    def test_seed_is_a_signed_32_bit_number(self, seed, sent):
        payload = offline().build_payload(ImageRequest("a cat", seed=seed))
        assert payload["generationConfig"]["seed"] == sent

    def test_sources(self):
        parts = offline().build_payload(EditRequest("a hat", images=[PNG, JPEG, WEBP]))["contents"][0][
            "parts"
        ]
        assert parts[0] == {"text": "a hat"}
        types = [part["inlineData"]["mimeType"] for part in parts[1:]]
        assert types == ["image/png", "image/jpeg", "image/webp"]

    def test_source_of_another_kind(self):
        with pytest.raises(Unsupported, match="PNG, JPEG and WebP"):
            offline().build_payload(EditRequest("a hat", images=[picture(8, 8, "GIF")]))

    def test_what_staff_set(self, caplog):
        safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
        engine = offline(
            parameters={
                "method": "generateContent",
                "safetySettings": safety,
                "generationConfig": {"temperature": 0.4, "imageConfig": {"imageSize": "2K"}},
                "parameters": {"personGeneration": "allow_adult"},
                "quality": "high",
            }
        )
        with caplog.at_level(logging.INFO):
            payload = engine.build_payload(ImageRequest("a cat", size=Size(512, 512)))
        assert payload == {
            "contents": [{"role": "user", "parts": [{"text": "a cat"}]}],
            "safetySettings": safety,
            "generationConfig": {
                "responseModalities": ["IMAGE"],
                "temperature": 0.4,
                "imageConfig": {"aspectRatio": "1:1", "imageSize": "2K"},
            },
        }
        assert "parameters not sent: quality" in caplog.text

    def test_what_staff_set_is_an_object(self):
        with pytest.raises(EngineMisconfigured) as caught:
            offline(parameters={"generationConfig": "hot"}).build_payload(ImageRequest("a cat"))
        assert "generationConfig" in caught.value.detail

    @pytest.mark.parametrize(
        ("model", "size", "shape"),
        [
            (IMAGEN, "1024x1024", {"aspectRatio": "1:1", "sampleImageSize": "1K"}),
            (IMAGEN, "1920x1080", {"aspectRatio": "16:9", "sampleImageSize": "2K"}),
            ("imagen-4.0-fast-generate-001", "1920x1080", {"aspectRatio": "16:9"}),
            ("imagen-3.0-generate-002", "600x800", {"aspectRatio": "3:4"}),
            (IMAGEN, None, {}),
        ],
    )
    def test_predict(self, model, size, shape):
        engine = offline(parameters={"parameters": {"personGeneration": "allow_adult"}, "tools": []})
        size = size and Size.parse(size)
        request = ImageRequest("a cat", model=model, size=size, n=3, seed=4)
        assert engine.build_payload(request) == {
            "instances": [{"prompt": "a cat"}],
            "parameters": {**shape, "personGeneration": "allow_adult", "sampleCount": 3},
        }

    def test_method_of_the_connection(self):
        predict = offline(parameters={"method": "predict"})
        assert predict.build_payload(ImageRequest("a cat", model="our-own", size=Size(512, 512))) == {
            "instances": [{"prompt": "a cat"}],
            "parameters": {"sampleCount": 1},
        }
        content = offline(parameters={"method": "generateContent"})
        assert "contents" in content.build_payload(ImageRequest("a cat", model=IMAGEN))


class TestCapabilities:
    @pytest.mark.parametrize(
        ("model", "sources", "per_call", "auto", "seed"),
        [
            ("", 14, 1, True, True),
            (OLD, 3, 1, True, True),
            ("gemini-9-image", 1, 1, True, False),
            (IMAGEN, 0, 4, False, False),
            ("models/imagen-3.0-generate-002", 0, 4, False, False),
        ],
    )
    def test_of_a_model(self, model, sources, per_call, auto, seed):
        found = offline().capabilities(model)
        assert found.operations == ({GENERATE, EDIT} if sources else {GENERATE})
        assert (found.edit_sources, found.per_call) == (sources, per_call)
        assert (found.auto_size, found.seed, found.mask) == (auto, seed, False)

    def test_model_that_nobody_knows_takes_no_size(self):
        assert offline().capabilities("gemini-9-image").sizes is OWN_SIZE

    def test_mask_is_refused(self, google, tmp_path):
        with pytest.raises(Unsupported, match="mask"):
            make(engine_at(google.url), tmp_path, images=[PNG], mask=PNG)
        assert not google.requests

    def test_too_many_sources(self, google, tmp_path):
        with pytest.raises(Unsupported, match="at most 3 source"):
            make(engine_at(google.url), tmp_path, model=OLD, images=[PNG] * 4)
        assert not google.requests

    def test_transparent_background_is_refused(self, google, tmp_path):
        with pytest.raises(Unsupported, match="transparent"):
            make(engine_at(google.url), tmp_path, images=[PNG], background="transparent")
        assert not google.requests

    def test_imagen_edits_nothing(self, compatible, tmp_path):
        with pytest.raises(Unsupported, match="cannot edit"):
            make(engine_at(compatible.url), tmp_path, model=IMAGEN, images=[PNG])
        assert not compatible.requests


class TestTable:
    def test_every_row_is_reached_by_its_own_ids(self):
        for row in FAMILIES:
            for id in (pattern.replace("*", "x") for pattern in row.ids):
                assert family(id, row.method) is row
                assert method_for(id) == row.method

    def test_pictures_have_the_shape_they_are_named_after(self):
        for row in FAMILIES:
            for ratio, size in row.shapes.items():
                width, height = map(int, ratio.split(":"))
                assert size.ratio == pytest.approx(width / height, rel=0.075)

    def test_the_default_model_is_live(self):
        assert all(Gemini.default_model != pattern for pattern, _ in SHUTDOWN)
        assert family(Gemini.default_model, "generateContent") in FAMILIES


class TestGenerate:
    @pytest.mark.parametrize(
        ("model", "size", "made"),
        [
            (FLASH, Size(512, 512), (512, 512, "JPEG")),
            (FLASH, Size(1000, 125), (1536, 192, "JPEG")),
            (FLASH, None, (1024, 1024, "JPEG")),
            (OLD, Size(1920, 1080), (1376, 768, "PNG")),
            (PRO, Size(1024, 1024), (1024, 1024, "JPEG")),
            ("gemini-9-flash-image", Size(1920, 1080), (1024, 1024, "WEBP")),
            ("models/gemini-2.5-flash-image", None, (1024, 1024, "PNG")),
        ],
    )
    def test_picture(self, google, tmp_path, model, size, made):
        (image,) = make(engine_at(google.url), tmp_path, model=model, size=size)
        assert looks(image) == made
        assert image.meta["model_version"] == model.removeprefix("models/")
        assert image.meta["response_id"] == "r-0123"
        assert image.meta["usage"] == {
            "promptTokenCount": 7,
            "candidatesTokenCount": 1120,
            "totalTokenCount": 1127,
        }

    def test_every_size_is_one_that_the_server_takes(self, google, tmp_path):
        engine = engine_at(google.url)
        for model in MODELS:
            for size in (Size(64, 4096), Size(300, 400), Size(1000, 900), Size(2000, 1300), Size(4096, 64)):
                (image,) = make(engine, tmp_path, model=model, size=size)
                width, height, _ = looks(image)
                if model == FLASH and max(size) < 4096:
                    assert width >= size.width and height >= size.height

    def test_key_goes_into_the_header_and_nowhere_else(self, google, tmp_path):
        make(engine_at(google.url), tmp_path)
        (request,) = google.requests
        assert (request.method, request.path) == ("POST", f"/v1beta/models/{FLASH}:generateContent")
        assert request.headers["x-goog-api-key"] == KEY
        assert not request.query and "authorization" not in request.headers
        assert KEY not in request.body.decode()

    @pytest.mark.parametrize("path", ["", "/", "/v1beta", "/v1beta/"])
    def test_base_url_with_and_without_version(self, google, tmp_path, path):
        assert make(engine_at(google.url + path), tmp_path)
        assert google.requests[0].path.startswith("/v1beta/models/")

    def test_base_url_with_a_path_is_taken_as_it_is(self, google, tmp_path):
        with pytest.raises(EngineMisconfigured):
            make(engine_at(f"{google.url}/proxy/v1"), tmp_path)
        assert google.requests[0].path == f"/proxy/v1/models/{FLASH}:generateContent"

    def test_base_url_with_a_key_in_it(self, google, tmp_path):
        with pytest.raises(EngineMisconfigured) as caught:
            make(engine_at(f"{google.url}/v1beta?key={KEY}"), tmp_path)
        assert "query" in caught.value.detail and KEY not in caught.value.detail
        assert not google.requests

    def test_seed_is_recorded(self, google, tmp_path):
        (image,) = make(engine_at(google.url), tmp_path, seed=2**31 + 7)
        assert image.seed == 7
        assert google.requests[0].json["generationConfig"]["seed"] == 7

    def test_drafts_are_no_pictures(self, google, tmp_path):
        images = make(engine_at(google.url), tmp_path, model=PRO)
        assert [looks(image) for image in images] == [(1024, 1024, "JPEG")]

    def test_python_spelling(self, tmp_path):
        with GeminiAPI(spelling="snake") as server:
            assert looks(make(engine_at(server.url), tmp_path)[0]) == (1024, 1024, "JPEG")

    def test_no_key(self, google, tmp_path):
        with pytest.raises(EngineMisconfigured):
            make(engine_at(google.url, key=""), tmp_path)
        assert "x-goog-api-key" not in google.requests[0].headers

    def test_imagen(self, compatible, tmp_path):
        images = make(engine_at(compatible.url), tmp_path, model=IMAGEN, n=3, size=Size(1920, 1080), seed=3)
        assert [looks(image) for image in images] == [(2816, 1536, "PNG")] * 3
        assert images[0].revised_prompt == "a cat, in the best light" and images[0].seed is None
        assert compatible.requests[0].path == f"/v1beta/models/{IMAGEN}:predict"

    def test_imagen_is_gone_at_google(self, google, tmp_path):
        with pytest.raises(EngineMisconfigured) as caught:
            make(engine_at(google.url), tmp_path, model=IMAGEN)
        assert "no such model" in caught.value.detail

    def test_one_of_two_filtered(self, compatible, tmp_path):
        assert len(make(engine_at(compatible.url), tmp_path, model=IMAGEN, n=2, prompt="[one filtered]")) == 1

    def test_parse_needs_the_file_only(self, google, tmp_path):
        engine = engine_at(google.url)
        engine.generate(ImageRequest("a cat"), call_in(tmp_path))
        (image,) = engine.parse(Answer(body=tmp_path / "call.answer"))
        assert looks(image) == (1024, 1024, "JPEG")
        assert [path.name for path in tmp_path.iterdir()] == ["call.answer"]


class TestEdit:
    @pytest.mark.parametrize("images", [[PNG], [PNG, JPEG, WEBP]])
    def test_sources_go_along(self, google, tmp_path, images):
        (image,) = make(engine_at(google.url), tmp_path, images=images, size=Size(800, 600))
        assert looks(image) == (1200, 896, "JPEG")
        parts = google.requests[0].json["contents"][0]["parts"]
        assert len(parts) == 1 + len(images)

    def test_model_that_nobody_knows_takes_one(self, google, tmp_path):
        engine = engine_at(google.url, model="gemini-9-flash-image")
        assert make(engine, tmp_path, images=[JPEG])
        with pytest.raises(Unsupported):
            make(engine, tmp_path, images=[JPEG, JPEG])


class TestModelNames:
    @pytest.mark.parametrize(
        "model",
        [
            "../../admin/delete?x=",
            "models/../../admin",
            "models/models/x",
            "a/b",
            "a%2Fb",
            "x:predict",
            "x?key=1",
            "x#y",
            "..",
            ".x",
            "x y",
            "x\n",
            "x\r\nHost: evil",
            "\u0445",
            "models/",
            "x" * 200,
        ],
    )
    @pytest.mark.parametrize("parameters", [{}, {"method": "predict"}])
    def test_a_name_never_changes_the_path(self, google, tmp_path, model, parameters):
        engine = engine_at(google.url, parameters=parameters)
        with pytest.raises(Unsupported) as caught:
            make(engine, tmp_path, model=model)
        assert not google.requests
        assert model not in caught.value.message

    def test_bad_method(self, google, tmp_path):
        engine = engine_at(google.url, parameters={"method": "../x"})
        for attempt in (lambda: make(engine, tmp_path), engine.check, engine.models):
            with pytest.raises(EngineMisconfigured) as caught:
                attempt()
            assert "method" in caught.value.detail
        assert not google.requests


class TestRefusalsInA200:
    @pytest.mark.parametrize(
        "prompt",
        [
            *(f"[block {reason}]" for reason in ("SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT")),
            "[block IMAGE_SAFETY]",
            *(f"[finish {reason}]" for reason in ("SAFETY", "IMAGE_SAFETY", "PROHIBITED_CONTENT", "SPII")),
            *(f"[finish {reason}]" for reason in ("IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION")),
            *(f"[finish {reason}]" for reason in ("RECITATION", "BLOCKLIST", "ESCALATION")),
            "[prose]",
        ],
    )
    def test_policy(self, google, tmp_path, prompt):
        with pytest.raises(PromptRejected) as caught:
            make(engine_at(google.url), tmp_path, prompt=prompt)
        assert caught.value.may_have_charged
        assert prompt.strip("[]").split()[-1] in caught.value.detail or "I can't draw" in caught.value.detail

    @pytest.mark.parametrize(
        "reason", ["NO_IMAGE", "IMAGE_OTHER", "OTHER", "MAX_TOKENS", "MALFORMED_RESPONSE", "STOP", "NEW_ONE"]
    )
    def test_not_policy(self, google, tmp_path, reason):
        with pytest.raises(BadEngineResponse) as caught:
            make(engine_at(google.url), tmp_path, prompt=f"[finish {reason}]")
        assert reason in caught.value.detail and "Unable to show" in caught.value.detail
        assert caught.value.may_have_charged

    def test_account_shut_out(self, google, tmp_path):
        with pytest.raises(EngineMisconfigured):
            make(engine_at(google.url), tmp_path, prompt="[finish PUP_LIMITED_DISABLED]")

    @pytest.mark.parametrize("prompt", ["[rai]", "[empty]"])
    def test_imagen_filters(self, compatible, tmp_path, prompt):
        with pytest.raises(PromptRejected):
            make(engine_at(compatible.url), tmp_path, model=IMAGEN, prompt=prompt)

    def test_picture_that_is_no_base64(self, google, tmp_path):
        with pytest.raises(BadEngineResponse):
            make(engine_at(google.url), tmp_path, prompt="[garbled]")

    @pytest.mark.parametrize(
        "body",
        [
            "null",
            "[]",
            "7",
            '{"candidates": null, "usageMetadata": {}}',
            '{"candidates": [null, {"content": null}, {"content": {"parts": [7, {"inlineData": {}}]}}]}',
            '{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"audio/wav","data":"AAAA"}}]}}]}',
            '{"predictions": [{}, null, {"bytesBase64Encoded": 7}]}',
            '{"predictions": {"a": 1}}',
            "{",
        ],
    )
    def test_other_shapes(self, tmp_path, body):
        file = tmp_path / "x.answer"
        file.write_text(body)
        with pytest.raises(BadEngineResponse) as caught:
            offline().parse(Answer(body=file))
        assert caught.value.may_have_charged

    def test_a_key_in_the_words_is_not_repeated(self, tmp_path):
        file = tmp_path / "x.answer"
        parts = [{"text": f"your key is {KEY}"}]
        file.write_text(json.dumps({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}))
        with pytest.raises(PromptRejected) as caught:
            offline().parse(Answer(body=file))
        assert KEY not in caught.value.detail and "your key is" in caught.value.detail


class TestRefusals:
    @pytest.mark.parametrize(
        ("word", "kind", "retry_after", "charged", "says"),
        [
            ("leaked", KeyRefused, None, False, "key"),
            ("402", EngineMisconfigured, None, False, "credit"),
            ("region", EngineMisconfigured, None, False, "region"),
            ("minute", RateLimited, 38.0, False, "limit: 10"),
            ("text delay", RateLimited, 70.5, False, "quota"),
            ("day", RateLimited, LONGEST_WAIT, False, "limit: 20"),
            ("zero", EngineMisconfigured, None, False, "no quota"),
            ("plain 429", RateLimited, None, False, "exhausted"),
            ("list", EngineMisconfigured, None, False, "not offered to this account"),
            ("strings", EngineMisconfigured, None, False, "Bad."),
            ("text error", EngineMisconfigured, None, False, "no json at all"),
            ("long", PromptRejected, None, False, "too long"),
            ("payload", Unsupported, None, False, "20971520"),
            ("words", PromptRejected, None, False, "content policy"),
            ("500", EngineUnavailable, None, True, "INTERNAL"),
            ("503", EngineUnavailable, None, False, "UNAVAILABLE"),
            ("504", EngineTimeout, None, True, "DEADLINE_EXCEEDED"),
        ],
    )
    def test_words_in_brackets(self, google, tmp_path, word, kind, retry_after, charged, says):
        with pytest.raises(EngineError) as caught:
            make(engine_at(google.url), tmp_path, prompt=f"[{word}]")
        error = caught.value
        assert type(error) is kind
        assert (error.retry_after, error.may_have_charged) == (retry_after, charged)
        assert says in error.detail
        assert KEY not in error.detail + error.message and "google" not in error.message.lower()
        assert not list(tmp_path.iterdir())

    def test_wrong_key(self, google, tmp_path):
        wrong = "AIzaSyWRONGwrongWRONGwrongWRONGwrong0000"
        engine = engine_at(google.url, key=wrong)
        for attempt in (lambda: make(engine, tmp_path), engine.check, engine.models):
            with pytest.raises(EngineMisconfigured) as caught:
                attempt()
            assert "the key was refused" in caught.value.detail and wrong not in caught.value.detail

    def test_unknown_model(self, google, tmp_path):
        with pytest.raises(EngineMisconfigured) as caught:
            make(engine_at(google.url), tmp_path, model="gemini-0-image")
        assert "no such model" in caught.value.detail

    def test_retry_after_in_a_header(self, google, tmp_path):
        google.fault = faults.rate_limited(retry_after="9")
        with pytest.raises(RateLimited) as caught:
            make(engine_at(google.url), tmp_path)
        assert caught.value.retry_after == 9


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            (faults.error_500, EngineUnavailable),
            (faults.error_html, EngineUnavailable),
            (faults.cut_before_headers, EngineUnavailable),
            (faults.cut_in_headers, EngineUnavailable),
            (faults.cut_in_body, EngineUnavailable),
            (faults.cut_in_chunks, EngineUnavailable),
            (faults.not_http, EngineUnavailable),
            (faults.broken_json, BadEngineResponse),
            (faults.wrong_shape, BadEngineResponse),
            (faults.gzip_bomb, BadEngineResponse),
            (faults.too_large, BadEngineResponse),
            (faults.redirect("http://127.0.0.1:1/"), EngineMisconfigured),
        ],
    )
    def test_fault(self, google, tmp_path, caplog, fault, kind):
        google.fault = fault
        engine = engine_at(google.url, max_answer_bytes=3_000_000)
        with caplog.at_level(logging.DEBUG), pytest.raises(EngineError) as caught:
            make(engine, tmp_path)
        assert type(caught.value) is kind
        assert caught.value.may_have_charged == (kind is not EngineMisconfigured)
        assert len(google.requests) == 1
        everything = f"{caught.value!r} {caught.value.detail} {caplog.text} {engine.config!r}"
        assert KEY not in everything

    @pytest.mark.parametrize("fault", [faults.silent, faults.slow_headers, faults.slow_body])
    def test_deadline(self, google, tmp_path, fault):
        google.fault = fault
        begun = time.monotonic()
        with pytest.raises(EngineTimeout) as caught:
            make(engine_at(google.url), tmp_path, seconds=0.5)
        assert time.monotonic() - begun < 5
        assert caught.value.may_have_charged
        assert not list(tmp_path.iterdir())

    def test_nobody_there(self, tmp_path):
        with GeminiAPI() as server:
            url = server.url
        with pytest.raises(EngineUnavailable) as caught:
            make(engine_at(url), tmp_path)
        assert not caught.value.may_have_charged

    def test_bytes_that_are_no_picture_are_handed_on_as_they_are(self, google, tmp_path):
        """Whether bytes are a picture is judged where they are stored, the same for every engine."""
        part = {"inlineData": {"mimeType": "image/png", "data": "bm90IGEgcGljdHVyZQ=="}}
        answer = {"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}
        google.fault = lambda wire, response: wire.send(Response.json(answer))
        assert make(engine_at(google.url), tmp_path)[0].data == b"not a picture"


class TestModels:
    def test_listed(self, google):
        assert [(model.id, model.name) for model in engine_at(google.url).models()] == [
            (OLD, "Gemini 2.5 Flash Image"),
            (FLASH, "Gemini 3.1 Flash Image"),
            (PRO, "Gemini 3 Pro Image"),
            ("gemini-9-flash-image", "Gemini 9 Flash Image"),
        ]
        assert [request.query.get("pageToken") for request in google.requests] == [None, ["3"], ["6"]]
        assert all(request.query["pageSize"] == ["1000"] for request in google.requests)

    def test_imagen_is_offered_where_it_lives(self, compatible):
        assert IMAGEN in [model.id for model in engine_at(compatible.url).models()]
        only = engine_at(compatible.url, model="", parameters={"method": "predict"})
        assert [model.id for model in only.models()] == [IMAGEN]

    def test_the_connection_s_own_model_is_always_there(self, google):
        assert engine_at(google.url, model="our-own").models()[0].id == "our-own"
        ids = [model.id for model in engine_at(google.url, model=f"models/{FLASH}").models()]
        assert ids.count(FLASH) == 1

    def test_pages_that_never_end(self, google):
        page = {"models": [], "nextPageToken": "0"}
        google.faulty = lambda request: True
        google.fault = lambda wire, response: wire.send(Response.json(page))
        assert [model.id for model in engine_at(google.url).models()] == [FLASH]
        assert len(google.requests) == 10

    @pytest.mark.parametrize("body", [[], {"models": None}, {"data": []}])
    def test_another_shape(self, google, body):
        google.faulty = lambda request: True
        google.fault = lambda wire, response: wire.send(Response.json(body))
        with pytest.raises(BadEngineResponse):
            engine_at(google.url).models()

    def test_names_that_are_no_ids_are_not_offered(self, google):
        listed = [{"name": "models/../x-image"}, {"name": 7}, None, {"name": "models/good-image"}]
        google.faulty = lambda request: True
        google.fault = lambda wire, response: wire.send(Response.json({"models": listed}))
        assert [model.id for model in engine_at(google.url, model="").models()] == ["good-image"]

    def test_retired_models_are_hidden_at_google_only(self):
        listed = [
            {"name": f"models/{id}", "supportedGenerationMethods": [method]}
            for id, method in [
                ("gemini-3-pro-image-preview", "generateContent"),
                (PRO, "generateContent"),
                (IMAGEN, "predict"),
            ]
        ]
        there = offline()._image_models(listed)
        elsewhere = engine_at("https://gemini.example")._image_models(listed)
        kept = offline(model=IMAGEN)._image_models(listed)
        assert [model.id for model in there] == [PRO]
        assert [model.id for model in elsewhere] == ["gemini-3-pro-image-preview", PRO, IMAGEN]
        assert [model.id for model in kept] == [PRO, IMAGEN]

    def test_check(self, google):
        assert engine_at(google.url).check() == "8 models, 4 of them known to make pictures."
        assert "'gone' is not among them" in engine_at(google.url, model="gone").check()
        assert all(request.method == "GET" for request in google.requests)
