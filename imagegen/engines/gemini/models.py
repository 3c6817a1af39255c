"""Which Gemini image model takes what, as of 2026-11-21.

Data, because models come and go within months. Sources: the type definitions of the google-genai (3.4.0)
package, Google's pages on image generation and deprecations, LiteLLM 1.109.1's list of models, and
reports of users. A model that no row knows gets the least that works: a prompt, at most one source
picture, one picture back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType

from imagegen.engines.sizes import Size, nearest_ratio

GENERATE_CONTENT, PREDICT = "generateContent", "predict"
METHODS = (GENERATE_CONTENT, PREDICT)

MAKER = "generativelanguage.googleapis.com"

Shapes = Mapping[str, Size]
"""Aspect ratio -> pixels of the picture at image size 1K."""

SCALE = {"512": 0.5, "1K": 1, "2K": 2, "4K": 4}
"""Image size -> how much longer each edge is than at 1K. Google wants the K in upper case."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def _shapes(**pixels: str) -> Shapes:
    """`_shapes(r16_9="1376x768")` -> {"16:9": Size(1376, 768)}."""
    return MappingProxyType({name[1:].replace("_", ":"): Size.parse(text) for name, text in pixels.items()})


_TEN = _shapes(
    r1_1="1024x1024",
    r2_3="848x1264",
    r3_2="1264x848",
    r3_4="896x1200",
    r4_3="1200x896",
    r4_5="928x1152",
    r5_4="1152x928",
    r9_16="768x1376",
    r16_9="1376x768",
    r21_9="1584x672",
)
_FOURTEEN = MappingProxyType(
    {**_TEN, **_shapes(r1_4="512x2048", r4_1="2048x512", r1_8="384x3072", r8_1="3072x384")}
)
_IMAGEN = _shapes(r1_1="1024x1024", r3_4="896x1280", r4_3="1280x896", r9_16="768x1408", r16_9="1408x768")


@dataclass(frozen=True)
class Family:
    """Models that take the same.

    Attributes:
        ids: patterns of their ids, in lower case.
        method: the one that makes their pictures.
        shapes: the aspect ratios they take; none where they take none.
        image_sizes: the names in `SCALE` they take, smallest first; none where they take none.
        sources: pictures that an edit may start from.
        per_call: pictures that one call makes at most.
        modalities: what they are asked to answer with.
        seed: whether one may be sent.
    """

    ids: tuple[str, ...]
    method: str = GENERATE_CONTENT
    shapes: Shapes = field(default_factory=dict)
    image_sizes: tuple[str, ...] = ()
    sources: int = 0
    per_call: int = 1
    modalities: tuple[str, ...] = ("IMAGE",)
    seed: bool = False

    def nearest(self, asked: Size) -> tuple[str, str]:
        """The nearest aspect ratio, and the smallest image size that covers `asked`, else the largest.

        Either is "" where these models take none.
        """
        if not self.shapes:
            return "", ""
        ratio = nearest_ratio(self.shapes, asked)
        native = self.shapes[ratio]
        covering = (
            name
            for name in self.image_sizes
            if native.width * SCALE[name] >= asked.width and native.height * SCALE[name] >= asked.height
        )
        return ratio, next(covering, self.image_sizes[-1] if self.image_sizes else "")


FAMILIES = (
    Family(
        ids=("gemini-2.5-flash-image", "gemini-2.5-flash-image-*"),
        shapes=_TEN,
        sources=3,
        seed=True,
    ),
    Family(
        ids=("gemini-3.1-flash-image", "gemini-3.1-flash-image-*"),
        shapes=_FOURTEEN,
        image_sizes=("512", "1K", "2K", "4K"),
        sources=14,
        seed=True,
    ),
    # Whether it takes 512 is not known.
    Family(
        ids=("gemini-nano-banana-2.1", "gemini-nano-banana-2.1-*"),
        shapes=_FOURTEEN,
        image_sizes=("1K", "2K", "4K"),
        sources=14,
        seed=True,
    ),
    # Makes 1K only. How many sources it takes is not known.
    Family(
        ids=("gemini-3.1-flash-lite-image", "gemini-3.1-flash-lite-image-*"),
        shapes=_FOURTEEN,
        sources=1,
        seed=True,
    ),
    Family(
        ids=("gemini-3-pro-image", "gemini-3-pro-image-*", "nano-banana-pro", "nano-banana-pro-*"),
        shapes=_TEN,
        image_sizes=("1K", "2K", "4K"),
        sources=14,
        seed=True,
    ),
    # Retired at Google; compatible servers keep the names. A seed is for Vertex only.
    Family(
        ids=("imagen-4.0-generate-*", "imagen-4.0-ultra-*"),
        method=PREDICT,
        shapes=_IMAGEN,
        image_sizes=("1K", "2K"),
        per_call=4,
    ),
    Family(ids=("imagen-*",), method=PREDICT, shapes=_IMAGEN, per_call=4),
)

UNKNOWN = {
    GENERATE_CONTENT: Family(ids=("*",), sources=1, modalities=("TEXT", "IMAGE")),
    PREDICT: Family(ids=("*",), method=PREDICT),
}

SHUTDOWN = (
    ("imagen-*", "2026-08-17"),
    ("gemini-3-pro-image-preview", "2026-06-25"),
    ("gemini-3.1-flash-image-preview", "2026-06-25"),
    ("gemini-2.5-flash-image", "2027-03-15"),
)
"""Pattern and the day Google switches the model off, at its own host only."""

IMAGE_IDS = ("*-image", "*-image-*", "*nano-banana*", "imagen-*")
"""Ids that name an image model: Google's list does not say what a model answers with."""


def bare(model: str) -> str:
    """The id without the `models/` that Google's list puts in front."""
    return model.removeprefix("models/")


def is_model_id(model: str) -> bool:
    """Whether this can name a model and nothing else: no part of a path, no query, no method."""
    return _ID.fullmatch(bare(model)) is not None


def method_for(model: str) -> str:
    return PREDICT if fnmatchcase(bare(model).lower(), "imagen-*") else GENERATE_CONTENT


def family(model: str, method: str) -> Family:
    """The row for a model that is asked by `method`."""
    rows = (row for row in FAMILIES if row.method == method and _matches(model, row.ids))
    return next(rows, UNKNOWN[method])


def names_an_image_model(model: str) -> bool:
    return _matches(model, IMAGE_IDS)


def shutdown(model: str) -> str:
    """The ISO date on which Google switches a model off, or ""."""
    return next((day for pattern, day in SHUTDOWN if _matches(model, (pattern,))), "")


def _matches(model: str, patterns: tuple[str, ...]) -> bool:
    id = bare(model).lower()
    return any(fnmatchcase(id, pattern) for pattern in patterns)
