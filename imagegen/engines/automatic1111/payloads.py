"""What `POST /sdapi/v1/txt2img` and `/sdapi/v1/img2img` are sent.

Source: the requests recorded in tests/fakes/recordings/automatic1111-1.10.1.json. Unknown fields and
values are taken in silence there, and stable-diffusion.cpp refuses nulls, so only what is meant is sent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import pybase64
from PIL import Image

from imagegen.engines.automatic1111 import sampling
from imagegen.engines.base import EditRequest, EngineConfig, ImageRequest
from imagegen.engines.errors import EngineMisconfigured
from imagegen.engines.masks import open_source, where_changed
from imagegen.engines.sizes import AnySize, Size

SIZES = AnySize(multiple=8)
EDIT_PIXELS = 1024 * 1024
"""An edit without a size keeps its source's shape, and its size up to this area."""

CROP_AND_RESIZE, ORIGINAL = 1, 1

NOT_SENT = frozenset(
    {
        # decided by the request
        *("prompt", "width", "height", "seed", "n_iter", "init_images", "mask", "latent_mask"),
        # decided by this engine: it must get its pictures, know its job, and change nothing for others
        *("batch_size", "send_images", "force_task_id", "include_init_images"),
        *("save_images", "do_not_save_grid", "do_not_save_samples", "override_settings_restore_afterwards"),
        # meant for this engine
        *("interrupt_on_timeout", "sampler_index"),
    }
)
"""Parameters of a connection that are not passed on as they are."""


def build(request: ImageRequest, config: EngineConfig, *, iterates: bool) -> dict[str, Any]:
    """The body for a request, source pictures included. Pure.

    `iterates` False: the server knows no `n_iter`, and `batch_size` alone counts.

    Raises EngineMisconfigured for parameters of the wrong kind, BadEngineResponse for an unreadable source.
    """
    parameters = {name: value for name, value in config.parameters.items() if value is not None}
    sent = {name: value for name, value in parameters.items() if name not in NOT_SENT}
    batch_size = _at_once(parameters, request.n) if iterates else request.n
    payload: dict[str, Any] = {
        **sent,
        **sampling.wanted(parameters),
        "prompt": request.prompt,
        "batch_size": batch_size,
        "n_iter": request.n // batch_size,
        "do_not_save_grid": True,
        "do_not_save_samples": True,
    }
    if request.negative_prompt:
        payload["negative_prompt"] = request.negative_prompt
    if request.steps:
        payload["steps"] = request.steps
    elif not payload.get("steps"):
        payload.pop("steps", None)  # 0 steps end in a division by zero
    if request.seed is not None:
        payload["seed"] = request.seed
    size = request.size
    if isinstance(request, EditRequest):
        payload = _inpainting(request) | payload
        payload |= _sources(request)
        size = size or _source_size(request)
    if size:
        payload["width"], payload["height"] = SIZES.nearest(size)
    if settings := _settings(parameters, request.model or config.model):
        payload["override_settings"] = settings
        payload["override_settings_restore_afterwards"] = True
    return payload


def _at_once(parameters: Mapping[str, Any], n: int) -> int:
    """How many pictures share the card's memory: the largest share of `n` that staff allow, else one."""
    allowed = parameters.get("batch_size", 1)
    if not isinstance(allowed, int) or isinstance(allowed, bool) or allowed < 1:
        raise EngineMisconfigured(detail="parameters: batch_size is a whole number from 1")
    return max(share for share in range(1, min(allowed, n) + 1) if n % share == 0)


def _settings(parameters: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Settings of the server for this one request, the model among them."""
    settings = parameters.get("override_settings", {})
    if not isinstance(settings, Mapping):
        raise EngineMisconfigured(detail="parameters: override_settings is a JSON object")
    return {**settings, "sd_model_checkpoint": model} if model else dict(settings)


def _inpainting(request: EditRequest) -> dict[str, Any]:
    """What an edit means where staff say nothing else: no stretching, and with a mask the whole picture
    as context, starting from what is there. The API's own defaults are the opposite."""
    masked = {"inpainting_fill": ORIGINAL, "inpaint_full_res": False}
    return {"resize_mode": CROP_AND_RESIZE, **(masked if request.mask is not None else {})}


def _sources(request: EditRequest) -> dict[str, Any]:
    sources: dict[str, Any] = {"init_images": [_base64(_readable(image)) for image in request.images]}
    if request.mask is not None:
        sources["mask"] = _base64(white_where_edited(request.mask))
    return sources


def _source_size(request: EditRequest) -> Size | None:
    if not request.images:
        return None
    size = Size(*open_source(request.images[0]).size)
    shrink = min(1.0, math.sqrt(EDIT_PIXELS / size.pixels))
    return Size(round(size.width * shrink), round(size.height * shrink))


def white_where_edited(mask: bytes) -> bytes:
    """A mask as a grey PNG. These servers would read its alpha the other way round."""
    return _png(where_changed(mask))


def _readable(picture: bytes) -> bytes:
    """PNG or JPEG: stable-diffusion.cpp passes over a source that it cannot read, without a word."""
    image = open_source(picture)
    if image.format in ("PNG", "JPEG"):
        return picture
    return _png(image.convert("RGBA" if image.has_transparency_data else "RGB"))


def _png(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def _base64(data: bytes) -> str:
    return pybase64.b64encode(data).decode()
