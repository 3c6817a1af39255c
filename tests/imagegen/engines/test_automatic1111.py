import base64
import contextlib
import io
import json
import logging
import threading
import time

import pytest
from PIL import Image

from imagegen.engines.automatic1111 import Automatic1111
from imagegen.engines.automatic1111.answers import plain_name
from imagegen.engines.base import Call, EditRequest, EngineConfig, ImageRequest
from imagegen.engines.errors import (
    BadEngineResponse,
    EngineError,
    EngineMisconfigured,
    EngineTimeout,
    EngineUnavailable,
    RateLimited,
    Unsupported,
)
from imagegen.engines.http import Body
from imagegen.engines.sizes import Size
from imagegen.engines.spool import Answer, Spool
from tests.fakes import automatic1111 as fakes
from tests.fakes import server as faults
from tests.fakes.server import Response, picture

RECORDED = fakes.RECORDED
PNG = picture(100, 50)
LOGGER = "imagegen.engines.automatic1111.engine"


def engine(url="http://sd:7860", **config):
    return Automatic1111(EngineConfig("ours", url, **config))


def payload(parameters=None, iterates=True, model="", **request):
    asked = ImageRequest(**{"prompt": "a red fox", **request})
    return engine(parameters=parameters or {}, model=model).build_payload(asked, iterates=iterates)


def call_in(folder, seconds=20.0):
    gate = threading.Lock()

    @contextlib.contextmanager
    def passing():
        assert gate.acquire(blocking=False), "the gate is passed twice at once"
        try:
            yield
        finally:
            gate.release()

    return Call(Spool(folder, "generation-0"), time.monotonic() + seconds, passing)


@pytest.fixture
def call(tmp_path):
    return call_in(tmp_path)


@pytest.fixture(params=[fakes.Automatic1111, fakes.Forge, fakes.StableDiffusionCpp])
def each(request):
    with request.param() as running:
        yield running


@pytest.fixture
def fake():
    with fakes.Automatic1111() as running:
        yield running


def make(made_by, call, **request):
    asked = {"prompt": "a red fox", "size": Size(64, 64), "steps": 2, **request}
    answer = made_by.generate(ImageRequest(**asked), call)
    return made_by.parse(answer)


def edit(made_by, call, **request):
    asked = {"prompt": "a red fox", "images": [PNG], "steps": 2, **request}
    return made_by.parse(made_by.edit(EditRequest(**asked), call))


def opened(image):
    return Image.open(io.BytesIO(image.data))


def hue(image):
    return opened(image).convert("RGB").getpixel((5, 5))


def recorded_answer(name, folder, **changes):
    """The recorded answer with real pictures in the place of the shortened ones."""
    wanted = RECORDED[name]["response"]
    body = dict(wanted["body"])
    sizes = wanted.get("image_sizes") or [(64, 64)] * len(body["images"])
    body["images"] = [base64.b64encode(picture(*size)).decode() for size in sizes]
    path = folder / "recorded.answer"
    path.write_text(json.dumps({**body, **changes}))
    return Answer(body=path)


class TestPayload:
    def test_what_was_recorded(self):
        sent = payload(
            {"cfg_scale": 7, "sampler_name": "Euler"},
            negative_prompt="blurry",
            steps=2,
            size=Size(64, 64),
            seed=7,
            n=2,
        )
        recorded = RECORDED["txt2img n_iter=2"]["request"]["json"]
        unsaved = {"do_not_save_grid": True, "do_not_save_samples": True}
        assert sent == {**recorded, "batch_size": 1, **unsaved}

    def test_the_model_as_recorded(self):
        recorded = RECORDED["override checkpoint (by title)"]["request"]["json"]
        for sent in (
            payload(model="sd15-random-b.safetensors"),
            engine(model="other").build_payload(ImageRequest("x", model="sd15-random-b.safetensors")),
        ):
            assert sent["override_settings"] == recorded["override_settings"]
            assert sent["override_settings_restore_afterwards"] is True
        assert "override_settings" not in payload()

    def test_staff_settings_stay_beside_the_model(self):
        parameters = {"override_settings": {"CLIP_stop_at_last_layers": 2, "sd_model_checkpoint": "a"}}
        parameters["override_settings_restore_afterwards"] = False
        sent = payload(parameters, model="b")
        assert sent["override_settings"] == {"CLIP_stop_at_last_layers": 2, "sd_model_checkpoint": "b"}
        assert sent["override_settings_restore_afterwards"] is True
        assert payload(parameters)["override_settings"]["sd_model_checkpoint"] == "a"

    def test_the_least_is_sent(self):
        assert payload() == {
            "prompt": "a red fox",
            "batch_size": 1,
            "n_iter": 1,
            "do_not_save_grid": True,
            "do_not_save_samples": True,
        }

    @pytest.mark.parametrize(
        ("parameters", "steps", "sent"),
        [
            ({}, 0, None),
            ({}, None, None),
            ({"steps": 0}, None, None),
            ({"steps": 9}, 0, 9),
            ({"steps": 9}, 5, 5),
        ],
    )
    def test_steps(self, parameters, steps, sent):
        assert payload(parameters, steps=steps).get("steps") == sent

    def test_a_request_decides_and_staff_fill_in(self):
        parameters = {
            "prompt": "other",
            "negative_prompt": "blurry",
            "width": 8,
            "seed": 3,
            "n_iter": 9,
            "send_images": False,
            "save_images": True,
            "do_not_save_grid": False,
            "force_task_id": "x",
            "init_images": ["x"],
            "interrupt_on_timeout": True,
            "scheduler": None,
            "cfg_scale": 5,
            "styles": ["ink"],
            "enable_hr": True,
            "denoising_strength": 0.4,
            "sampler_index": "Euler",
        }
        assert payload(parameters) == {
            "prompt": "a red fox",
            "negative_prompt": "blurry",
            "batch_size": 1,
            "n_iter": 1,
            "do_not_save_grid": True,
            "do_not_save_samples": True,
            "cfg_scale": 5,
            "styles": ["ink"],
            "enable_hr": True,
            "denoising_strength": 0.4,
            "sampler_name": "Euler",
        }
        assert payload(parameters, negative_prompt="dogs")["negative_prompt"] == "dogs"

    @pytest.mark.parametrize(
        ("n", "allowed", "iterates", "batch", "iterations"),
        [
            (1, None, True, 1, 1),
            (4, None, True, 1, 4),
            (4, 2, True, 2, 2),
            (3, 2, True, 1, 3),
            (4, 10, True, 4, 1),
            (4, None, False, 4, 1),
        ],
    )
    def test_batches(self, n, allowed, iterates, batch, iterations):
        sent = payload({"batch_size": allowed}, iterates, n=n)
        assert (sent["batch_size"], sent["n_iter"]) == (batch, iterations)

    @pytest.mark.parametrize(
        ("asked", "sent"),
        [
            ((64, 64), (64, 64)),
            ((63 * 2, 64), (128, 64)),
            ((1000, 333), (1000, 336)),
            ((65, 4096), (72, 4096)),
        ],
    )
    def test_edges_are_multiples_of_eight(self, asked, sent):
        got = payload(size=Size(*asked))
        assert (got["width"], got["height"]) == sent

    @pytest.mark.parametrize(
        "parameters",
        [
            {"batch_size": 0},
            {"batch_size": "2"},
            {"batch_size": True},
            {"override_settings": "x"},
            {"sampler_name": 3},
            {"scheduler": ["x"]},
        ],
    )
    def test_parameters_of_another_kind(self, parameters):
        with pytest.raises(EngineMisconfigured) as error:
            payload(parameters)
        assert next(iter(parameters)) in error.value.detail

    def test_an_edit_as_recorded(self):
        recorded = RECORDED["img2img mask"]["request"]["json"]
        source, mask = (base64.b64decode(text) for text in (recorded["init_images"][0], recorded["mask"]))
        parameters = {"cfg_scale": 7, "sampler_name": "Euler", "denoising_strength": 0.8, "mask_blur": 4}
        asked = EditRequest(
            "a red fox",
            negative_prompt="blurry",
            steps=2,
            size=Size(64, 64),
            seed=7,
            images=[source],
            mask=mask,
        )
        sent = engine(parameters=parameters).build_payload(asked)
        mask_sent = sent.pop("mask")
        ours = ("batch_size", "n_iter", "do_not_save_grid", "do_not_save_samples")
        ours = {name: sent.pop(name) for name in (*ours, "resize_mode", "inpaint_full_res")}
        assert sent == {name: value for name, value in recorded.items() if name != "mask"}
        assert (ours["resize_mode"], ours["inpaint_full_res"]) == (1, False)
        same = [Image.open(io.BytesIO(data)).convert("L") for data in (mask, base64.b64decode(mask_sent))]
        assert same[0].tobytes() == same[1].tobytes()

    def test_staff_choose_how_edits_are_done(self):
        parameters = {"resize_mode": 2, "inpainting_fill": 0, "inpaint_full_res": True}
        sent = engine(parameters=parameters).build_payload(EditRequest("x", images=[PNG], mask=PNG))
        assert {name: sent[name] for name in parameters} == parameters
        assert "inpainting_fill" not in engine().build_payload(EditRequest("x", images=[PNG]))

    def test_what_is_transparent_in_a_mask_changes(self):
        mask = Image.new("RGBA", (64, 64), (9, 9, 9, 255))
        mask.paste((9, 9, 9, 0), (0, 0, 32, 64))
        out = io.BytesIO()
        mask.save(out, "PNG")
        sent = engine().build_payload(EditRequest("x", images=[PNG], mask=out.getvalue()))
        grey = Image.open(io.BytesIO(base64.b64decode(sent["mask"])))
        assert (grey.mode, grey.getpixel((5, 5)), grey.getpixel((50, 5))) == ("L", 255, 0)

    @pytest.mark.parametrize(("format", "sent"), [("PNG", "PNG"), ("JPEG", "JPEG"), ("WEBP", "PNG")])
    def test_sources_are_in_formats_that_all_servers_read(self, format, sent):
        got = engine().build_payload(EditRequest("x", images=[picture(64, 64, format)]))["init_images"][0]
        assert Image.open(io.BytesIO(base64.b64decode(got))).format == sent

    @pytest.mark.parametrize(("source", "size"), [((200, 100), (200, 104)), ((4000, 2000), (1448, 728))])
    def test_an_edit_without_a_size_keeps_its_sources_shape(self, source, size):
        sent = engine().build_payload(EditRequest("x", images=[picture(*source)]))
        assert (sent["width"], sent["height"]) == size

    def test_a_source_that_is_no_picture(self):
        with pytest.raises(Unsupported, match="source"):
            engine().build_payload(EditRequest("x", images=[b"hello"]))


class TestEachServer:
    @pytest.mark.parametrize("n", [1, 2])
    def test_pictures_of_the_asked_size_with_their_seeds(self, each, call, n):
        images = make(engine(each.url), call, n=n, seed=7, size=Size(128, 64))
        assert [image.seed for image in images] == [7 + k for k in range(n)]
        assert [hue(image) for image in images] == [fakes.colour(7 + k) for k in range(n)]
        assert {opened(image).size for image in images} == {(128, 64)}
        assert [path.name for path in call.spool.files()] == ["generation-0.answer"]
        assert all("substituted" not in image.meta for image in images)

    def test_seeds_are_known_when_none_was_asked(self, each, call):
        seeds = [image.seed for image in make(engine(each.url), call, n=3)]
        assert seeds == [seeds[0], seeds[0] + 1, seeds[0] + 2]

    def test_edits(self, each, call):
        (image,) = edit(engine(each.url), call, seed=7, mask=picture(100, 50), size=Size(64, 128))
        assert (opened(image).size, hue(image)) == ((64, 128), fakes.colour(7))

    def test_a_webp_source_is_read_by_all(self, each, call):
        (image,) = edit(engine(each.url), call, seed=7, images=[picture(64, 64, "WEBP")])
        assert hue(image) == fakes.colour(7)

    def test_models_and_check(self, each):
        ours = engine(each.url, model="sd15-random-b")
        assert ours.models()[0].name == "sd15-random-b"
        kind = {fakes.Forge: "Forge", fakes.Automatic1111: "AUTOMATIC1111"}
        found = ours.check()
        assert found.startswith(kind.get(type(each), "stable-diffusion.cpp"))
        assert "sd15-random-b" in found
        assert "not among the models" not in found
        assert "not among the models" in engine(each.url, model="absent").check()
        assert not any(request.path.endswith("2img") for request in each.requests)

    def test_the_servers_settings_are_never_written(self, each, call):
        before = dict(each.saved)
        make(engine(each.url), call, model="sd15-random", n=2)
        assert each.saved == before
        assert not any(request.path.endswith("/options") for request in each.requests)


class TestModels:
    def test_titles_are_the_ids(self, fake):
        listed = engine(fake.url).models()
        assert [(model.id, model.name) for model in listed] == [
            ("sd15-random-b.safetensors", "sd15-random-b"),
            ("sd15-random.safetensors", "sd15-random"),
        ]

    @pytest.mark.parametrize("body", [b"{}", b"<html>", b'[{"model_name": "x"}]'])
    def test_another_shape(self, fake, body):
        fake.faulty = lambda request: True
        fake.fault = faults.status(200, body)
        if body.startswith(b"["):
            assert [model.id for model in engine(fake.url, model="mine").models()] == ["mine"]
        else:
            with pytest.raises(BadEngineResponse):
                engine(fake.url).models()

    def test_a_model_for_one_request(self, fake, call):
        (image,) = make(engine(fake.url, model="sd15-random.safetensors"), call)
        assert image.meta["sd_model_name"] == "sd15-random"
        assert fake.settings["sd_model_checkpoint"] == "sd15-random-b.safetensors"

    @pytest.mark.parametrize(
        "name",
        ["a", "A.safetensors", "x/a.ckpt [0123abcdef]", "x\\a.gguf", "a [0123abcdef]"],
    )
    def test_names_of_one_checkpoint(self, name):
        assert plain_name(name) == "a"


class TestSampling:
    @pytest.mark.parametrize(
        ("parameters", "sent"),
        [
            ({"sampler_name": "Euler"}, ("Euler", None)),
            ({"sampler_name": "euler A"}, ("Euler a", None)),
            ({"sampler_index": "k_dpmpp_2m"}, ("DPM++ 2M", None)),
            ({"sampler_name": "DPM++ 2M Karras"}, ("DPM++ 2M", "karras")),
            ({"sampler_name": "DPM++ 2M Karras", "scheduler": "Beta"}, ("DPM++ 2M", "beta")),
            ({"sampler_name": "Euler", "scheduler": "SGM Uniform"}, ("Euler", "sgm_uniform")),
            ({"scheduler": "SGMUniform"}, (None, "sgm_uniform")),
        ],
    )
    def test_names_in_the_servers_spelling(self, fake, call, parameters, sent):
        (image,) = make(engine(fake.url, parameters=parameters), call)
        assert (fake.asked.get("sampler_name"), fake.asked.get("scheduler")) == sent
        assert "substituted" not in image.meta

    @pytest.mark.parametrize(
        ("parameters", "there"),
        [
            ({"sampler_name": "Nope"}, "DPM++ 2M SDE Heun"),
            ({"sampler_name": "Nope Karras"}, "DPM++ 2M SDE Heun"),
            ({"scheduler": "nope"}, "sgm_uniform"),
        ],
    )
    def test_unknown_names_cost_nothing(self, fake, call, parameters, there):
        ours = engine(fake.url, parameters=parameters)
        for asked in (lambda: make(ours, call), ours.check):
            with pytest.raises(EngineMisconfigured) as error:
                asked()
            assert there in error.value.detail
            assert not error.value.may_have_charged
        assert not any(request.path.endswith("2img") for request in fake.requests)

    def test_the_lists_are_asked_for_once(self, fake, tmp_path):
        ours = engine(fake.url, parameters={"sampler_name": "Euler"})
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            make(ours, call_in(tmp_path / name))
        assert sum(request.path.endswith("/samplers") for request in fake.requests) == 1

    def test_a_server_without_the_lists(self, fake, call):
        ask = fake._other
        fake._other = lambda request, name: Response(404) if "ler" in name else ask(request, name)
        (image,) = make(engine(fake.url, parameters={"sampler_name": "Nope"}), call)
        assert image.meta["substituted"] == {"sampler_name": {"asked": "Nope", "used": "DPM++ 2M"}}

    def test_nothing_is_asked_where_nothing_is_set(self, fake, call):
        make(engine(fake.url), call)
        assert not any(request.path.endswith("lers") for request in fake.requests)

    def test_stable_diffusion_cpp_has_its_own_names(self, call):
        with fakes.StableDiffusionCpp() as fake:
            make(engine(fake.url, parameters={"sampler_name": "Euler", "scheduler": "Karras"}), call)
            assert (fake.asked["sampler_name"], fake.asked["scheduler"]) == ("euler", "karras")


class TestSubstitutions:
    def test_another_model(self, fake, call, caplog):
        (image,) = make(engine(fake.url), call, model="absent-model")
        wanted = {"model": {"asked": "absent-model", "used": "sd15-random-b"}}
        assert image.meta["substituted"] == wanted
        (record,) = [record for record in caplog.records if record.name == LOGGER]
        assert record.levelno == logging.WARNING
        assert "absent-model" in record.getMessage()

    def test_the_only_model(self, call):
        with fakes.StableDiffusionCpp() as fake:
            (image,) = make(engine(fake.url), call, model="sd15-random")
        assert image.meta["substituted"]["model"]["used"] == "sd15-random-b.safetensors"

    @pytest.mark.parametrize(
        ("name", "substituted"),
        [
            ("txt2img 1", None),
            ("override checkpoint (by title)", None),
            ("override checkpoint (model_name), no restore", None),
            ("override unknown checkpoint", {"model": {"asked": "absent-model", "used": "sd15-random-b"}}),
            ("bad sampler", {"sampler_name": {"asked": "Nope", "used": "DPM++ 2M"}}),
            ("legacy sampler name with scheduler", None),
            ("width 63", {"size": {"asked": "63x64", "used": "56x64"}}),
            ("img2img mask", None),
        ],
    )
    def test_as_recorded(self, tmp_path, name, substituted):
        (image,) = engine().parse(recorded_answer(name, tmp_path))
        assert image.meta.get("substituted") == substituted
        assert image.meta["sd_model_name"].startswith("sd15-random")
        assert (image.meta["steps"], image.meta["version"]) == (2, "1.10.1")

    def test_a_model_by_its_hash(self, tmp_path):
        answer = recorded_answer("override unknown checkpoint", tmp_path)
        body = json.loads(answer.body.read_text())
        body["info"] = json.dumps({**json.loads(body["info"]), "sd_model_hash": "0123abcdef"})
        for asked, same in (("0123abcdef", True), ("x [0123abcdef]", True), ("0123", False)):
            body["parameters"]["override_settings"]["sd_model_checkpoint"] = asked
            answer.body.write_text(json.dumps(body))
            (image,) = engine().parse(answer)
            assert ("substituted" not in image.meta) is same

    def test_a_picture_enlarged_on_purpose(self, tmp_path):
        answer = recorded_answer("width 63", tmp_path)
        body = json.loads(answer.body.read_text())
        body["parameters"]["enable_hr"] = True
        answer.body.write_text(json.dumps(body))
        assert "substituted" not in engine().parse(answer)[0].meta


class TestParse:
    def test_a_grid_is_left_out(self, tmp_path):
        images = engine().parse(recorded_answer("txt2img save_images batch_size=2 (grid?)", tmp_path))
        assert [(opened(image).size, image.seed) for image in images] == [((64, 64), 7), ((64, 64), 8)]
        assert all("interrupted" not in image.meta for image in images)

    def test_what_extensions_add_is_left_out(self, tmp_path):
        answer = recorded_answer("txt2img 1", tmp_path)
        body = json.loads(answer.body.read_text())
        body["images"].append(base64.b64encode(picture(32, 32)).decode())
        answer.body.write_text(json.dumps(body))
        assert [opened(image).size for image in engine().parse(answer)] == [(64, 64)]

    def test_seeds_are_the_servers(self, tmp_path):
        (image,) = engine().parse(recorded_answer("txt2img seed -1", tmp_path))
        assert image.seed == 3995739839

    @pytest.mark.parametrize("format", ["JPEG", "WEBP", "PNG"])
    def test_pictures_come_as_they_are(self, tmp_path, format):
        data = picture(64, 64, format)
        text = base64.b64encode(data).decode()
        for one in (text, f"data:image/png;base64,{text}"):
            (image,) = engine().parse(recorded_answer("txt2img 1", tmp_path, images=[one]))
            assert image.data == data

    @pytest.mark.parametrize("info", ["", "no json", "[]", None, {"all_seeds": [7]}])
    def test_an_info_of_another_kind(self, tmp_path, info):
        (image,) = engine().parse(recorded_answer("txt2img 1", tmp_path, info=info))
        assert image.seed == (7 if isinstance(info, dict) else None)

    def test_an_interrupted_job_as_recorded(self, tmp_path, caplog):
        answer = recorded_answer("interrupted txt2img", tmp_path)
        (image,) = engine().parse(answer)
        assert (image.seed, image.meta["interrupted"]) == (7, True)
        assert "1 of 2" in caplog.text

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b"{}",
            b'{"images": null}',
            b'{"images": "iVBOR"}',
            b'{"images": []}',
            b'{"images": [null, 7, "!!!!"], "parameters": [], "info": 3}',
        ],
    )
    def test_no_picture(self, tmp_path, body):
        path = tmp_path / "x.answer"
        path.write_bytes(body)
        with pytest.raises(BadEngineResponse) as error:
            engine().parse(Answer(body=path))
        assert error.value.may_have_charged
        with pytest.raises(BadEngineResponse):
            engine().parse(Answer())

    def test_an_answer_without_its_pictures(self, tmp_path):
        with pytest.raises(BadEngineResponse):
            engine().parse(recorded_answer("txt2img send_images=false", tmp_path))


class TestCredentials:
    @pytest.mark.parametrize(
        ("key", "header"),
        [
            ("easel:pass:word", "Basic " + base64.b64encode(b"easel:pass:word").decode()),
            ("p\u00e4:w", "Basic " + base64.b64encode("p\u00e4:w".encode()).decode()),
            ("token-1", "Bearer token-1"),
            ("", None),
        ],
    )
    def test_how_a_key_is_sent(self, fake, call, key, header):
        make(engine(fake.url, key=key), call, n=2)
        assert {request.headers.get("authorization") for request in fake.requests} == {header}

    @pytest.mark.parametrize("key", ["", "easel:wrong-password-1"])
    def test_a_wrong_key(self, call, key, caplog):
        with fakes.Automatic1111(auth=fakes.USER) as fake:
            ours = engine(fake.url, key=key)
            for asked in (lambda: make(ours, call), ours.check, ours.models):
                with pytest.raises(EngineMisconfigured) as error:
                    asked()
                assert "--api-auth" in error.value.detail
                assert not error.value.may_have_charged
            make(engine(fake.url, key=fakes.USER), call)

    def test_a_password_goes_nowhere(self, fake, call, caplog):
        key = "easel:correct-horse"
        encoded = base64.b64encode(key.encode()).decode()
        said = f"no {key} nor correct-horse nor {encoded}".encode()
        fake.fault = faults.status(500, said)
        with pytest.raises(EngineError) as error:
            make(engine(fake.url, key=key), call)
        told = f"{error.value} {error.value.detail} {error.value.message} {caplog.text}"
        assert "***" in told
        assert "correct-horse" not in told
        assert encoded not in told


class TestRefusals:
    @pytest.mark.parametrize(
        ("parameters", "request_", "kind", "words"),
        [
            ({"override_settings": {"nope_setting": 1}}, {}, EngineUnavailable, "KeyError: 'nope_setting'"),
            ({"alwayson_scripts": {"nope": {}}}, {}, EngineMisconfigured, "Script 'nope' not found"),
            ({"steps": "many"}, {"steps": None}, EngineMisconfigured, "body.steps: value is not a valid"),
            ({"script_name": "x/y/z plot"}, {}, EngineUnavailable, "missing 18 required"),
        ],
    )
    def test_what_staff_can_mend_is_told(self, fake, call, parameters, request_, kind, words):
        with pytest.raises(kind) as error:
            make(engine(fake.url, parameters=parameters), call, **request_)
        assert words in error.value.detail
        assert words not in error.value.message
        assert call.spool.files() == []

    def test_forge_refuses_a_model_that_it_does_not_know(self, call):
        with fakes.Forge() as fake, pytest.raises(EngineMisconfigured) as error:
            make(engine(fake.url), call, model="absent")
        assert "model 'absent' not found" in error.value.detail

    @pytest.mark.parametrize("server", [fakes.Automatic1111, fakes.Forge])
    def test_out_of_memory(self, call, server):
        with server(pixels=4096) as fake, pytest.raises(EngineUnavailable, match="memory") as error:
            make(engine(fake.url), call, size=Size(512, 512))
        assert "2.25 GiB" in error.value.detail
        assert "GiB" not in error.value.message

    def test_stable_diffusion_cpp(self, call):
        with fakes.StableDiffusionCpp() as fake, pytest.raises(EngineMisconfigured) as error:
            make(engine(fake.url), call, prompt="")
        assert "prompt required" in error.value.detail

    @pytest.mark.parametrize(
        ("name", "words"),
        [("img2img bad base64", "Invalid encoded image"), ("img2img no init", "Init image not found")],
    )
    def test_a_source_that_the_server_cannot_read(self, fake, call, name, words):
        wanted = RECORDED[name]["response"]
        fake.fault = faults.status(wanted["status"], json.dumps(wanted["body"]).encode())
        with pytest.raises(BadEngineResponse, match="source") as error:
            edit(engine(fake.url), call)
        assert words in error.value.detail

    def test_the_api_is_not_switched_on(self, call):
        with fakes.Automatic1111(api=False) as fake:
            ours = engine(fake.url)
            for asked in (lambda: make(ours, call), ours.check, ours.models):
                with pytest.raises(EngineMisconfigured) as error:
                    asked()
                assert "--api" in error.value.detail

    def test_more_than_one_source(self, fake, call):
        with pytest.raises(Unsupported):
            edit(engine(fake.url), call, images=[PNG, PNG])
        with pytest.raises(Unsupported):
            make(engine(fake.url), call, n=5)
        assert fake.requests == []


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "kind", "charged"),
        [
            (faults.rate_limited(retry_after="7"), RateLimited, False),
            (faults.error_500, EngineUnavailable, True),
            (faults.error_html, EngineUnavailable, True),
            (faults.status(503), EngineUnavailable, False),
            (faults.status(504), EngineTimeout, True),
            (faults.cut_before_headers, EngineUnavailable, True),
            (faults.cut_in_headers, EngineUnavailable, True),
            (faults.cut_in_body, EngineUnavailable, True),
            (faults.cut_in_chunks, EngineUnavailable, True),
            (faults.not_http, EngineUnavailable, True),
            (faults.too_large, BadEngineResponse, True),
            (faults.redirect("http://127.0.0.1:9/admin"), EngineMisconfigured, False),
        ],
    )
    def test_nothing_is_left_behind(self, fake, call, fault, kind, charged):
        fake.fault = fault
        with pytest.raises(kind) as error:
            make(engine(fake.url, max_answer_bytes=1_000_000), call)
        assert error.value.may_have_charged is charged
        assert error.value.retry_after == (7 if kind is RateLimited else None)
        assert call.spool.files() == []
        assert sum(request.path.endswith("2img") for request in fake.requests) == 1

    @pytest.mark.parametrize("fault", [faults.broken_json, faults.wrong_shape])
    def test_answers_that_are_none(self, fake, call, fault):
        fake.fault = fault
        with pytest.raises(BadEngineResponse):
            make(engine(fake.url), call)

    def test_what_is_no_picture_is_handed_on_unread(self, fake, call):
        """Whether bytes are a picture is checked where all engines' pictures are."""
        body = {"images": [base64.b64encode(b"hello").decode()], "parameters": {}, "info": ""}
        fake.fault = lambda wire, response: wire.send(Response.json(body))
        (image,) = make(engine(fake.url), call)
        assert image.data == b"hello"

    def test_nobody_is_there(self, fake, call):
        url = fake.url
        fake.__exit__()
        with pytest.raises(EngineUnavailable) as error:
            make(engine(url), call)
        assert not error.value.may_have_charged
        fake.__enter__()

    def test_a_fault_before_the_job_is_asked_for_costs_nothing(self, fake, call):
        fake.faulty = lambda request: True
        fake.fault = faults.cut_before_headers
        with pytest.raises(EngineUnavailable) as error:
            make(engine(fake.url, parameters={"sampler_name": "Euler"}), call)
        assert not error.value.may_have_charged

    def test_an_answer_counts_even_when_the_state_cannot_be_asked(self, fake, call):
        fake.faulty = lambda request: request.path.endswith("/progress")
        fake.fault = faults.error_html
        assert len(make(engine(fake.url), call)) == 1


class TestDeadline:
    @pytest.mark.parametrize("fault", [faults.silent, faults.slow_headers, faults.slow_body])
    def test_it_holds(self, fake, tmp_path, fault):
        fake.fault = fault
        began = time.monotonic()
        with pytest.raises(EngineTimeout) as error:
            make(engine(fake.url), call_in(tmp_path, 1.0))
        assert time.monotonic() - began < 5
        assert error.value.may_have_charged
        assert Spool(tmp_path, "generation-0").files() == []

    @pytest.mark.parametrize("web_ui", [True, False])
    def test_our_job_is_stopped(self, tmp_path, web_ui, caplog):
        with fakes.Automatic1111(seconds=30, web_ui=web_ui) as fake:
            with pytest.raises(EngineTimeout):
                make(engine(fake.url), call_in(tmp_path, 2.5), steps=100)
            assert fake.interrupts == 1
            wait_until(lambda: fake.state.finished)
        assert "interrupted a job" in caplog.text

    def test_another_job_runs_on(self, tmp_path):
        with fakes.Automatic1111(seconds=30, web_ui=True) as fake, running(fake, "task(other)"):
            with pytest.raises(EngineTimeout):
                make(engine(fake.url), call_in(tmp_path, 2.5), steps=100)
            assert fake.state.task == "task(other)"
            assert fake.interrupts == 0

    def test_staff_can_forbid_it(self, tmp_path):
        with fakes.Automatic1111(seconds=30) as fake:
            with pytest.raises(EngineTimeout):
                parameters = {"interrupt_on_timeout": False}
                make(engine(fake.url, parameters=parameters), call_in(tmp_path, 1.0), steps=100)
            assert fake.interrupts == 0

    def test_a_server_that_is_idle_is_left_alone(self, fake, tmp_path):
        fake.fault = faults.silent
        with pytest.raises(EngineTimeout):
            make(engine(fake.url), call_in(tmp_path, 1.0))
        assert fake.interrupts == 0

    def test_stable_diffusion_cpp_cannot_be_stopped(self, tmp_path):
        with fakes.StableDiffusionCpp(seconds=5) as fake:
            with pytest.raises(EngineTimeout):
                make(engine(fake.url), call_in(tmp_path, 1.0), steps=100)
            assert fake.interrupts == 0

    def test_no_time_left(self, fake, tmp_path):
        with pytest.raises(EngineTimeout) as error:
            make(engine(fake.url), call_in(tmp_path, -1))
        assert not error.value.may_have_charged


class TestJobs:
    @pytest.mark.parametrize("n", [1, 2])
    def test_interrupted_by_someone_else(self, call, n):
        with fakes.Automatic1111(seconds=30) as fake:
            url = f"{fake.url}/sdapi/v1/interrupt"
            done = []
            ours = engine(fake.url)
            asked = ImageRequest("a red fox", size=Size(64, 64), steps=100, n=n)
            job = threading.Thread(target=lambda: done.append(ours.generate(asked, call)))
            job.start()
            wait_until(lambda: fake.state.job)
            ours._client.exchange("POST", url.removeprefix(fake.url))
            job.join()
        (image,) = ours.parse(done[0])
        meta = {**done[0].meta, **image.meta}
        assert (meta["interrupted"], hue(image)) == (True, fakes.UNFINISHED)

    @pytest.mark.parametrize("web_ui", [True, False])
    def test_progress(self, call, web_ui):
        with fakes.Automatic1111(seconds=5, web_ui=web_ui) as fake:
            ours = engine(fake.url)
            assert ours.progress(call) == 0.0
            with running(fake, "task(generation-0)"):
                wait_until(lambda: fake.state.sampling_step > 3)
                assert 0 < ours.progress(call) < 1

    def test_progress_of_a_job_that_waits(self, call):
        with fakes.Automatic1111(seconds=30, web_ui=True) as fake:
            fake.state.pending.append("task(generation-0)")
            with running(fake, "task(other)"):
                assert engine(fake.url).progress(call) == 0.0

    def test_no_progress(self, call):
        with fakes.StableDiffusionCpp() as fake:
            assert engine(fake.url).progress(call) is None

    def test_the_job_has_our_id(self, fake, call):
        make(engine(fake.url), call)
        assert fake.asked["force_task_id"] == "task(generation-0)"


@contextlib.contextmanager
def running(fake, task):
    """Someone's job on the server, until the block ends."""
    body = {"prompt": "x", "steps": 100, "width": 64, "height": 64, "force_task_id": task}
    ours = engine(fake.url)

    def ask():
        with contextlib.suppress(EngineError):
            ours._client.exchange(
                "POST",
                "/sdapi/v1/txt2img",
                body=Body.json(body),
                deadline_at=time.monotonic() + 60,
            )

    job = threading.Thread(target=ask)
    job.start()
    wait_until(lambda: fake.state.task == task)
    try:
        yield
    finally:
        fake.state.interrupted = True
        job.join()


def wait_until(true, seconds=10):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)
