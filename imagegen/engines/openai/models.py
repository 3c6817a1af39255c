"""Which image model takes what at OpenAI-compatible servers, as of 2026-11-21.

Data, because models come and go within months. Sources: the type definitions of the openai (3.54.0) and
xai-sdk (1.21.0) packages, LiteLLM 1.109.1's list of prices and dates, and answers recorded from it. A
model that no row knows gets the least that works: model, prompt and n, one picture per call.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from imagegen.engines.sizes import AnySize, AspectRatios, ListedSizes, OwnSize, Sizes


@dataclass(frozen=True)
class Family:
    """Models that take the same.

    Attributes:
        ids: patterns of their ids, without a provider's prefix.
        sizes: what they make.
        auto_size: they choose the size themselves when none is sent.
        per_call: the highest `n`.
        max_prompt: characters; None where no limit is known.
        parameters: names that may be sent beside model, prompt, n and size; None: all.
    """

    ids: tuple[str, ...]
    sizes: Sizes = OwnSize()  # noqa: RUF009 - frozen
    auto_size: bool = True
    per_call: int = 1
    max_prompt: int | None = None
    parameters: frozenset[str] | None = None


_GPT = frozenset(
    {
        "background",
        "moderation",
        "output_compression",
        "output_format",
        "quality",
        "safety_identifier",
        "user",
    }
)

FAMILIES = (
    Family(
        ids=("gpt-image-2.6-*",),
        sizes=AnySize(
            multiple=16, min_edge=16, max_edge=3840, min_pixels=655_360, max_pixels=8_294_400, max_ratio=3
        ),
        per_call=10,
        max_prompt=32_000,
        parameters=_GPT | {"complexity"},
    ),
    Family(
        ids=("gpt-image-2", "gpt-image-2-*", "gpt-image-2.5-*"),
        sizes=AnySize(
            multiple=16, min_edge=16, max_edge=3840, min_pixels=655_360, max_pixels=8_294_400, max_ratio=3
        ),
        per_call=10,
        max_prompt=32_000,
        parameters=_GPT,
    ),
    Family(
        ids=("gpt-image-1", "gpt-image-1-*", "gpt-image-1.5", "gpt-image-1.5-*", "chatgpt-image-*"),
        sizes=ListedSizes.of("1024x1024", "1536x1024", "1024x1536"),
        per_call=10,
        max_prompt=32_000,
        parameters=_GPT,
    ),
    # Retired at OpenAI; compatible servers keep the names.
    Family(
        ids=("dall-e-3", "dall-e-3-*"),
        sizes=ListedSizes.of("1024x1024", "1792x1024", "1024x1792"),
        auto_size=False,
        per_call=1,
        max_prompt=4_000,
        parameters=frozenset({"quality", "response_format", "style", "user"}),
    ),
    Family(
        ids=("dall-e-2", "dall-e-2-*"),
        sizes=ListedSizes.of("256x256", "512x512", "1024x1024"),
        auto_size=False,
        per_call=10,
        max_prompt=1_000,
        parameters=frozenset({"response_format", "user"}),
    ),
    # xAI refuses size and style, and most of its models quality; LiteLLM passes all of them on to it.
    Family(
        ids=("grok-imagine-image", "grok-imagine-image-*"),
        sizes=AspectRatios(
            (
                *("1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2"),
                *("9:19.5", "19.5:9", "9:20", "20:9", "1:2", "2:1"),
            )
        ),
        per_call=10,
        parameters=frozenset({"aspect_ratio", "resolution", "response_format", "user"}),
    ),
    Family(
        ids=("grok-2-image", "grok-2-image-*"), per_call=10, parameters=frozenset({"response_format", "user"})
    ),
)

UNKNOWN = Family(ids=("*",))

SHUTDOWN = {
    "dall-e-2": "2026-05-12",
    "dall-e-3": "2026-05-12",
    "gpt-image-1": "2026-10-23",
    "gpt-image-1-mini": "2026-12-01",
    "gpt-image-1.5": "2026-12-01",
    "chatgpt-image-latest": "2026-12-01",
}
"""The day OpenAI switches a model off, at its own host. Azure and compatible servers keep other dates."""

IMAGE_IDS = ("gpt-image-*", "chatgpt-image-*", "dall-e-*", "grok-imagine-image*", "grok-2-image*")
"""Ids that name an image model where a server's list does not say so."""


def family(model: str) -> Family:
    """The family of a model id; a provider's prefix, as in `xai/grok-imagine-image`, is ignored."""
    id = _bare(model)
    return next((row for row in FAMILIES if any(fnmatchcase(id, pattern) for pattern in row.ids)), UNKNOWN)


def names_an_image_model(model: str) -> bool:
    return any(fnmatchcase(_bare(model), pattern) for pattern in IMAGE_IDS)


def _bare(model: str) -> str:
    return model.rpartition("/")[2].lower()
