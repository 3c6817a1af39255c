"""What the tests of this engine share."""

import io
import json
from pathlib import Path

from PIL import Image

from imagegen.engines.base import EditRequest, EngineConfig, ImageRequest, Workflow
from imagegen.engines.comfyui import ComfyUI

FOLDER = Path(__file__).parents[3] / "fakes" / "recordings"
RECORDINGS = {record["name"]: record for record in json.loads((FOLDER / "comfyui-0.8.0.json").read_text())}
CHECKPOINT = "sd-tiny-random.safetensors"

MAP = [
    {"type": "prompt", "key": "text", "node_ids": ["6"]},
    {"type": "negative_prompt", "key": "text", "node_ids": ["7"]},
    {"type": "model", "key": "ckpt_name", "node_ids": ["4"]},
    {"type": "width", "key": "width", "node_ids": ["5"]},
    {"type": "height", "key": "height", "node_ids": ["5"]},
    {"type": "steps", "key": "steps", "node_ids": ["3"]},
    {"type": "seed", "key": "seed", "node_ids": ["3"]},
]
WITH_N = [*MAP, {"type": "n", "key": "batch_size", "node_ids": ["5"]}]
EDIT_MAP = [
    *(entry for entry in MAP if entry["type"] not in ("width", "height")),
    {"type": "image", "key": "image", "node_ids": ["10"]},
]


def recorded_graph(name):
    return json.loads((FOLDER / "workflows" / f"{name}.json").read_text())


def engine(url="http://comfy.test", *, generate=None, edit=None, nodes=MAP, edit_nodes=EDIT_MAP, **config):
    """A connection with recorded workflows, by name, or with graphs."""

    def workflow(graph, nodes):
        return Workflow(recorded_graph(graph) if isinstance(graph, str) else graph, nodes)

    workflows = {}
    if generate:
        workflows["generate"] = workflow(generate, nodes)
    if edit:
        workflows["edit"] = workflow(edit, edit_nodes)
    return ComfyUI(EngineConfig("ours", url, workflows=workflows, **config))


def make(engine, call, prompt="a red fox", **wanted):
    """The answer and its images."""
    if "images" in wanted:
        answer = engine.edit(EditRequest(prompt, **wanted), call)
    else:
        answer = engine.generate(ImageRequest(prompt, **wanted), call)
    return answer, engine.parse(answer)


def opened(image):
    return Image.open(io.BytesIO(image.data))


def colour_of(image):
    return opened(image).convert("RGB").getpixel((0, 0))


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
