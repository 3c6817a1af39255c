import copy

import pytest

from imagegen.engines.base import Workflow
from imagegen.engines.comfyui import check_nodes, check_workflow, guess_nodes
from imagegen.engines.comfyui.starters import starter
from imagegen.engines.comfyui.workflows import Template, in_order
from tests.imagegen.engines.comfyui.case import MAP, RECORDINGS, WITH_N, recorded_graph

NAMES = ("txt2img", "txt2img-two-outputs", "img2img", "inpaint", "empty-no-model", "edit-no-model")
STARTERS = ("txt2img", "img2img", "inpaint")


def entry(type, node_ids, key="text"):
    return {"type": type, "key": key, "node_ids": node_ids}


class TestCheckWorkflow:
    @pytest.mark.parametrize("name", NAMES)
    def test_recorded_ones_pass(self, name):
        check_workflow(recorded_graph(name))

    @pytest.mark.parametrize("name", STARTERS)
    def test_starters_pass(self, name):
        starter(name).check()

    @pytest.mark.parametrize(
        ("graph", "sentence"),
        [
            ({"nodes": [], "links": [], "version": 0.4}, "Export \\(API\\)"),
            ({}, "empty"),
            ([], "JSON object"),
            ("{}", "JSON object"),
            (None, "JSON object"),
            ({"5": {"inputs": {}}}, "Node '5' has no class_type"),
            ({"prompt": 7}, "Node 'prompt' has no class_type"),
            ({"5": {"class_type": "SaveImage"}}, "Node 5 \\(SaveImage\\) has no inputs"),
        ],
    )
    def test_what_is_none(self, graph, sentence):
        with pytest.raises(ValueError, match=sentence):
            check_workflow(graph)

    def test_no_output_node(self):
        graph = RECORDINGS["invalid: no outputs: POST /prompt"]["request"]["json"]["prompt"]
        with pytest.raises(ValueError, match="no output node"):
            check_workflow(graph)

    def test_a_link_that_leads_nowhere(self):
        graph = RECORDINGS["invalid: dangling link: POST /prompt"]["request"]["json"]["prompt"]
        with pytest.raises(ValueError, match=r"Node 8 \(VAEDecode\) takes 'samples' from node '77'"):
            check_workflow(graph)


class TestCheckNodes:
    @pytest.mark.parametrize("nodes", [[], MAP, WITH_N, [entry("output", ["9"], "")], [entry("prompt", [6])]])
    def test_maps_that_fit(self, nodes):
        check_nodes(recorded_graph("txt2img"), nodes)

    def test_keys_have_usual_names(self):
        nodes = [{"type": "prompt", "node_ids": ["6"]}, {"type": "model", "key": None, "node_ids": ["4"]}]
        check_nodes(recorded_graph("txt2img"), nodes)
        template = Template(Workflow(recorded_graph("txt2img"), nodes))
        assert [*template.slots("prompt"), *template.slots("model")] == [("6", "text"), ("4", "ckpt_name")]

    @pytest.mark.parametrize(
        ("nodes", "sentence"),
        [
            ({}, "JSON list"),
            ("[]", "JSON list"),
            ([7], "Entry 1 of the node map is no JSON object"),
            ([*MAP, entry("promt", ["6"])], "Entry 8 .* unknown type 'promt'. Known are: prompt, "),
            ([entry(["prompt"], ["6"])], "unknown type"),
            ([entry("prompt", ["77"])], r"Entry 1 .*\(prompt\): the workflow has no node '77'"),
            ([entry("output", ["77"])], "no node '77'"),
            (
                [entry("prompt", ["6"], "txt")],
                r"node 6 \(CLIPTextEncode\) has no input 'txt'; it has 'text', ",
            ),
            ([entry("prompt", "6")], "node_ids is a list"),
            ([entry("prompt", [None])], "node_ids is a list"),
            ([entry("prompt", ["6"], 7)], "the key is the name"),
        ],
    )
    def test_maps_that_do_not(self, nodes, sentence):
        with pytest.raises(ValueError, match=sentence):
            check_nodes(recorded_graph("txt2img"), nodes)


class TestFilling:
    def test_only_what_is_given_changes_and_only_in_a_copy(self):
        graph = recorded_graph("txt2img")
        template = Template(Workflow(graph, MAP))
        filled = template.fill({"prompt": "a cat", "seed": 9})
        assert filled["6"]["inputs"]["text"] == "a cat"
        assert filled["3"]["inputs"]["seed"] == 9
        assert graph == recorded_graph("txt2img")
        filled["6"]["inputs"]["text"], filled["3"]["inputs"]["seed"] = "a red fox", 1
        assert filled == graph

    def test_one_text_into_many_nodes_and_many_pictures_in_order(self):
        graph = recorded_graph("inpaint")
        nodes = [
            entry("prompt", ["6", "7"]),
            entry("image", ["12"], "image"),
            entry("image", ["10"], "image"),
        ]
        template = Template(Workflow(graph, nodes))
        filled = template.fill({"prompt": "x", "image": ["a.png", "b.png", "c.png"]})
        assert [filled[id]["inputs"]["text"] for id in "67"] == ["x", "x"]
        assert [filled[id]["inputs"]["image"] for id in ("12", "10")] == ["a.png", "b.png"]
        filled = template.fill({"image": ["a.png"]})
        assert [filled[id]["inputs"]["image"] for id in ("12", "10")] == ["a.png", "input.png"]

    @pytest.mark.parametrize("nodes", [(), [], [entry("prompt", [])], [entry("prompt", [""])]])
    def test_a_map_that_names_no_node_is_guessed(self, nodes):
        template = Template(Workflow(recorded_graph("txt2img"), nodes))
        assert template.slots("prompt") == (("6", "text"),)

    @pytest.mark.parametrize("graph", [[], "x", {"5": 7}, {"5": {"class_type": "KSampler"}}])
    @pytest.mark.parametrize("nodes", [None, {}, [7], [{"type": 7}], [{"type": "seed", "node_ids": 3}]])
    def test_nothing_stored_breaks_the_list_of_what_a_connection_can_do(self, graph, nodes):
        assert not Template(Workflow(graph, nodes)).takes("prompt")


class TestGuess:
    """The recorded workflows, and graphs as other models need them."""

    @pytest.mark.parametrize(
        ("name", "guess"),
        [
            ("txt2img", WITH_N),
            ("txt2img-two-outputs", WITH_N),
            (
                "img2img",
                [entry for entry in MAP if entry["key"] not in ("width", "height")]
                + [entry("image", ["10"], "image")],
            ),
            (
                "inpaint",
                [entry for entry in MAP if entry["key"] not in ("width", "height")]
                + [entry("image", ["10"], "image"), entry("mask", ["12"], "image")],
            ),
            (
                "empty-no-model",
                [
                    entry("width", ["1"], "width"),
                    entry("height", ["1"], "height"),
                    entry("n", ["1"], "batch_size"),
                ],
            ),
            (
                "edit-no-model",
                [
                    entry("width", ["3"], "width"),
                    entry("height", ["3"], "height"),
                    entry("image", ["1"], "image"),
                ],
            ),
        ],
    )
    def test_recorded(self, name, guess):
        assert guess_nodes(recorded_graph(name)) == guess
        check_nodes(recorded_graph(name), guess)

    def test_flux(self):
        """A guider instead of a sampler's positive side, noise of its own, a size from elsewhere."""
        graph = {
            "1": node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="default"),
            "2": node("DualCLIPLoader", clip_name1="t5.safetensors", clip_name2="l.safetensors", type="flux"),
            "3": node("CLIPTextEncode", text=["10", 0], clip=["2", 0]),
            "4": node("FluxGuidance", conditioning=["3", 0], guidance=3.5),
            "5": node("BasicGuider", model=["1", 0], conditioning=["4", 0]),
            "6": node("RandomNoise", noise_seed=7),
            "7": node("BasicScheduler", model=["1", 0], scheduler="simple", steps=20, denoise=1.0),
            "8": node("EmptySD3LatentImage", width=["11", 0], height=1024, batch_size=1),
            "9": node("SamplerCustomAdvanced", noise=["6", 0], guider=["5", 0], latent_image=["8", 0]),
            "10": node("PrimitiveStringMultiline", value="a cat"),
            "11": node("PrimitiveInt", value=1024),
            "12": node("VAEDecode", samples=["9", 0], vae=["1", 0]),
            "13": node("SaveImage", images=["12", 0], filename_prefix="x"),
        }
        check_workflow(graph)
        assert guess_nodes(graph) == [
            entry("prompt", ["10"], "value"),
            entry("model", ["1"], "unet_name"),
            entry("width", ["11"], "value"),
            entry("height", ["8"], "height"),
            entry("steps", ["7"], "steps"),
            entry("seed", ["6"], "noise_seed"),
            entry("n", ["8"], "batch_size"),
        ]

    def test_conditioning_on_its_way(self):
        """Each side of a ControlNet keeps to itself; both texts of SDXL are found."""
        graph = {
            "1": node("CLIPTextEncodeSDXL", text_g="a", text_l="a", width=1024, height=1024, clip=["9", 1]),
            "2": node("CLIPTextEncode", text="bad", clip=["9", 1]),
            "3": node("CLIPTextEncode", text="b", clip=["9", 1]),
            "4": node("ConditioningCombine", conditioning_1=["1", 0], conditioning_2=["3", 0]),
            "5": node("ControlNetApplyAdvanced", positive=["4", 0], negative=["2", 0], strength=1.0),
            "6": node("KSamplerAdvanced", positive=["5", 0], negative=["5", 1], noise_seed=3, steps=9),
        }
        assert guess_nodes(graph) == [
            entry("prompt", ["1"], "text_g"),
            entry("prompt", ["1"], "text_l"),
            entry("prompt", ["3"], "text"),
            entry("negative_prompt", ["2"], "text"),
            entry("steps", ["6"], "steps"),
            entry("seed", ["6"], "noise_seed"),
        ]

    @pytest.mark.parametrize("negative", [["2", 0], ["1", 0]])
    def test_no_negative_text(self, negative):
        graph = {
            "1": node("CLIPTextEncode", text="a", clip=["9", 1]),
            "2": node("ConditioningZeroOut", conditioning=["1", 0]),
            "3": node("KSampler", positive=["1", 0], negative=negative),
        }
        assert guess_nodes(graph) == [entry("prompt", ["1"])]

    def test_of_two_different_checkpoints_neither_is_the_users(self):
        graph = {
            id: node("CheckpointLoaderSimple", ckpt_name=name) for id, name in (("1", "base"), ("2", "x"))
        }
        assert guess_nodes(graph) == []
        graph["2"]["inputs"]["ckpt_name"] = "base"
        assert guess_nodes(graph) == [entry("model", ["1", "2"], "ckpt_name")]

    def test_a_picture_of_which_only_the_alpha_channel_is_used_is_a_mask(self):
        graph = {
            "1": node("LoadImage", image="a.png"),
            "2": node("LoadImage", image="b.png"),
            "3": node("InpaintModelConditioning", pixels=["1", 0], mask=["2", 1]),
        }
        assert guess_nodes(graph) == [entry("image", ["1"], "image"), entry("mask", ["2"], "image")]

    def test_a_loop_ends(self):
        graph = {
            "1": node("ConditioningCombine", conditioning_1=["2", 0], conditioning_2=["1", 0]),
            "2": node("ConditioningCombine", conditioning_1=["1", 0]),
            "3": node("KSampler", positive=["1", 0], negative=["2", 0]),
        }
        assert guess_nodes(graph) == []

    def test_starters_are_fully_guessed(self):
        types = {name: {entry["type"] for entry in guess_nodes(starter(name).graph)} for name in STARTERS}
        common = {"prompt", "negative_prompt", "model", "width", "height", "steps", "seed"}
        assert types == {
            "txt2img": common | {"n"},
            "img2img": common | {"image"},
            "inpaint": common | {"image", "mask"},
        }


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


def test_order_of_nodes():
    assert in_order(["21", "9", "57:10", "57:9", "x"]) == ["9", "21", "57:9", "57:10", "x"]


def test_a_starter_is_never_changed_by_a_request():
    before = copy.deepcopy(starter("txt2img").graph)
    starter("txt2img").fill({"prompt": "x", "model": "y"})
    assert starter("txt2img").graph == before
