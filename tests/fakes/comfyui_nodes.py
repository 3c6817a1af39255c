"""The nodes that the fake ComfyUI has: what they take, as its validation checks it, and what they do.

Pictures are real. A sampled one has a colour of its own for each text, seed, checkpoint and place in the
batch, so that pictures can be told apart.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image, ImageChops, UnidentifiedImageError

CHECKPOINTS = ["sd-tiny-random.safetensors", "sd15-random.safetensors"]
SAMPLERS = ["euler", "dpmpp_2m", *(f"sampler_{k}" for k in range(42))]
SCHEDULERS = ["normal", "karras", "simple"]
SEEDS = (0, 2**64 - 1)
EDGE = (16, 16384)


@dataclass(frozen=True)
class Node:
    """`takes`: name -> a link's type, (lowest, highest) of a number, a list of choices, or str. `file`
    stands for the name of an uploaded file."""

    takes: Mapping[str, Any]
    gives: tuple[str, ...] = ()
    run: Callable[..., tuple[Any, ...]] = lambda kitchen: ()
    output: bool = False
    optional: frozenset[str] = field(default_factory=frozenset)


class Kitchen:
    """What a node may use: uploaded files, and a clock that can be interrupted."""

    def __init__(self, files: Callable[[str], bytes], step: Callable[[], None]) -> None:
        self.files, self.step = files, step


class OutOfMemoryError(Exception):
    """As torch's."""


def colour(*facts: object) -> tuple[int, int, int]:
    digest = hashlib.sha256(repr(facts).encode()).digest()
    return digest[0], digest[1], digest[2]


def _load(kitchen: Kitchen, image: str) -> tuple[Any, ...]:
    try:
        opened = Image.open(io.BytesIO(kitchen.files(image)))
    except UnidentifiedImageError:
        raise UnidentifiedImageError(f"cannot identify image file 'input/{image}'") from None
    rgba = opened.convert("RGBA")
    return [opened.convert("RGB")], [ImageChops.invert(rgba.getchannel("A"))]


def _load_mask(kitchen: Kitchen, image: str, channel: str) -> tuple[Any, ...]:
    rgba = Image.open(io.BytesIO(kitchen.files(image))).convert("RGBA")
    band = rgba.getchannel(channel[0].upper())
    return ([ImageChops.invert(band) if channel == "alpha" else band],)


def _sample(
    kitchen: Kitchen,
    model: Any,
    positive: str,
    negative: str,
    latent_image: Any,
    seed: float,
    steps: int,
    **_: Any,
) -> tuple[Any, ...]:
    if positive.startswith("[oom]"):
        raise OutOfMemoryError("Allocation on device 0 would exceed allowed memory.")
    for _step in range(steps):
        kitchen.step()
    made = []
    for k, latent in enumerate(latent_image["pictures"]):
        new = Image.new("RGB", latent.size, colour(model, positive, negative, int(seed), k))
        mask = latent_image.get("mask")
        made.append(Image.composite(new, latent, mask.resize(latent.size)) if mask else new)
    return ({"pictures": made},)


def _eighths(image: Image.Image) -> Image.Image:
    return image.crop((0, 0, image.width // 8 * 8, image.height // 8 * 8))


def _empty_latent(kitchen: Kitchen, width: int, height: int, batch_size: int) -> tuple[Any, ...]:
    return ({"pictures": [Image.new("RGB", (width // 8 * 8, height // 8 * 8))] * batch_size},)


def _scale(
    kitchen: Kitchen, image: list[Image.Image], width: int, height: int, crop: str, **_: Any
) -> tuple[Any, ...]:
    return ([one.resize((width, height)) for one in image],)


def _composite(
    kitchen: Kitchen, destination: list[Image.Image], source: list[Image.Image], mask: Any = None, **_: Any
) -> tuple[Any, ...]:
    shape = mask[0].resize(source[0].size) if mask else Image.new("L", source[0].size, 255)
    result = destination[0].copy()
    result.paste(source[0], (0, 0), shape)
    return ([result],)


NODES: dict[str, Node] = {
    "CheckpointLoaderSimple": Node(
        {"ckpt_name": CHECKPOINTS}, ("MODEL", "CLIP", "VAE"), lambda kitchen, ckpt_name: (ckpt_name,) * 3
    ),
    "CLIPTextEncode": Node(
        {"text": str, "clip": "CLIP"}, ("CONDITIONING",), lambda kitchen, text, clip: (text,)
    ),
    "EmptyLatentImage": Node(
        {"width": EDGE, "height": EDGE, "batch_size": (1, 4096)}, ("LATENT",), _empty_latent
    ),
    "KSampler": Node(
        {
            "model": "MODEL",
            "seed": SEEDS,
            "steps": (1, 10000),
            "cfg": (0.0, 100.0),
            "sampler_name": SAMPLERS,
            "scheduler": SCHEDULERS,
            "positive": "CONDITIONING",
            "negative": "CONDITIONING",
            "latent_image": "LATENT",
            "denoise": (0.0, 1.0),
        },
        ("LATENT",),
        _sample,
    ),
    "VAEDecode": Node(
        {"samples": "LATENT", "vae": "VAE"}, ("IMAGE",), lambda kitchen, samples, vae: (samples["pictures"],)
    ),
    "VAEEncode": Node(
        {"pixels": "IMAGE", "vae": "VAE"},
        ("LATENT",),
        lambda kitchen, pixels, vae: ({"pictures": [_eighths(one) for one in pixels]},),
    ),
    "VAEEncodeForInpaint": Node(
        {"pixels": "IMAGE", "vae": "VAE", "mask": "MASK", "grow_mask_by": (0, 64)},
        ("LATENT",),
        lambda kitchen, pixels, vae, mask, grow_mask_by: (
            {"pictures": [_eighths(one) for one in pixels], "mask": mask[0]},
        ),
    ),
    "SetLatentNoiseMask": Node(
        {"samples": "LATENT", "mask": "MASK"},
        ("LATENT",),
        lambda kitchen, samples, mask: ({**samples, "mask": mask[0]},),
    ),
    "ImageCompositeMasked": Node(
        {
            "destination": "IMAGE",
            "source": "IMAGE",
            "x": (0, 16384),
            "y": (0, 16384),
            "resize_source": [True, False],
            "mask": "MASK",
        },
        ("IMAGE",),
        _composite,
        optional=frozenset({"mask"}),
    ),
    "LoadImage": Node({"image": "file"}, ("IMAGE", "MASK"), _load),
    "LoadImageMask": Node(
        {"image": "file", "channel": ["alpha", "red", "green", "blue"]}, ("MASK",), _load_mask
    ),
    "MaskToImage": Node(
        {"mask": "MASK"}, ("IMAGE",), lambda kitchen, mask: ([one.convert("RGB") for one in mask],)
    ),
    "ImageToMask": Node(
        {"image": "IMAGE", "channel": ["red", "green", "blue", "alpha"]},
        ("MASK",),
        lambda kitchen, image, channel: ([one.getchannel(channel[0].upper()) for one in image],),
    ),
    "EmptyImage": Node(
        {"width": (1, 16384), "height": (1, 16384), "batch_size": (1, 4096), "color": (0, 0xFFFFFF)},
        ("IMAGE",),
        lambda kitchen, width, height, batch_size, color: (
            [Image.new("RGB", (width, height), f"#{color:06x}")] * batch_size,
        ),
    ),
    "ImageInvert": Node(
        {"image": "IMAGE"}, ("IMAGE",), lambda kitchen, image: ([ImageChops.invert(one) for one in image],)
    ),
    "ImageScale": Node(
        {
            "image": "IMAGE",
            "upscale_method": ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"],
            "width": (0, 16384),
            "height": (0, 16384),
            "crop": ["disabled", "center"],
        },
        ("IMAGE",),
        _scale,
    ),
    "SaveImage": Node({"images": "IMAGE", "filename_prefix": str}, output=True),
    "PreviewImage": Node({"images": "IMAGE"}, output=True),
}


def object_info(kind: str) -> dict[str, Any]:
    node = NODES[kind]
    inputs = {
        name: [sorted(takes) if name == "ckpt_name" else takes, {}]
        if isinstance(takes, list)
        else [takes if isinstance(takes, str) else "INT" if isinstance(takes, tuple) else "STRING", {}]
        for name, takes in node.takes.items()
    }
    return {
        "input": {"required": inputs},
        "output": list(node.gives),
        "output_node": node.output,
        "name": kind,
    }


def validate(graph: Mapping[str, Any], has_file: Callable[[str], bool]) -> tuple[list[str], dict[str, Any]]:
    """The output nodes that can run, and the faults of the others, as ComfyUI writes them."""
    good: list[str] = []
    errors: dict[str, Any] = {}
    for id in (id for id, node in graph.items() if NODES[node["class_type"]].output):
        found: dict[str, list[dict[str, Any]]] = {}
        _validate(graph, id, found, has_file, seen=set())
        for broken, faults in found.items():
            entry = errors.setdefault(
                broken, {"errors": faults, "dependent_outputs": [], "class_type": graph[broken]["class_type"]}
            )
            entry["dependent_outputs"].append(id)
        if not found:
            good.append(id)
    return good, errors


def _validate(
    graph: Mapping[str, Any],
    id: str,
    found: dict[str, list[dict[str, Any]]],
    has_file: Callable[[str], bool],
    seen: set[str],
) -> None:
    if id in seen:
        return
    seen.add(id)
    node, inputs = NODES[graph[id]["class_type"]], graph[id]["inputs"]
    for name, takes in node.takes.items():
        if name not in inputs:
            if name not in node.optional:
                _fault(found, id, "required_input_missing", "Required input is missing", name)
            continue
        value = inputs[name]
        if isinstance(value, list):
            if value[0] not in graph:
                kind, when = "exception_during_inner_validation", "inner node"
                if node.output:
                    kind, when = "exception_during_validation", "node"
                _fault(found, id, kind, f"Exception when validating {when}", repr(value[0]))
                continue
            gives = NODES[graph[value[0]]["class_type"]].gives[value[1]]
            if gives != takes:
                details = f"{name}, received_type({gives}) mismatch input_type({takes})"
                _fault(
                    found, id, "return_type_mismatch", "Return type mismatch between linked nodes", details
                )
                continue
            _validate(graph, value[0], found, has_file, seen)
        elif takes == "file" and not has_file(value):
            details = f"{name} - Invalid image file: {value}"
            _fault(found, id, "custom_validation_failed", "Custom validation failed for node", details)
        elif isinstance(takes, list) and value not in takes:
            choices = str(takes) if len(takes) < 20 else f"(list of length {len(takes)})"
            details = f"{name}: '{value}' not in {choices}"
            _fault(found, id, "value_not_in_list", "Value not in list", details)
        elif isinstance(takes, tuple):
            lowest, highest = takes
            shown = float(value) if isinstance(lowest, float) else int(value)
            if value < lowest:
                _fault(
                    found, id, "value_smaller_than_min", f"Value {shown} smaller than min of {lowest}", name
                )
            if value > highest:
                _fault(
                    found, id, "value_bigger_than_max", f"Value {shown} bigger than max of {highest}", name
                )


def _fault(found: dict[str, list[dict[str, Any]]], id: str, type: str, message: str, details: str) -> None:
    fault = {"type": type, "message": message, "details": details, "extra_info": {}}
    found.setdefault(id, []).append(fault)
