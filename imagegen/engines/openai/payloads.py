"""What is sent for pictures: pure. A connection's parameters, a model's rules and a request, put together."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from imagegen.engines.base import EDIT, GENERATE, Capabilities, EditRequest, EngineConfig, ImageRequest
from imagegen.engines.errors import EngineMisconfigured, Unsupported
from imagegen.engines.http import Body
from imagegen.engines.openai.dialects import AZURE, XAI, dialect, dialect_name
from imagegen.engines.openai.models import UNKNOWN, Editing, Family, Parameters, family
from imagegen.engines.openai.sources import form, read_mask, read_source, xai_sources
from imagegen.engines.sizes import OWN_SIZE, AnySize, AspectRatios, ListedSizes, Sizes

logger = logging.getLogger(__name__)

NOT_SENT = frozenset(
    {
        *("api_version", "base_models", "dialect", "sizes"),
        *("image", "images", "mask", "model", "n", "partial_images", "prompt", "stream"),
    }
)
"""Parameters that are meant for this engine, that a request decides, or whose answer is no JSON."""


@dataclass(frozen=True)
class Rules:
    """What holds for one model at one connection."""

    config: EngineConfig
    model: str

    @cached_property
    def capabilities(self) -> Capabilities:
        row, editing = self.row, self.editing
        try:
            sizes = self.sizes
        except EngineMisconfigured:
            sizes = OWN_SIZE  # a request will say what is wrong; a list of models must not fail for it
        return Capabilities(
            operations=frozenset({GENERATE, EDIT} if editing else {GENERATE}),
            sizes=sizes,
            auto_size=row.auto_size,
            per_call=row.per_call,
            edit_sources=editing.sources if editing else 0,
            mask=editing is not None and editing.mask,
            max_prompt=row.max_prompt,
        )

    @cached_property
    def row(self) -> Family:
        """The model's family; of a deployment or an alias, that of the model that staff say it is."""
        named = self.config.parameters.get("base_models")
        return family(str(named.get(self.model, self.model)) if isinstance(named, Mapping) else self.model)

    @cached_property
    def editing(self) -> Editing | None:
        """How the model edits here: xAI takes no mask, Azure no WebP. None where it does not."""
        spoken, editing = dialect_name(self.config), self.row.editing
        if editing is None or editing.only_at not in ("", spoken):
            return None
        if spoken == AZURE:
            return replace(editing, formats=editing.formats - {"WEBP"})
        return replace(editing, mask=False) if spoken == XAI else editing

    @cached_property
    def sizes(self) -> Sizes:
        """The row's, or for a model without one those that staff declare: `any`, or a list.

        Raises EngineMisconfigured.
        """
        row, declared = self.row, self.config.parameters.get("sizes")
        if row is not UNKNOWN or not declared:
            return row.sizes
        if declared == "any":
            return AnySize()
        try:
            return ListedSizes.of(*declared)
        except (ValueError, TypeError, AttributeError):
            raise EngineMisconfigured(detail='parameters: sizes is "any" or a list of WIDTHxHEIGHT') from None

    def takes(self, request: ImageRequest) -> Parameters | None:
        """The parameters for this operation; None: all."""
        editing = self.row.editing if isinstance(request, EditRequest) else None
        return self.row.parameters if editing is None or editing.parameters is None else editing.parameters

    def parameters(self, takes: Parameters | None) -> dict[str, Any]:
        """What staff set, as far as the model takes it."""
        given = {name: value for name, value in self.config.parameters.items() if name not in NOT_SENT}
        if takes is None:
            return given
        taken = {name: value for name, value in given.items() if _allowed(name, value, takes)}
        if left_out := sorted(given.keys() - taken):
            logger.info("%s: not sent to %s: %s", self.config.name, self.model, ", ".join(left_out))
        return taken


def build(request: ImageRequest, rules: Rules) -> dict[str, Any]:
    """What asks for pictures, but for those that an edit starts from. Seed, steps and negative prompt are
    not in this API. Raises EngineMisconfigured, and Unsupported for a background that is not made.
    """
    spoken, takes = dialect(rules.config), rules.takes(request)
    payload = rules.parameters(takes)
    if spoken.name == XAI:
        payload["response_format"] = "b64_json"  # what its URLs lead to is gone within minutes
    if spoken.deployment is None:
        payload["model"] = rules.model
    payload |= {"prompt": request.prompt, "n": request.n}
    match rules.sizes:
        case AnySize() | ListedSizes() as sizes if request.size:
            payload["size"] = str(sizes.nearest(request.size))
        case AspectRatios() as sizes if request.size:
            payload["aspect_ratio"] = sizes.nearest(request.size)
    if isinstance(request, EditRequest):
        _set_background(payload, request.background, takes)
        if spoken.name == XAI and len(request.images) == 1:
            payload.pop("aspect_ratio", None)  # it keeps the source's, and takes no other
    return payload


def build_edit(request: EditRequest, rules: Rules) -> Body:
    """The whole body of an edit. Raises EngineMisconfigured and Unsupported."""
    payload = build(request, rules)
    formats = rules.editing.formats if rules.editing else ()
    images = [read_source(image, formats) for image in request.images]
    if dialect_name(rules.config) == XAI:
        return Body.json(payload | xai_sources(images))
    mask = None if request.mask is None else read_mask(request.mask, request.images[0])
    return Body.form(form(payload, images, mask))


def _set_background(payload: dict[str, Any], asked: str, takes: Parameters | None) -> None:
    """The request's background over that of the connection.

    A model without the parameter makes opaque pictures. JPEG has no transparency: PNG takes its place.
    """
    if not asked:
        return
    if takes is None or "background" in takes:
        if takes and not _allowed("background", asked, takes):
            raise Unsupported(f"background must be one of {', '.join(takes['background'])}.")
        payload["background"] = asked
    elif asked not in ("opaque", "auto"):
        raise Unsupported("This model makes no transparent background.")
    if asked == "transparent" and payload.get("output_format") == "jpeg":
        payload["output_format"] = "png"
        payload.pop("output_compression", None)


def _allowed(name: str, value: object, takes: Parameters) -> bool:
    return name in takes and (not takes[name] or value in takes[name])
