"""Tables of a bench, in Markdown: `python -m bench.report var/bench/….json` prints them again."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
"""A run's fields, as `runs.Run` has them; of several runs of the same load the median."""

NAMES = {
    "mock": "mock alone",
    "floor": "floor",
    "sqlite": "Easel, SQLite",
    "postgresql": "Easel, PostgreSQL",
    "litellm": "LiteLLM",
}
COLUMNS = {
    "seconds": "seconds",
    "per_second": "requests/s",
    "p50_ms": "p50 ms",
    "p95_ms": "p95 ms",
    "failures": "failures",
    "cpu_ms": "CPU ms",
    "server_cpu_ms": "PostgreSQL's CPU ms",
    "peak_mb": "peak MB",
    "sessions": "sessions",
}


def medians(runs: Sequence[Row]) -> list[Row]:
    """One row per load and contestant, in the order of their first run. Failures and peaks are the worst."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for run in runs:
        groups.setdefault((run["load"], run["contestant"]), []).append(run)
    return [_median(group) for group in groups.values()]


def _median(group: Sequence[Row]) -> Row:
    row = dict(group[0])
    for name in ("seconds", "per_second", "p50_ms", "p95_ms", "cpu_ms", "server_cpu_ms"):
        row[name] = statistics.median(run[name] for run in group)
    for name in ("peak_mb", "sessions", "idle_in_transaction"):
        row[name] = max(run[name] for run in group)
    row["failures"] = sum(sum(run["failures"].values()) for run in group)
    row["runs"] = len(group)
    return row


def tables(runs: Sequence[Row]) -> str:
    rows = medians(runs)
    return "\n".join([*_measured(rows), "", *_ratios(rows)])


def _measured(rows: Sequence[Row]) -> Iterator[str]:
    yield _line("load", "", *COLUMNS.values())
    yield _line(*["---"] * (len(COLUMNS) + 2))
    for row in rows:
        yield _line(row["load"], NAMES[row["contestant"]], *(_shown(row, name) for name in COLUMNS))


def _shown(row: Row, name: str) -> str:
    value = row[name]
    if name in ("server_cpu_ms", "sessions") and not value:
        return ""
    if isinstance(value, float) and name in ("seconds", "cpu_ms", "server_cpu_ms"):
        return f"{value:.1f}"
    return f"{value:,.0f}"


def _ratios(rows: Sequence[Row]) -> Iterator[str]:
    """Easel beside LiteLLM and the floor, for every load that they had too."""
    found = {(row["load"], row["contestant"]): row for row in rows}
    yield _line("load", "", "requests/s : LiteLLM's", "p50 : LiteLLM's", "CPU : floor's", "CPU : LiteLLM's")
    yield _line(*["---"] * 6)
    for row in rows:
        if row["contestant"] in ("sqlite", "postgresql"):
            lite, floor = (found.get((row["load"], other)) for other in ("litellm", "floor"))
            yield _line(
                row["load"], NAMES[row["contestant"]],
                _ratio(row, lite, "per_second"), _ratio(row, lite, "p50_ms"),
                _ratio(row, floor, "cpu_ms"), _ratio(row, lite, "cpu_ms"),
            )  # fmt: skip


def _ratio(row: Row, other: Row | None, name: str) -> str:
    return f"{row[name] / other[name]:.2f}" if other and other[name] else ""


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    print(tables(json.loads(Path(sys.argv[1]).read_text())["runs"]))  # noqa: T201
