"""Charts as the template draws them: heights and places in percent, words for hover and for the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from math import ceil, floor, log10

from imagegen.admin.dashboard import words
from imagegen.rollup.figures import Figures, Stretch, Tally

GRID_LINES = 4


@dataclass(frozen=True)
class Series:
    """A line or row of columns. `css` names its colour and dash in dashboard.css."""

    name: str
    css: str
    value: Callable[[Tally], float | None]


@dataclass(frozen=True)
class Column:
    """One step. `label` stands below it, a minor one only where there is room; `heights` are of columns, in
    percent."""

    when: str
    label: str
    minor: bool
    heights: list[tuple[str, float]]
    words: list[tuple[str, str, str]]
    """Of each series: name, css, value."""
    late: bool
    """In the right half: its words open to the left."""


@dataclass(frozen=True)
class Chart:
    title: str
    lines: list[tuple[str, str, str]]
    """Of each line: css, its path in a box of 100 x 100, and that of its single points."""
    grid: list[tuple[float, str]]
    """Height in percent, and what it stands for."""
    series: Sequence[Series]
    columns: list[Column]
    empty: bool


PICTURES = Series("Pictures", "blue", lambda tally: tally.pictures)
FAILURES = Series("Failures", "orange", lambda tally: tally.failures)
P50 = Series("p50", "green", lambda tally: tally.p50)
P95 = Series("p95", "purple", lambda tally: tally.p95)
MONEY = Series("Money", "teal", lambda tally: float(tally.cost))


def draw(stretch: Stretch, figures: Figures) -> list[Chart]:
    return [
        _chart("Pictures", [PICTURES], words.integer, stretch, figures, whole=True),
        _chart("Failures", [FAILURES], words.integer, stretch, figures, whole=True),
        _chart("Waiting time", [P50, P95], words.duration, stretch, figures, lines=True),
        _chart("Money", [MONEY], words.money, stretch, figures),
    ]


def _chart(
    title: str,
    series: Sequence[Series],
    say: Callable[[float | None], str],
    stretch: Stretch,
    figures: Figures,
    *,
    lines: bool = False,
    whole: bool = False,
) -> Chart:
    values = [[one.value(tally) for one in series] for tally in figures.steps]
    most = max((value or 0 for row in values for value in row), default=0)
    top, step = scale(most, whole=whole)
    columns = [
        Column(
            when=_when(start, stretch),
            label=_label(start, k, stretch),
            minor=k // max(len(values) // 6, 1) % 2 == 1,
            heights=[] if lines else _heights(series, row, top),
            words=[(one.name, one.css, say(value)) for one, value in zip(series, row, strict=True)],
            late=k * 2 >= len(values),
        )
        for k, (start, row) in enumerate(zip(figures.starts, values, strict=True))
    ]
    return Chart(
        title,
        [(one.css, *paths([row[k] for row in values], top)) for k, one in enumerate(series)] if lines else [],
        [(100 * k * step / top, say(k * step) if k else "0") for k in range(round(top / step) + 1)],
        series,
        columns,
        empty=not most,
    )


def _heights(series: Sequence[Series], row: Sequence[float | None], top: float) -> list[tuple[str, float]]:
    return [(one.css, round(100 * value / top, 2)) for one, value in zip(series, row, strict=True) if value]


def scale(most: float, *, whole: bool) -> tuple[float, float]:
    """The top of an axis, and the step of its grid: 1, 2 or 5 of some power of ten."""
    if most <= 0:
        return 1, 1
    rough = most / GRID_LINES
    power = 10.0 ** floor(log10(rough))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough * 0.999)
    step = max(step, 1.0) if whole else step
    return ceil(most / step * 0.999) * step, step


def paths(values: Sequence[float | None], top: float) -> tuple[str, str]:
    """SVG paths through the middles of the columns: of the lines, interrupted where there is nothing, and of
    points that have no neighbour."""
    width = 100 / max(len(values), 1)
    lines, dots = list[str](), list[str]()
    for there, run in groupby(enumerate(values), key=lambda item: item[1] is not None):
        points = [f"{(k + 0.5) * width:.2f} {100 - 100 * (value or 0) / top:.2f}" for k, value in run]
        if there:
            (lines if len(points) > 1 else dots).append(f"M{'L'.join(points)}")
    return "".join(lines), "".join(f"{dot}h0.01" for dot in dots)


def _when(start: datetime, stretch: Stretch) -> str:
    if stretch.step >= timedelta(days=1):
        return f"{start:%a %d %b %Y}"
    return f"{start:%a %d %b, %H:%M} to {start + stretch.step:%H:%M} UTC"


def _label(start: datetime, number: int, stretch: Stretch) -> str:
    if stretch.step == timedelta(hours=1):
        return f"{start:%H:%M}" if start.hour % 4 == 0 else ""
    if stretch.step < timedelta(days=1):
        return f"{start:%a %d}" if start.hour == 0 else ""
    return f"{start:%d %b}" if number % (stretch.number // 6) == stretch.number // 12 else ""
