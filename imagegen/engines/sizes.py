"""Sizes: what was asked, what an engine can make, and which of those comes nearest."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Size(NamedTuple):
    """Width and height in pixels. Prints as `WIDTHxHEIGHT`, the way every engine writes it."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def ratio(self) -> float:
        return self.width / self.height

    @classmethod
    def parse(cls, text: str) -> Size:
        """`"1024x768"` -> Size(1024, 768). Raises ValueError for anything else."""
        width, separator, height = text.partition("x")
        if not (separator and width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
            raise ValueError(f"not WIDTHxHEIGHT: {text!r}")
        return cls(int(width), int(height))


@dataclass(frozen=True)
class AnySize:
    """The engine takes any width and height within bounds.

    Attributes:
        multiple: both edges must be divisible by it.
        min_edge, max_edge: bounds of one edge, in pixels.
        min_pixels, max_pixels: bounds of the area.
        max_ratio: the longer edge over the shorter, at most.
    """

    multiple: int = 8
    min_edge: int = 64
    max_edge: int = 4096
    min_pixels: int = 0
    max_pixels: int = 4096 * 4096
    max_ratio: float = 64.0

    def nearest(self, asked: Size) -> Size:
        """The smallest size that can be cut down to `asked`, or the largest there is.

        Shape first: an edge too short for the ratio is lengthened, then both are scaled into the
        bounds, then rounded to the multiple.
        """
        width = max(asked.width, asked.height / self.max_ratio)
        height = max(asked.height, asked.width / self.max_ratio)
        scale = max(1.0, math.sqrt(self.min_pixels / (width * height)))
        scale = min(scale, self.max_edge / max(width, height), math.sqrt(self.max_pixels / (width * height)))
        width, height = self._up(width * scale), self._up(height * scale)
        size = Size(
            max(width, self._up(height / self.max_ratio)), max(height, self._up(width / self.max_ratio))
        )
        while size.pixels > self.max_pixels or max(size) / min(size) > self.max_ratio:
            size = self._less(size)
        return size

    def _up(self, edge: float) -> int:
        wanted = math.ceil(round(edge, 6) / self.multiple) * self.multiple
        low = math.ceil(self.min_edge / self.multiple) * self.multiple
        high = self.max_edge // self.multiple * self.multiple
        return min(max(wanted, low), high)

    def _less(self, size: Size) -> Size:
        """One multiple off the longer edge."""
        if size.width >= size.height:
            return size._replace(width=size.width - self.multiple)
        return size._replace(height=size.height - self.multiple)


@dataclass(frozen=True)
class ListedSizes:
    """The engine makes these sizes and no others."""

    sizes: tuple[Size, ...]

    @classmethod
    def of(cls, *texts: str) -> ListedSizes:
        return cls(tuple(Size.parse(text) for text in texts))

    def nearest(self, asked: Size) -> Size:
        """Nearest shape first; among those the smallest that covers `asked`, else the largest."""
        return min(
            self.sizes, key=lambda size: (_distance(size.ratio, asked.ratio), *_shortfall(size, asked))
        )


@dataclass(frozen=True)
class AspectRatios:
    """The engine takes a shape, such as `16:9`, and chooses the pixels itself."""

    ratios: tuple[str, ...]

    def nearest(self, asked: Size) -> str:
        return nearest_ratio(self.ratios, asked)


@dataclass(frozen=True)
class OwnSize:
    """The engine takes no size at all."""


OWN_SIZE = OwnSize()

Sizes = AnySize | ListedSizes | AspectRatios | OwnSize


def nearest_ratio(ratios: Iterable[str], asked: Size) -> str:
    """Of shapes written `W:H`, the one that loses least when cut to `asked`."""
    return min(ratios, key=lambda text: _distance(_ratio(text), asked.ratio))


def _ratio(text: str) -> float:
    width, _, height = text.partition(":")
    return float(width) / float(height)


def _distance(one: float, other: float) -> float:
    """How far two shapes are apart: the same for portrait and landscape."""
    return round(abs(math.log(one / other)), 3)


def _shortfall(size: Size, asked: Size) -> tuple[bool, int]:
    covers = size.width >= asked.width and size.height >= asked.height
    return (not covers, size.pixels if covers else -size.pixels)
