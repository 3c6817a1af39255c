import io
import json
import logging
import threading
import time
from dataclasses import replace

import pytest
from PIL import Image

from imagegen.engines.base import EditRequest, EngineConfig, ImageRequest
from imagegen.engines.comfyui import ComfyUI, waiting
from imagegen.engines.comfyui.sources import Sources
from imagegen.engines.errors import (
    BadEngineResponse,
    EngineError,
    EngineMisconfigured,
    EngineTimeout,
    EngineUnavailable,
    KeyRefused,
    RateLimited,
    Unsupported,
)
from imagegen.engines.sizes import OWN_SIZE, AnySize, Size
from imagegen.engines.spool import Answer
from tests.fakes import comfyui
from tests.fakes import server as faults
from tests.fakes.comfyui import parts
from tests.fakes.server import Response, picture
from tests.imagegen.engines.comfyui.case import (
    CHECKPOINT,
    EDIT_MAP,
    MAP,
    RECORDINGS,
    WITH_N,
    colour_of,
    engine,
    make,
    opened,
    png,
    recorded_graph,
)

SLOW = 0.05
"""Seconds for a step: with two hundred of them a prompt outlives any deadline here."""


@pytest.fixture
def comfy():
    with comfyui.ComfyUI() as running:
        yield running


def soon(call, seconds):
    return replace(call, deadline_at=time.monotonic() + seconds)


def wait(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it never came about")


class TestPayload:
    """What is sent, held against what the real server accepted."""

    @pytest.mark.parametrize(
        ("record", "made"),
        [
            (
                "txt2img_tiny new seed",
                engine(generate="txt2img").build_payload(
                    ImageRequest("a red fox", seed=2, steps=2, size=Size(64, 64), negative_prompt="blurry"),
                    id="i-d",
                ),
            ),
            (
                "256 batch2",
                engine(generate="txt2img", nodes=WITH_N).build_payload(
                    ImageRequest("a red fox", seed=1, n=2, size=Size(256, 256)), id="i-d"
                ),
            ),
            (
                "two outputs",
                engine(generate="txt2img-two-outputs").build_payload(
                    ImageRequest("a red fox", seed=1), id="i-d"
                ),
            ),
            (
                "img2img from subfolder",
                engine(edit="img2img").build_payload(
                    EditRequest("a red fox", seed=1), id="i-d", uploaded=Sources(("gw up/a b ü.png",))
                ),
            ),
            (
                "inpaint",
                engine(
                    edit="inpaint",
                    edit_nodes=[*EDIT_MAP, {"type": "mask", "key": "image", "node_ids": ["12"]}],
                ).build_payload(
                    EditRequest("a red fox", seed=1), id="i-d", uploaded=Sources(("input.png",), "mask.png")
                ),
            ),
        ],
    )
    def test_as_recorded(self, record, made):
        sent = RECORDINGS[f"{record}: POST /prompt"]["request"]["json"]
        assert made["prompt"] == sent["prompt"]
        assert (made["client_id"], made["prompt_id"]) == ("id", "i-d")
        named = RECORDINGS["client-supplied prompt_id: POST /prompt"]["request"]["json"]
        assert made.keys() == named.keys()

    def test_what_is_not_asked_stays_as_the_workflow_has_it(self):
        made = engine(generate="txt2img").build_payload(ImageRequest("a red fox", seed=1), id="i")
        assert made["prompt"] == recorded_graph("txt2img")

    def test_sizes_are_rounded_up_to_what_a_latent_can_have(self):
        request = ImageRequest("x", size=Size(500, 301))
        made = engine(generate="txt2img").build_payload(request, id="i")["prompt"]["5"]["inputs"]
        assert (made["width"], made["height"]) == (504, 304)

    def test_the_model(self):
        ours = engine(generate="txt2img", model="default.safetensors")
        for asked, sent in (("", "default.safetensors"), ("other.safetensors", "other.safetensors")):
            made = ours.build_payload(ImageRequest("x", model=asked), id="i")
            assert made["prompt"]["4"]["inputs"]["ckpt_name"] == sent

    def test_a_model_name_changes_no_path(self, comfy, call):
        evil = "../../admin/delete?x="
        with pytest.raises(EngineMisconfigured) as caught:
            make(engine(comfy.url, generate="txt2img"), call, model=evil)
        assert "value_not_in_list" not in caught.value.message
        assert "ckpt_name: '../../admin/delete" in caught.value.detail
        assert {request.path for request in comfy.requests} == {"/prompt"}


class TestCapabilities:
    def test_they_follow_the_workflows(self):
        made = engine(generate="txt2img").capabilities("")
        assert made.operations == {"generate"}
        assert isinstance(made.sizes, AnySize)
        assert (made.per_call, made.edit_sources, made.mask, made.progress) == (1, 0, False, False)
        assert made.negative_prompt and made.steps and made.seed and made.auto_size

    def test_of_a_workflow_without_a_model(self):
        nodes = [{"type": "seed", "key": "color", "node_ids": ["1"]}]
        made = engine(generate="empty-no-model", nodes=nodes).capabilities("")
        assert made.sizes == OWN_SIZE
        assert made.seed
        assert not (made.negative_prompt or made.steps or made.mask)

    def test_edits(self):
        both = [{"type": "image", "key": "image", "node_ids": ["10", "12"]}]
        made = engine(edit="inpaint", edit_nodes=both).capabilities("")
        assert made.operations == {"edit"}
        assert (made.edit_sources, made.mask) == (2, False)

    @pytest.mark.parametrize(("parameters", "batch"), [({}, 4), ({"batch": 2}, 2), ({"batch": "x"}, 4)])
    def test_batches(self, parameters, batch):
        ours = engine(generate="txt2img", nodes=WITH_N, parameters=parameters)
        assert ours.capabilities("").per_call == batch

    def test_of_the_starters(self):
        made = engine().capabilities("")
        assert made.operations == {"generate", "edit"}
        assert (made.edit_sources, made.mask, made.per_call) == (1, True, 4)


class TestGenerating:
    def test_one_picture(self, comfy, call):
        answer, (image,) = make(engine(comfy.url, generate="txt2img"), call, seed=7, size=Size(128, 64))
        assert (image.seed, opened(image).size, opened(image).format) == (7, (128, 64), "PNG")
        assert image.meta == {"prompt_id": comfy.prompts()[0]["prompt_id"], "node": "9"}
        assert [path.name for path in call.spool.files()] == ["generation-0.0.picture", "generation-0.answer"]
        assert answer.cost is None

    def test_a_client_id_always_and_a_new_seed_unless_one_is_asked(self, comfy, call):
        ours = engine(comfy.url, generate="txt2img")
        seeds = [make(ours, call)[1][0].seed for _ in range(3)]
        sent = comfy.prompts()
        assert [prompt["prompt"]["3"]["inputs"]["seed"] for prompt in sent] == seeds
        assert len(set(seeds)) == 3
        assert all(0 <= seed < 2**32 for seed in seeds)
        assert len({prompt["client_id"] for prompt in sent}) == 3
        assert len({prompt["prompt_id"] for prompt in sent}) == 3

    def test_a_batch_has_one_seed_and_says_so(self, comfy, call):
        ours = engine(comfy.url, generate="txt2img", nodes=WITH_N)
        _, images = make(ours, call, n=3)
        (sent,) = comfy.prompts()
        seed = sent["prompt"]["3"]["inputs"]["seed"]
        assert sent["prompt"]["5"]["inputs"]["batch_size"] == 3
        assert [image.seed for image in images] == [seed, None, None]
        assert [image.meta["batch_index"] for image in images] == [0, 1, 2]
        assert {image.meta["batch_seed"] for image in images} == {seed}
        assert len({colour_of(image) for image in images}) == 3

    def test_picture_k_has_seed_plus_k(self, comfy, call):
        ours = engine(comfy.url, generate="txt2img", nodes=WITH_N)
        _, images = make(ours, call, n=3, seed=40)
        assert [image.seed for image in images] == [40, 41, 42]
        assert [prompt["prompt"]["3"]["inputs"]["seed"] for prompt in comfy.prompts()] == [40, 41, 42]
        assert {prompt["prompt"]["5"]["inputs"]["batch_size"] for prompt in comfy.prompts()} == {1}
        assert comfy.most_at_once == 1
        _, (alone,) = make(ours, call, n=1, seed=41)
        assert colour_of(alone) == colour_of(images[1])

    def test_the_last_seed_there_is(self, comfy, call):
        ours = engine(comfy.url, generate="txt2img", nodes=WITH_N)
        _, (image,) = make(ours, call, seed=2**64 - 1)
        assert image.seed == 2**64 - 1
        with pytest.raises(Unsupported, match="seed"):
            make(ours, call, seed=2**64 - 1, n=2)

    def test_the_same_again_is_the_old_file(self, comfy, call):
        """The server runs nothing then; with a client_id it names what it made before."""
        ours = engine(comfy.url, generate="txt2img")
        pictures = {make(ours, call, seed=7)[1][0].data for _ in range(2)}
        assert len(pictures) == 1
        assert comfy._saved["gateway/img"] == 1

    def test_an_old_server_that_chooses_the_id(self, call):
        with comfyui.ComfyUI(old=True) as comfy:
            _, (image,) = make(engine(comfy.url, generate="txt2img"), call, seed=7)
        assert image.meta["prompt_id"] in comfy.history
        assert image.meta["prompt_id"] != comfy.prompts()[0]["prompt_id"]

    @pytest.mark.parametrize("prefix", ["", "/", "/api", "/api/"])
    def test_base_urls(self, comfy, call, prefix):
        make(engine(comfy.url + prefix, generate="txt2img"), call)
        ours = engine(comfy.url + prefix, generate="txt2img")
        assert ours.check().startswith("ComfyUI 0.8.0 on cpu")

    @pytest.mark.parametrize("prefix", ["a b/ü&x=1#", "sub/%41&type=temp"])
    def test_file_names_are_quoted(self, comfy, call, prefix):
        graph = recorded_graph("txt2img")
        graph["9"]["inputs"]["filename_prefix"] = prefix
        make(engine(comfy.url, generate=graph), call)
        asked = comfy.requests[-1]
        folder, _, stem = prefix.rpartition("/")
        assert asked.path == "/view"
        assert asked.query["filename"] == [f"{stem}_00001_.png"]
        assert asked.query["subfolder"] == [folder]

    def test_it_waits_for_others_in_the_queue(self, comfy, call):
        comfy.step_seconds = 0.02
        ours = engine(comfy.url, generate="txt2img")
        threads = [
            threading.Thread(target=make, args=(ours, replace(call, spool=spool(call, k)), f"fox {k}"))
            for k in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        colours = {Image.open(spool(call, k).picture(0)).getpixel((0, 0)) for k in range(3)}
        assert len(colours) == 3


def spool(call, k):
    return type(call.spool)(call.spool.folder, f"generation-{k}")


class TestOutputs:
    """`two outputs` has SaveImage 9 and 21, which is its negative, and PreviewImage 22."""

    def colours(self, comfy, call, nodes, n=1, graph="txt2img-two-outputs"):
        _, images = make(engine(comfy.url, generate=graph, nodes=nodes), call, seed=7, n=n)
        return [colour_of(image) for image in images], [image.meta["node"] for image in images]

    def test_the_first_saved_one(self, comfy, call):
        colours, nodes = self.colours(comfy, call, MAP)
        assert nodes == ["9"]
        assert len(comfy.history) == 1
        outputs = next(iter(comfy.history.values()))["outputs"]
        assert list(outputs) == ["22", "21", "9"], "the order of execution is another"
        chosen, nodes = self.colours(comfy, call, [*MAP, {"type": "output", "key": "", "node_ids": ["21"]}])
        assert nodes == ["21"]
        assert chosen == [tuple(255 - part for part in colours[0])]

    def test_a_mapped_preview(self, comfy, call):
        _, nodes = self.colours(comfy, call, [*MAP, {"type": "output", "node_ids": ["22"]}])
        assert nodes == ["22"]
        assert comfy.requests[-1].query["type"] == ["temp"]

    def test_several_mapped_in_their_order(self, comfy, call):
        nodes = [*WITH_N, {"type": "output", "node_ids": ["21", "9"]}]
        assert self.colours(comfy, call, nodes, n=2)[1] == ["21", "21"]

    def test_previews_where_nothing_is_saved(self, comfy, call):
        graph = recorded_graph("txt2img")
        graph["9"] = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
        assert self.colours(comfy, call, MAP, graph=graph)[1] == ["9"]
        assert comfy.requests[-1].query["type"] == ["temp"]

    def test_a_mapped_node_that_makes_no_picture(self, comfy, call):
        with pytest.raises(BadEngineResponse) as caught:
            self.colours(comfy, call, [*MAP, {"type": "output", "node_ids": ["8"]}])
        assert "nodes (8) made no picture; pictures came from the nodes 9, 21, 22" in caught.value.detail
        assert caught.value.may_have_charged

    def test_a_part_that_does_not_run(self, comfy, call, caplog):
        graph = recorded_graph("txt2img-two-outputs")
        graph["20"]["inputs"]["image"] = ["4", 0]
        assert self.colours(comfy, call, MAP, graph=graph)[1] == ["9"]
        assert "node 20 (ImageInvert): Return type mismatch" in caplog.text

    def test_the_wanted_part_does_not_run(self, comfy, call):
        comfy.step_seconds = SLOW
        graph = recorded_graph("txt2img-two-outputs")
        graph["20"]["inputs"]["image"] = ["4", 0]
        graph["3"]["inputs"]["steps"] = 200
        with pytest.raises(EngineMisconfigured) as caught:
            self.colours(comfy, call, [*MAP, {"type": "output", "node_ids": ["21"]}], graph=graph)
        assert "node 20 (ImageInvert): Return type mismatch between linked nodes" in caught.value.detail
        wait(lambda: not comfy.queued)


class TestEditing:
    SOURCE = picture(96, 64, "JPEG", "navy")

    def test_source_and_workflow(self, comfy, call):
        _, (image,) = make(engine(comfy.url, edit="img2img"), call, images=[self.SOURCE], seed=3)
        assert opened(image).size == (96, 64)
        form = parts(comfy.requests[0])
        name, data = form["image"]
        assert data == self.SOURCE
        assert name.endswith(".jpeg")
        assert form["type"][1] == b"input"
        loaded = comfy.prompts()[0]["prompt"]["10"]["inputs"]["image"]
        assert loaded == f"easel/{name}"

    def test_the_returned_name_counts(self, comfy, call):
        """The server renames what collides, and may choose another folder."""

        def elsewhere(wire, response):
            said = json.loads(response.body)
            key = ("input", said["subfolder"], said["name"])
            comfy.files["input", "gw up", "a (1).png"] = comfy.files.pop(key)
            wire.send(Response.json({"name": "a (1).png", "subfolder": "gw up", "type": "input"}))

        comfy.struck, comfy.fault = "/upload/image", elsewhere
        make(engine(comfy.url, edit="img2img"), call, images=[self.SOURCE])
        assert comfy.prompts()[0]["prompt"]["10"]["inputs"]["image"] == "gw up/a (1).png"

    def test_names_never_collide(self, comfy, call):
        for _ in range(2):
            make(engine(comfy.url, edit="img2img"), call, images=[self.SOURCE], seed=1)
        assert len([key for key in comfy.files if key[0] == "input"]) == 2

    def test_several_sources_in_order(self, comfy, call):
        nodes = [{"type": "image", "key": "image", "node_ids": ["12", "10"]}]
        images = [picture(64, 64, colour=colour) for colour in ("red", "lime")]
        make(engine(comfy.url, edit="inpaint", edit_nodes=nodes), call, images=images)
        graph = comfy.prompts()[0]["prompt"]
        stored = [comfy._input(graph[id]["inputs"]["image"]) for id in ("12", "10")]
        assert stored == images

    def test_more_sources_than_the_workflow_takes(self, comfy, call):
        with pytest.raises(Unsupported, match="at most 1 source"):
            make(engine(comfy.url, edit="img2img"), call, images=[self.SOURCE] * 2)
        assert not comfy.requests

    def test_a_mask(self, comfy, call):
        """Only what it uncovers changes."""
        mask = Image.new("RGBA", (96, 64), "black")
        mask.paste((0, 0, 0, 0), (0, 0, 48, 64))
        _, (image,) = make(
            engine(comfy.url, edit="inpaint", edit_nodes=()), call, images=[self.SOURCE], mask=png(mask)
        )
        picture = opened(image)
        assert picture.getpixel((80, 30)) == Image.open(io.BytesIO(self.SOURCE)).getpixel((80, 30))
        assert picture.getpixel((10, 30)) != picture.getpixel((80, 30))
        assert call.gate.passed == 1

    def test_no_mask_for_a_workflow_that_has_one(self, comfy, call):
        _, (image,) = make(engine(comfy.url, edit="inpaint", edit_nodes=()), call, images=[self.SOURCE])
        assert len(opened(image).getcolors()) == 1
        assert colour_of(image) != (0, 0, 128)

    def test_no_mask_node(self, comfy, call):
        with pytest.raises(Unsupported, match="no mask"):
            make(engine(comfy.url, edit="img2img"), call, images=[self.SOURCE], mask=self.SOURCE)

    def test_a_workflow_without_a_model(self, comfy, call):
        ours = engine(comfy.url, edit="edit-no-model", edit_nodes=())
        _, (image,) = make(ours, call, images=[picture(64, 64, colour="white")], size=Size(200, 96))
        assert (opened(image).size, colour_of(image)) == ((200, 96), (0, 0, 0))

    @pytest.mark.parametrize("fault", [faults.error_500, faults.cut_in_body, faults.slow_body])
    def test_a_failed_upload_ran_nothing(self, comfy, call, fault):
        comfy.struck, comfy.fault = "/upload/image", fault
        with pytest.raises(EngineError) as caught:
            make(engine(comfy.url, edit="img2img"), soon(call, 1), images=[self.SOURCE])
        assert not caught.value.may_have_charged
        assert not comfy.prompts()


class TestStarters:
    SOURCE = picture(96, 64, colour="navy")

    def test_generating(self, comfy, call):
        ours = engine(comfy.url, model=CHECKPOINT)
        _, images = make(ours, call, size=Size(512, 768), n=2, negative_prompt="blurry", steps=3)
        assert [opened(image).size for image in images] == [(512, 768)] * 2
        graph = comfy.prompts()[0]["prompt"]
        texts = [graph[id]["inputs"]["text"] for id in "23"]
        assert texts == ["a red fox", "blurry"]
        assert graph["5"]["inputs"]["steps"] == 3

    def test_a_checkpoint_by_request(self, comfy, call):
        make(engine(comfy.url), call, model=CHECKPOINT)
        assert comfy.prompts()[0]["prompt"]["1"]["inputs"]["ckpt_name"] == CHECKPOINT

    def test_no_checkpoint(self, comfy, call):
        with pytest.raises(EngineMisconfigured) as caught:
            make(engine(comfy.url), call)
        assert "neither a workflow nor a default model" in caught.value.detail
        assert not comfy.requests

    @pytest.mark.parametrize(
        ("source", "size", "made"),
        [
            ((96, 64), None, (96, 64)),
            ((1001, 500), None, (1008, 504)),
            ((4000, 3000), None, (1176, 888)),
            ((96, 64), Size(640, 640), (640, 640)),
        ],
    )
    def test_an_edit_keeps_the_sources_shape_unless_asked(self, source, size, made):
        ours = engine(model=CHECKPOINT)
        request = EditRequest("x", images=[picture(*source)], size=size)
        scale = ours.build_payload(request, id="i")["prompt"]["5"]["inputs"]
        assert (scale["width"], scale["height"]) == made

    def test_editing(self, comfy, call):
        _, (image,) = make(engine(comfy.url, model=CHECKPOINT), call, images=[self.SOURCE])
        assert opened(image).size == (96, 64)
        kinds = {node["class_type"] for node in comfy.prompts()[0]["prompt"].values()}
        assert "LoadImageMask" not in kinds

    def test_editing_under_a_mask(self, comfy, call):
        mask = Image.new("L", (96, 64))
        mask.paste(255, (0, 0, 48, 64))
        _, (image,) = make(
            engine(comfy.url, model=CHECKPOINT),
            call,
            images=[self.SOURCE],
            mask=png(mask),
            size=Size(192, 128),
        )
        picture = opened(image)
        assert picture.size == (192, 128)
        assert picture.getpixel((150, 64)) == (0, 0, 128)
        assert picture.getpixel((20, 64)) != (0, 0, 128)

    def test_several_edits(self, comfy, call):
        _, images = make(engine(comfy.url, model=CHECKPOINT), call, images=[self.SOURCE], n=2)
        assert images[1].seed == images[0].seed + 1
        assert len(comfy.prompts()) == 2
        assert len([key for key in comfy.files if key[0] == "input"]) == 1

    def test_they_do_not_stand_in_for_a_missing_workflow(self):
        with pytest.raises(Unsupported, match="cannot edit"):
            engine(generate="txt2img").check_request(EditRequest("x", images=[self.SOURCE]))


class TestRefusedWorkflows:
    @pytest.mark.parametrize(
        ("change", "detail"),
        [
            (
                ("4", "ckpt_name", "absent"),
                "node 4 (CheckpointLoaderSimple): Value not in list: ckpt_name: 'ab",
            ),
            (("3", "cfg", 1000), "node 3 (KSampler): Value 1000.0 bigger than max of 100.0: cfg"),
            (
                ("8", "samples", ["6", 0]),
                "node 8 (VAEDecode): Return type mismatch between linked nodes: samp",
            ),
        ],
    )
    def test_what_is_wrong_in_which_node(self, comfy, call, change, detail):
        graph = recorded_graph("txt2img")
        id, key, value = change
        graph[id]["inputs"][key] = value
        with pytest.raises(EngineMisconfigured) as caught:
            make(engine(comfy.url, generate=graph), call)
        assert detail in caught.value.detail
        assert caught.value.message == EngineMisconfigured.default_message
        assert not caught.value.may_have_charged
        assert call.spool.files() == []

    def test_a_node_that_the_server_lacks(self, comfy, call):
        graph = recorded_graph("txt2img")
        graph["5"]["class_type"] = "TotallyUnknownNode"
        with pytest.raises(EngineMisconfigured, match="not set up") as caught:
            make(engine(comfy.url, generate=graph), call)
        assert caught.value.detail == (
            "Cannot execute because node TotallyUnknownNode does not exist.: Node ID '#5'"
        )

    @pytest.mark.parametrize(
        ("graph", "nodes", "detail"),
        [
            ({"nodes": [], "links": []}, MAP, "Export (API)"),
            ("txt2img", [{"type": "prompt", "key": "text", "node_ids": ["66"]}], "no node '66'"),
        ],
    )
    def test_known_before_any_call(self, comfy, call, graph, nodes, detail):
        with pytest.raises(EngineMisconfigured) as caught:
            make(engine(comfy.url, generate=graph, nodes=nodes), call)
        assert detail in caught.value.detail
        assert "the workflow for generate" in caught.value.detail
        assert not comfy.requests

    def test_a_model_that_has_nowhere_to_go(self, comfy, call):
        ours = engine(comfy.url, generate="txt2img", nodes=MAP[:1], model="our flux")
        make(ours, call)
        make(ours, call, model="our flux")
        with pytest.raises(EngineMisconfigured) as caught:
            make(ours, call, model="other")
        assert "no node of the workflow is mapped" in caught.value.detail


class TestFailures:
    def test_a_node_that_fails(self, comfy, call):
        graph = recorded_graph("edit-no-model")
        graph["1"]["inputs"]["image"] = "bad.png"
        comfy.files["input", "", "bad.png"] = b"not an image"
        with pytest.raises(BadEngineResponse, match="tell an administrator") as caught:
            make(engine(comfy.url, generate=graph, nodes=()), call)
        assert caught.value.detail == (
            "failed at node 1 (LoadImage): PIL.UnidentifiedImageError:"
            " cannot identify image file 'input/bad.png'"
        )
        assert caught.value.may_have_charged
        assert call.spool.files() == []

    def test_out_of_memory(self, comfy, call):
        with pytest.raises(EngineUnavailable, match="out of memory") as caught:
            make(engine(comfy.url, generate="txt2img"), call, "[oom] x")
        assert "node 3 (KSampler): torch.OutOfMemoryError" in caught.value.detail
        assert caught.value.may_have_charged

    def test_interrupted_by_someone(self, comfy, call):
        comfy.step_seconds = SLOW
        with (
            during(lambda: comfy.running, lambda: comfy._interrupt({})),
            pytest.raises(EngineUnavailable, match="was interrupted") as caught,
        ):
            make(engine(comfy.url, generate="txt2img"), call, steps=200)
        assert "node 3 (KSampler)" in caught.value.detail
        assert caught.value.may_have_charged

    def test_deleted_from_the_queue(self, comfy, call):
        """It leaves no history: whoever looks there alone waits for ever."""
        comfy.step_seconds = SLOW
        occupy(comfy)
        with (
            during(lambda: comfy.pending, lambda: comfy._change_queue({"clear": True})),
            pytest.raises(EngineUnavailable, match="taken out of") as caught,
        ):
            make(engine(comfy.url, generate="txt2img"), call, steps=200)
        assert caught.value.may_have_charged
        assert comfy.running, "the other one still runs"

    def test_unknown_after_a_restart(self, comfy, call):
        comfy.step_seconds = SLOW
        seen = []
        comfy.struck, comfy.fault = "/queue", lambda wire, response: (seen.append(1), wire.send(response))
        with (
            during(lambda: seen, comfy.restart),
            pytest.raises(EngineUnavailable, match="was restarted") as caught,
        ):
            make(engine(comfy.url, generate="txt2img"), call, steps=200)
        assert caught.value.may_have_charged

    def test_finished_from_the_cache_without_outputs(self, comfy, call):
        def without_outputs(wire, response):
            body = json.loads(response.body)
            for entry in body.values():
                entry["outputs"] = {}
                entry["status"]["messages"][1][1]["nodes"] = list(entry["prompt"][2])
            wire.send(Response.json(body))

        comfy.struck, comfy.fault = "/history/.*", without_outputs
        with pytest.raises(BadEngineResponse) as caught:
            make(engine(comfy.url, generate="txt2img"), call)
        assert "everything came from the cache; map a seed" in caught.value.detail

    def test_a_second_of_two_prompts_fails(self, comfy, call, caplog):
        ours = engine(comfy.url, generate="txt2img", nodes=WITH_N)
        comfy.fault = lambda wire, response: (
            wire.send(response) if len(comfy.prompts()) == 1 else faults.error_500(wire, response)
        )
        answer, (image,) = make(ours, call, n=2, seed=4)
        assert (image.seed, answer.meta) == (4, {"pictures_failed": 1})
        assert "not all pictures were made: HTTP 500" in caplog.text

    def test_a_picture_that_is_gone(self, comfy, call):
        """The cache names files that someone may have deleted."""
        ours = engine(comfy.url, generate="txt2img")
        make(ours, call, seed=1)
        comfy.files.clear()
        call.spool.clear()
        with pytest.raises(BadEngineResponse) as caught:
            make(ours, call, seed=1)
        assert caught.value.detail == "HTTP 404 for a picture that it had named"
        assert caught.value.may_have_charged
        assert call.spool.files() == []


def occupy(comfy):
    """Someone else's prompt runs."""
    graph = recorded_graph("txt2img")
    graph["3"]["inputs"] |= {"steps": 200, "seed": 1000}
    body = json.dumps({"prompt": graph, "client_id": "other", "prompt_id": "theirs"}).encode()
    comfy._prompt(comfyui.Request("POST", "/prompt", {}, {}, body))
    wait(lambda: comfy.running)


class during:
    """Once `condition` holds, do something in another thread."""

    def __init__(self, condition, act):
        self.thread = threading.Thread(target=lambda: (wait(condition), act()))

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *exc):
        self.thread.join()


class TestDeadline:
    def test_what_runs_is_interrupted_by_its_id(self, comfy, call):
        comfy.step_seconds = SLOW
        with pytest.raises(EngineTimeout) as caught:
            make(engine(comfy.url, generate="txt2img"), soon(call, 1.5), steps=200)
        assert caught.value.may_have_charged
        assert "running at the deadline" in caught.value.detail
        wait(lambda: not comfy.queued)
        (entry,) = comfy.history.values()
        assert entry["status"]["messages"][-1][0] == "execution_interrupted"
        (interrupt,) = [request for request in comfy.requests if request.path == "/interrupt"]
        assert interrupt.json == {"prompt_id": comfy.prompts()[0]["prompt_id"]}
        assert call.spool.files() == []

    @pytest.mark.parametrize("old", [False, True])
    def test_what_waits_is_deleted_and_nobody_else_is_touched(self, call, old):
        with comfyui.ComfyUI(step_seconds=SLOW, old=old) as comfy:
            occupy(comfy)
            with pytest.raises(EngineTimeout) as caught:
                make(engine(comfy.url, generate="txt2img"), soon(call, 1.5), steps=200)
            assert "pending at the deadline" in caught.value.detail
            assert not comfy.pending
            assert comfy.running
            assert not comfy.running.interrupted.is_set()
            assert "/interrupt" not in {request.path for request in comfy.requests}

    @pytest.mark.parametrize("fault", [faults.silent, faults.slow_headers, faults.cut_before_headers])
    def test_a_prompt_of_which_the_id_never_came_back(self, comfy, call, fault):
        """It was queued all the same; we chose its id."""
        comfy.step_seconds, comfy.fault = SLOW, fault
        with pytest.raises(EngineError) as caught:
            make(engine(comfy.url, generate="txt2img"), soon(call, 0.5), steps=200)
        assert caught.value.may_have_charged
        wait(lambda: not comfy.queued)
        assert len(comfy.prompts()) == 1

    def test_a_server_that_cannot_be_told_to_stop(self, comfy, call, caplog):
        comfy.step_seconds = SLOW
        comfy.struck, comfy.fault = "/queue", faults.error_500
        started = time.monotonic()
        with pytest.raises(EngineTimeout):
            make(engine(comfy.url, generate="txt2img"), soon(call, 0.5), steps=200)
        assert time.monotonic() - started < 0.5 + waiting.TO_WITHDRAW + 2
        assert "was not withdrawn: HTTP 500" in caplog.text

    def test_a_server_that_no_longer_answers(self, comfy, call, monkeypatch):
        monkeypatch.setattr(waiting, "TO_WITHDRAW", 0.5)
        comfy.step_seconds = SLOW
        comfy.struck, comfy.fault = "/history/.*|/queue", faults.silent
        started = time.monotonic()
        with pytest.raises(EngineTimeout):
            make(engine(comfy.url, generate="txt2img"), soon(call, 0.5), steps=200)
        assert time.monotonic() - started < 0.5 + waiting.TO_WITHDRAW + 2

    def test_looks_become_rarer(self):
        """A minute's wait takes far fewer than ten a second, and ends on time."""
        waited, pauses = 0.0, []
        while waited < 60:
            pauses.append(waiting.pause(waited, 60 - waited))
            waited += pauses[-1]
        assert pauses[0] == waiting.SHORTEST
        assert max(pauses) == waiting.LONGEST
        assert pauses[:-1] == sorted(pauses[:-1])
        assert len(pauses) < 120
        assert waited == pytest.approx(60)
        assert waiting.pause(5, -1) == 0


FAULTS = [
    (faults.rate_limited(retry_after="7"), RateLimited),
    (faults.error_500, EngineUnavailable),
    (faults.error_html, EngineUnavailable),
    (faults.status(500, b"500 Internal Server Error\n\nServer got itself in trouble"), EngineUnavailable),
    (faults.slow_headers, EngineTimeout),
    (faults.slow_body, EngineTimeout),
    (faults.silent, EngineTimeout),
    (faults.cut_before_headers, EngineUnavailable),
    (faults.cut_in_headers, EngineUnavailable),
    (faults.cut_in_body, EngineUnavailable),
    (faults.cut_in_chunks, EngineUnavailable),
    (faults.not_http, EngineUnavailable),
    (faults.broken_json, BadEngineResponse),
    (faults.wrong_shape, BadEngineResponse),
    (faults.too_large, BadEngineResponse),
    (faults.gzip_bomb, BadEngineResponse),
    (faults.redirect("http://169.254.169.254/latest"), EngineMisconfigured),
    (faults.status(401, b"no"), KeyRefused),
    (faults.status(403, b"no"), KeyRefused),
]
NAMES = [error.__name__ + str(k) for k, (_, error) in enumerate(FAULTS)]


class TestFaults:
    @pytest.mark.parametrize(("fault", "error"), FAULTS, ids=NAMES)
    @pytest.mark.parametrize("struck", ["/prompt", "/history/.*"])
    def test_each_comes_out_as_itself(self, comfy, call, struck, fault, error):
        comfy.struck, comfy.fault = struck, fault
        with pytest.raises(EngineError) as caught:
            make(engine(comfy.url, generate="txt2img"), soon(call, 0.6 if error is EngineTimeout else 15))
        # While it waits, a look that comes too late is only a look: the deadline ends it.
        assert type(caught.value) is error, caught.value.detail
        assert call.spool.files() == []
        assert len(comfy.prompts()) == 1, "a generation is never asked for twice"
        if struck != "/prompt":
            assert caught.value.may_have_charged

    @pytest.mark.parametrize("fault", [faults.cut_in_body, faults.slow_body, faults.error_500])
    def test_in_the_download(self, comfy, call, fault):
        comfy.struck, comfy.fault = "/view", fault
        with pytest.raises(EngineError) as caught:
            make(engine(comfy.url, generate="txt2img"), soon(call, 1.5))
        assert caught.value.may_have_charged
        assert call.spool.files() == []

    def test_a_picture_that_is_too_large(self, comfy, call):
        comfy.struck, comfy.fault = "/view", faults.too_large
        with pytest.raises(BadEngineResponse) as caught:
            make(engine(comfy.url, generate="txt2img", max_answer_bytes=1_000_000), call)
        assert "more than 1000000 bytes" in caught.value.detail

    def test_an_id_changes_no_path(self, comfy, call):
        answer = Response.json({"prompt_id": "a/../../admin?x=", "number": 1, "node_errors": {}})
        comfy.fault = lambda wire, response: wire.send(answer)
        with pytest.raises(EngineUnavailable):
            make(engine(comfy.url, generate="txt2img"), call)
        asked = {request.path for request in comfy.requests}
        assert asked == {"/prompt", "/history/a%2F..%2F..%2Fadmin%3Fx%3D", "/queue"}

    def test_a_rate_limit_charged_nothing(self, comfy, call):
        comfy.fault = faults.rate_limited(retry_after="7")
        with pytest.raises(RateLimited) as caught:
            make(engine(comfy.url, generate="txt2img"), call)
        assert (caught.value.retry_after, caught.value.may_have_charged) == (7, False)
        assert {request.path for request in comfy.requests} == {"/prompt"}

    def test_one_look_that_fails_loses_no_picture(self, comfy, call):
        looks = []

        def now_and_then(wire, response):
            looks.append(1)
            if len(looks) % 3:
                faults.cut_in_headers(wire, response)
            else:
                wire.send(response)

        comfy.step_seconds = 0.2
        comfy.struck, comfy.fault = "/history/.*", now_and_then
        assert make(engine(comfy.url, generate="txt2img"), call)[1]
        assert len(looks) >= 3

    def test_nobody_there(self, call):
        with comfyui.ComfyUI() as gone:
            url = gone.url
        with pytest.raises(EngineUnavailable) as caught:
            make(engine(url, generate="txt2img"), call)
        assert not caught.value.may_have_charged


class TestKeys:
    @pytest.mark.parametrize("key", ["comfy-0123456789", "someone:pass word:ü"])
    def test_they_go_along_everywhere(self, call, key):
        with comfyui.ComfyUI(key=key) as comfy:
            ours = engine(comfy.url, edit="img2img", key=key)
            make(ours, call, images=[picture(64, 64)])
            assert ours.check()
        assert {request.path.split("/")[1] for request in comfy.requests} >= {"upload", "prompt", "view"}

    @pytest.mark.parametrize("key", ["", "wrong", "someone:wrong"])
    def test_wrong_ones(self, call, key, caplog):
        caplog.set_level(logging.DEBUG)
        with comfyui.ComfyUI(key="comfy-0123456789") as comfy:
            ours = engine(comfy.url, generate="txt2img", key=key)
            for ask in (lambda: make(ours, call), ours.check, ours.models):
                with pytest.raises(EngineMisconfigured) as caught:
                    ask()
                assert "HTTP 401" in caught.value.detail
                assert not caught.value.may_have_charged

    def test_nor_where_a_later_prompt_fails(self, call, caplog):
        """The others are answered, so that the reason goes to the log alone."""
        key = "comfy-0123456789"

        def repeat(wire, response):
            body = json.loads(response.body)
            if len(comfy.prompts()) == 2:
                for entry in body.values():
                    entry["outputs"] = {key: {"images": []}}
            wire.send(Response.json(body))

        with comfyui.ComfyUI(key=key, struck="/history/.*") as comfy:
            comfy.fault = repeat
            make(engine(comfy.url, generate="txt2img", nodes=WITH_N, key=key), call, n=2, seed=4)
        assert "not all pictures were made" in caplog.text and "came from the nodes ***" in caplog.text
        assert key not in caplog.text

    @pytest.mark.parametrize(("fault", "error"), FAULTS, ids=NAMES)
    def test_they_show_nowhere(self, call, caplog, monkeypatch, fault, error):
        monkeypatch.setattr(waiting, "TO_WITHDRAW", 0.2)
        caplog.set_level(logging.DEBUG)
        key = "someone:passw0rd-0123456789"

        def echo(wire, response):
            sent = comfy.requests[-1].headers["authorization"]
            wire.send(Response.json({"error": f"{sent} {key} is not welcome"}, 500))

        with comfyui.ComfyUI(key=key, struck=".*") as comfy:
            for comfy.fault in (fault, echo):
                with pytest.raises(EngineError) as caught:
                    make(engine(comfy.url, generate="txt2img", key=key), soon(call, 0.3))
                secret = comfy.requests[0].headers["authorization"].split()[1]
                for text in (str(caught.value), caught.value.detail, repr(caught.value), caplog.text):
                    assert key not in text
                    assert secret not in text
                    assert comfy.url not in caught.value.message


class TestParse:
    def test_from_the_files_alone(self, comfy, call):
        """As after a crash: in any order, with and without the answer's body."""
        ours = engine(comfy.url, generate="txt2img", nodes=WITH_N)
        answer, images = make(ours, call, n=2, seed=5)
        found = sorted(call.spool.folder.glob("*.picture"), reverse=True)
        assert ours.parse(Answer(body=answer.body, pictures=found)) == images
        bare = ours.parse(Answer(pictures=found))
        assert [image.data for image in bare] == [image.data for image in images]
        assert [image.seed for image in bare] == [None, None]

    @pytest.mark.parametrize("body", [b"", b"{", b"{}", b"[7]", b"null"])
    def test_a_body_that_says_nothing(self, call, body):
        call.spool.answer.write_bytes(body)
        call.spool.picture(0).write_bytes(b"x")
        answer = Answer(body=call.spool.answer, pictures=[call.spool.picture(0)])
        (image,) = engine().parse(answer)
        assert (image.data, image.seed) == (b"x", None)

    def test_the_second_picture_alone(self, comfy, call):
        ours = engine(comfy.url, generate="txt2img", nodes=WITH_N)
        answer, images = make(ours, call, n=2, seed=5)
        assert ours.parse(Answer(body=answer.body, pictures=answer.pictures[1:])) == images[1:]

    def test_nothing(self, call):
        with pytest.raises(BadEngineResponse):
            engine().parse(Answer(body=call.spool.answer))


class TestCheck:
    def test_what_it_finds(self, comfy):
        found = "ComfyUI 0.8.0 on cpu. 2 models."
        assert engine(comfy.url).check() == found
        assert engine(comfy.url, generate="txt2img", model=CHECKPOINT).check() == found
        assert engine(comfy.url, model="absent").check() == f"{found} 'absent' is not among them."
        assert not comfy.prompts()

    def test_a_workflow_that_decides_the_model(self, comfy):
        assert (
            engine(comfy.url, edit="edit-no-model", edit_nodes=())
            .check()
            .endswith("The workflow decides the model.")
        )

    def test_nodes_that_the_server_lacks(self, comfy):
        graph = recorded_graph("txt2img")
        graph["8"]["class_type"] = "VAEDecode/Tiled"
        with pytest.raises(EngineMisconfigured) as caught:
            engine(comfy.url, generate=graph).check()
        assert "generate needs: VAEDecode/Tiled" in caught.value.detail

    def test_a_workflow_that_cannot_work(self, comfy):
        with pytest.raises(EngineMisconfigured) as caught:
            engine(comfy.url, edit={"nodes": []}).check()
        assert "the workflow for edit: This is the format" in caught.value.detail

    def test_another_server(self):
        class Other(faults.FakeServer):
            def reply(self, request):
                return Response.json({"hello": "world"})

        with Other() as other, pytest.raises(EngineMisconfigured) as caught:
            engine(other.url).check()
        assert "not ComfyUI" in caught.value.detail


class TestModels:
    def ids(self, *args, **kwargs):
        return [model.id for model in engine(*args, **kwargs).models()]

    def test_live(self, comfy):
        assert self.ids(comfy.url) == [CHECKPOINT, "sd15-random.safetensors"]
        assert self.ids(comfy.url, generate="txt2img", model="x")[-1] == "x"
        assert not comfy.prompts()

    def test_listed_where_the_workflow_decides(self, comfy):
        ours = {"generate": "empty-no-model", "nodes": (), "model": "m", "models": ("m", "n")}
        assert self.ids(comfy.url, **ours) == ["m", "n"]
        assert not comfy.requests

    def test_newer_nodes_list_their_choices_otherwise(self, comfy):
        comfy.struck, comfy.fault = "/object_info/.*", lambda wire, response: wire.send(Response.json(info))
        info = {
            "CheckpointLoaderSimple": {
                "input": {"required": {"ckpt_name": ["COMBO", {"options": ["a", "b", 7]}]}}
            }
        }
        assert self.ids(comfy.url) == ["a", "b"]

    @pytest.mark.parametrize(
        "info", [{}, {"input": None}, {"input": {"required": {"ckpt_name": ["STRING"]}}}]
    )
    def test_nodes_that_do_not(self, comfy, info):
        answer = Response.json({"CheckpointLoaderSimple": info})
        comfy.struck, comfy.fault = "/object_info/.*", lambda wire, response: wire.send(answer)
        assert self.ids(comfy.url, model="m") == ["m"]


def test_no_base_url():
    with pytest.raises(EngineMisconfigured):
        ComfyUI(EngineConfig("ours")).check_request(ImageRequest("x"))
