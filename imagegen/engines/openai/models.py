"""Which image model takes what at OpenAI-compatible servers, as of 2026-11-21.

Data, because models come and go within months. Sources: the type definitions of the openai (3.54.0) and
xai-sdk (1.21.0) packages, their makers' pages, LiteLLM 1.109.1's list of prices and dates, and answers
recorded from it. A model that no row knows gets the least that works: model, prompt and n, one picture
per call, and for an edit one source with or without a mask, as the endpoint has had them from the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from imagegen.engines.openai.dialects import XAI
from imagegen.engines.sizes import OWN_SIZE, AnySize, AspectRatios, ListedSizes, Sizes

Parameters = Mapping[str, tuple[str, ...]]
"""Names that may be sent, each with the values that it may have."""

ANY: tuple[str, ...] = ()


@dataclass(frozen=True)
class Editing:
    """How models change pictures.

    Attributes:
        sources: pictures that an edit starts from, at most.
        mask: one may mark what changes.
        formats: of the sources, as Pillow names them.
        parameters: what may be sent; None: the same as for generation.
        only_at: the dialect in which alone they edit; "" for all.
    """

    sources: int
    mask: bool = True
    formats: frozenset[str] = frozenset({"PNG", "JPEG", "WEBP"})
    parameters: Parameters | None = None
    only_at: str = ""


@dataclass(frozen=True)
class Family:
    """Models that take the same.

    Attributes:
        ids: patterns of their ids, without a provider's prefix.
        sizes: what they make.
        auto_size: they choose the size themselves when none is sent.
        per_call: the highest `n`.
        max_prompt: characters; None where no limit is known.
        parameters: what may be sent beside model, prompt, n and size; None: all.
        editing: None where they cannot.
    """

    ids: tuple[str, ...]
    sizes: Sizes = OWN_SIZE
    auto_size: bool = True
    per_call: int = 1
    max_prompt: int | None = None
    parameters: Parameters | None = None
    editing: Editing | None = None


_GPT_EDIT = {
    "background": ("transparent", "opaque", "auto"),
    "output_compression": ANY,
    "output_format": ANY,
    "quality": ("low", "medium", "high", "auto"),
    "safety_identifier": ANY,
    "user": ANY,
}
_GPT = {**_GPT_EDIT, "moderation": ("low", "auto")}
_GPT_25_QUALITY = {"quality": ("low", "medium", "high", "xhigh", "max", "auto")}
_GPT_26 = {"quality": ANY, "complexity": ("low", "medium", "high")}
_GPT_SIZES = AnySize(
    multiple=16, min_edge=16, max_edge=3840, min_pixels=655_360, max_pixels=8_294_400, max_ratio=3
)
_GPT_1_SIZES = ListedSizes.of("1024x1024", "1536x1024", "1024x1536")

_GROK = {"aspect_ratio": ANY, "resolution": ("1k", "2k"), "response_format": ANY, "user": ANY}
_GROK_SIZES = AspectRatios(
    (
        *("1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2"),
        *("9:19.5", "19.5:9", "9:20", "20:9", "1:2", "2:1"),
    )
)
# LiteLLM has no edits for xAI.
_GROK_EDITING = Editing(sources=3, mask=False, only_at=XAI)

FAMILIES = (
    Family(
        ids=("gpt-image-2.6-*",),
        sizes=_GPT_SIZES,
        per_call=10,
        max_prompt=32_000,
        parameters=_GPT | _GPT_26,
        editing=Editing(sources=16, parameters=_GPT_EDIT | _GPT_26),
    ),
    Family(
        ids=("gpt-image-2.5-*",),
        sizes=_GPT_SIZES,
        per_call=10,
        max_prompt=32_000,
        parameters=_GPT | _GPT_25_QUALITY,
        editing=Editing(sources=16, parameters=_GPT_EDIT | _GPT_25_QUALITY),
    ),
    Family(
        ids=("gpt-image-2", "gpt-image-2-*"),
        sizes=_GPT_SIZES,
        per_call=10,
        max_prompt=32_000,
        parameters=_GPT,
        editing=Editing(sources=16, parameters=_GPT_EDIT),
    ),
    Family(
        ids=("gpt-image-1-mini", "gpt-image-1-mini-*"),
        sizes=_GPT_1_SIZES,
        per_call=10,
        max_prompt=32_000,
        parameters=_GPT,
        editing=Editing(sources=16, parameters=_GPT_EDIT),
    ),
    Family(
        ids=("gpt-image-1", "gpt-image-1-*", "gpt-image-1.5", "gpt-image-1.5-*", "chatgpt-image-*"),
        sizes=_GPT_1_SIZES,
        per_call=10,
        max_prompt=32_000,
        parameters=_GPT,
        editing=Editing(sources=16, parameters=_GPT_EDIT | {"input_fidelity": ("low", "high")}),
    ),
    # Retired at OpenAI; compatible servers keep the names.
    Family(
        ids=("dall-e-3", "dall-e-3-*"),
        sizes=ListedSizes.of("1024x1024", "1792x1024", "1024x1792"),
        auto_size=False,
        per_call=1,
        max_prompt=4_000,
        parameters={
            "quality": ("standard", "hd"),
            "response_format": ANY,
            "style": ("vivid", "natural"),
            "user": ANY,
        },
    ),
    Family(
        ids=("dall-e-2", "dall-e-2-*"),
        sizes=ListedSizes.of("256x256", "512x512", "1024x1024"),
        auto_size=False,
        per_call=10,
        max_prompt=1_000,
        parameters={"response_format": ANY, "user": ANY},
        editing=Editing(sources=1, formats=frozenset({"PNG"})),
    ),
    # xAI refuses size and style, and most of its models quality; LiteLLM passes all of them on to it.
    Family(
        ids=("grok-imagine-image-2.0", "grok-imagine-image-2.0-*"),
        sizes=_GROK_SIZES,
        per_call=10,
        parameters=_GROK | {"quality": ("low", "medium")},
        editing=_GROK_EDITING,
    ),
    Family(
        ids=("grok-imagine-image", "grok-imagine-image-*"),
        sizes=_GROK_SIZES,
        per_call=10,
        parameters=_GROK,
        editing=_GROK_EDITING,
    ),
    Family(
        ids=("grok-2-image", "grok-2-image-*"), per_call=10, parameters={"response_format": ANY, "user": ANY}
    ),
)

UNKNOWN = Family(ids=("*",), editing=Editing(sources=1))

SHUTDOWN: Mapping[str, Mapping[str, str]] = {
    "api.openai.com": {
        "dall-e-2": "2026-05-12",
        "dall-e-3": "2026-05-12",
        "gpt-image-1": "2026-10-23",
        "gpt-image-1-mini": "2026-12-01",
        "gpt-image-1.5": "2026-12-01",
        "chatgpt-image-latest": "2026-12-01",
    },
    "api.x.ai": {"grok-imagine-image-pro": "2026-05-15"},
}
"""The day a maker switches a model off, at its own host. Azure and compatible servers keep other dates."""

IMAGE_IDS = ("gpt-image-*", "chatgpt-image-*", "dall-e-*", "grok-imagine-image*", "grok-2-image*")
"""Ids that name an image model where a server's list does not say so."""


@lru_cache(maxsize=256)
def family(model: str) -> Family:
    """The family of a model id; a provider's prefix, as in `xai/grok-imagine-image`, is ignored."""
    id = _bare(model)
    return next((row for row in FAMILIES if any(fnmatchcase(id, pattern) for pattern in row.ids)), UNKNOWN)


def names_an_image_model(model: str) -> bool:
    return any(fnmatchcase(_bare(model), pattern) for pattern in IMAGE_IDS)


def _bare(model: str) -> str:
    return model.rpartition("/")[2].lower()
