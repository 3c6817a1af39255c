"""One load on one contestant, and what it took."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass

from bench.clients import Load
from bench.contestants import Contestant, Left
from bench.measure import Watch
from tests.live import ROOT


@dataclass(frozen=True)
class Run:
    """Milliseconds of CPU are per request: `cpu_ms` of the contestant's processes, `server_cpu_ms` of
    PostgreSQL's for it. `faults` are sentences; a sound run has none."""

    contestant: str
    load: str
    clients: int
    requests: int
    failures: dict[str, int]
    seconds: float
    per_second: float
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    server_cpu_ms: float
    peak_mb: float
    sessions: int
    idle_in_transaction: int
    faults: tuple[str, ...]


def drive(name: str, contestant: Contestant, load: Load, *, pictures: bool = True) -> Run:
    """`pictures` says that each request is to leave one."""
    before = contestant.left()
    with Watch(contestant.pid, contestant.database) as watch:
        found = ask(load)
    latencies = sorted(found["latencies"])
    return Run(
        contestant=contestant.name,
        load=name,
        clients=load.clients,
        requests=load.requests,
        failures=found["failures"],
        seconds=round(found["seconds"], 2),
        per_second=round(load.requests / found["seconds"], 1),
        p50_ms=round(statistics.median(latencies) * 1000, 1),
        p95_ms=round(latencies[int(len(latencies) * 0.95)] * 1000, 1),
        cpu_ms=round(watch.cpu / load.requests * 1000, 2),
        server_cpu_ms=round(watch.server_cpu / load.requests * 1000, 2),
        peak_mb=round(watch.peak_memory / 1024**2),
        sessions=watch.most_sessions,
        idle_in_transaction=watch.idle_in_transaction,
        faults=tuple(_faults(found["failures"], before, contestant.left(), load.requests if pictures else 0)),
    )


def ask(load: Load) -> dict[str, object] | dict[str, list[float]]:
    """Drive it from a process of its own. Raises CalledProcessError."""
    command = [sys.executable, "-m", "bench.clients"]
    text = json.dumps(asdict(load)).encode()
    done = subprocess.run(command, cwd=ROOT, check=True, input=text, stdout=subprocess.PIPE)  # noqa: S603
    return json.loads(done.stdout)


def _faults(failures: dict[str, int], before: Left | None, after: Left | None, pictures: int) -> list[str]:
    found = [f"{count} answers were {status}" for status, count in failures.items()]
    if before is None or after is None:
        return found
    if after.rows - before.rows != pictures:
        found.append(f"{after.rows - before.rows} rows for {pictures} pictures")
    if after.files - before.files != pictures:
        found.append(f"{after.files - before.files} files for {pictures} pictures")
    if after.running:
        found.append(f"{after.running} generations left running")
    if after.incoming:
        found.append(f"{after.incoming} files left in incoming")
    return found
