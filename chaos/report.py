"""What a run says at its end: a page for people, JSON for programs."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chaos.asking import Wish
from chaos.faults import Fault
from chaos.invariants import FAULTS_SHOWN, Check
from chaos.journal import Call

LONG = ("commands", "faults in order")
"""In the JSON alone."""


def figures(wishes: Sequence[Wish], calls: Iterable[Call], faults: Sequence[Fault]) -> dict[str, Any]:
    """Counts, and how long people waited (seconds)."""
    answers = [answer for wish in wishes for answer in wish.answers]
    waits = sorted(answer.seconds for answer in answers if answer.status)
    calls = list(calls)
    return {
        "requests": len(answers),
        "wishes": len(wishes),
        "answers": dict(Counter(_kind(answer) for answer in answers).most_common()),
        "waited": {
            "p50": round(statistics.median(waits), 2),
            "p99": round(waits[int(len(waits) * 0.99)], 2),
            "longest": round(waits[-1], 2),
        },
        "calls": len(calls),
        "landed": sum(call.landed for call in calls),
        "moods": dict(Counter(call.mood for call in calls).most_common()),
        "faults": dict(Counter(fault.name for fault in faults).most_common()),
    }


def _kind(answer: Any) -> str:
    return answer.lost or f"{answer.status} {answer.code}".strip()


def exceptions(log: Path) -> dict[str, int]:
    """What Easel logged as errors: the event with the last line of the traceback."""
    found: Counter[str] = Counter()
    for line in log.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            found[f"not JSON: {line[:80]}"] += bool(line.strip())
            continue
        if entry.get("level") in ("error", "critical") or "exception" in entry:
            last = str(entry.get("exception", "")).strip().splitlines()[-1:] or [""]
            found[f"{entry.get('event')}: {last[0][:100]}"] += 1
    return dict(found.most_common(40))


def write(path: Path, run: dict[str, Any], checks: Sequence[Check]) -> None:
    found = [asdict(check) | {"holds": check.holds} for check in checks]
    path.write_text(json.dumps({**run, "checks": found}, indent=2, default=str))


def show(run: dict[str, Any], checks: Sequence[Check]) -> str:
    lines = [f"{name}: {_flat(value)}" for name, value in run.items() if name not in LONG]
    for check in checks:
        lines.append(f"{'holds' if check.holds else 'BROKEN':6} {check.cases:6}  {check.name}")
        lines += [f"               {fault}" for fault in check.faults[:FAULTS_SHOWN]]
        if len(check.faults) > FAULTS_SHOWN:
            lines.append(f"               and {len(check.faults) - FAULTS_SHOWN} more")
    return "\n".join(lines)


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number}" for name, number in value.items())
    return str(value)
