"""Start a mock engine, the floor, Easel on SQLite and PostgreSQL, and LiteLLM, and give all the same load.

    python -m bench                          all of it, as `make bench` does
    python -m bench quick                    the engine at 0 s: one client, 8 and 32
    python -m bench waiting --repeat 10 --pause 20 --at-once 1000 --only mock,postgresql
    python -m bench files                    a stored picture: whole, and 304

Prints one JSON line per run and the tables at the end, and writes both to var/bench. Exits with 1 where
anything failed or was left behind. Memory, CPU and files: see docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench import contestants, litellm, report
from bench.clients import Load
from bench.contestants import Contestant, Easel
from bench.runs import Run, ask, drive
from tests.live import ROOT
from tests.services import NotInstalled, PostgreSQL

SECTIONS = ("quick", "waiting", "files")
ALL = tuple(report.NAMES)


def main(arguments: Sequence[str]) -> int:
    chosen = _read(arguments)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="easel-bench-") as folder, ExitStack() as stack:
        engine, others = _start(Path(folder), stack, chosen)
        for section in chosen.sections:
            for run in globals()[f"_{section}"](engine, others, chosen):
                found.append(run)
                _say(json.dumps(asdict(run)))
    runs = [asdict(run) for run in found]
    _write(chosen.out, runs)
    _say(f"\n{report.tables(runs)}")
    faults = [f"{run.contestant}, {run.load}: {fault}" for run in found for fault in run.faults]
    _say("\n".join(faults) or "Nothing failed, nothing was left behind.")
    return 1 if faults else 0


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", default=[], metavar="section", help=", ".join(SECTIONS))
    parser.add_argument("--only", type=_words, default=ALL, help=f"of {','.join(ALL)}")
    parser.add_argument(
        "--database",
        default=os.environ.get("EASEL_BENCH_DATABASE", ""),
        help="PostgreSQL URL, or EASEL_BENCH_DATABASE; a database of its own is made and dropped there. "
        "Without it, a server is started for the occasion",
    )
    parser.add_argument("--clients", type=_numbers, default=[1, 8, 32], help="with an engine at 0 s")
    parser.add_argument("--requests", type=int, default=480, help="that those make in all")
    parser.add_argument("--at-once", type=_numbers, default=[200, 500, 1000], help="with a slow engine")
    parser.add_argument("--seconds", type=float, default=5, help="that the slow engine takes")
    parser.add_argument("--repeat", type=int, default=0, help="times; without it 3, and 1 for slow engines")
    parser.add_argument("--pause", type=float, default=0, help="idle seconds before each slow run")
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "bench", help="folder for the JSON")
    chosen = parser.parse_args(arguments)
    chosen.sections = chosen.sections or list(SECTIONS)
    if unknown := ({*chosen.sections} - {*SECTIONS}) | ({*chosen.only} - {*ALL}):
        parser.error(f"unknown: {', '.join(unknown)}")
    return chosen


def _start(folder: Path, stack: ExitStack, chosen: argparse.Namespace) -> tuple[Contestant, list[Contestant]]:
    """The mock engine, and everybody who takes part; who cannot is named and left out."""
    engine = stack.enter_context(contestants.mock(folder))
    present: list[Contestant] = [engine] if "mock" in chosen.only else []
    if "floor" in chosen.only:
        present.append(stack.enter_context(contestants.floor(folder, engine.url)))
    if "sqlite" in chosen.only:
        present.append(stack.enter_context(contestants.easel("sqlite", folder, engine.url, "")))
    if "postgresql" in chosen.only:
        if url := _database(chosen.database, stack):
            present.append(stack.enter_context(contestants.easel("postgresql", folder, engine.url, url)))
        else:
            _say("PostgreSQL is left out: no --database, and it is not installed here.")
    if "litellm" in chosen.only:
        if version := litellm.install():
            _say(f"LiteLLM {version}")
            present.append(stack.enter_context(contestants.lite(folder, engine.url)))
        else:
            _say("LiteLLM is left out: it could not be installed.")
    return engine, present


def _database(url: str, stack: ExitStack) -> str:
    """Of a server that waits for its disk, as in production."""
    try:
        return url or stack.enter_context(PostgreSQL(durable=True)).url
    except NotInstalled:
        return ""


def _quick(engine: Contestant, others: list[Contestant], chosen: argparse.Namespace) -> Iterator[Run]:
    """The engine at 0 s. All take turns, so that what disturbs the machine disturbs each of them."""
    _set_seconds(engine, 0)
    for contestant in others:
        ask(contestant.load(16, 48))  # first requests load modules and open connections
    for _ in range(chosen.repeat or 3):
        for clients in chosen.clients:
            for contestant in others:
                requests = chosen.requests if clients > 1 else max(chosen.requests // 3, 1)
                name = "1 client" if clients == 1 else f"{clients} clients"
                yield drive(name, contestant, contestant.load(clients, requests))


def _waiting(engine: Contestant, others: list[Contestant], chosen: argparse.Namespace) -> Iterator[Run]:
    """Many at once, and a slow engine."""
    for _ in range(chosen.repeat or 1):
        for count in chosen.at_once:
            for contestant in others:
                _set_seconds(engine, 0)
                load = contestant.load(count, count)
                _set_seconds(engine, chosen.seconds)
                time.sleep(chosen.pause)
                yield drive(f"{count:,} at once", contestant, load)


def _files(engine: Contestant, others: list[Contestant], chosen: argparse.Namespace) -> Iterator[Run]:
    """A stored picture's bytes, by 8 clients: whole, and 304 for those who have them."""
    _set_seconds(engine, 0)
    stored = [contestant for contestant in others if isinstance(contestant, Easel)]
    pictures = {contestant.name: _picture(contestant) for contestant in stored}
    for _ in range(chosen.repeat or 3):
        for contestant in stored:
            url, etag = pictures[contestant.name]
            for name, extra, expect in (("file", {}, 200), ("file, 304", {"If-None-Match": etag}, 304)):
                headers = contestant.log_in() | extra
                load = Load(url, 8, chosen.requests, "GET", headers, expect=expect)
                yield drive(name, contestant, load, pictures=False)


def _picture(easel: Easel) -> tuple[str, str]:
    """Make one; its URL and ETag."""
    headers = easel.log_in()
    made = easel.live.post("/api/images/generations", contestants.BODY, headers=headers).json()[0]
    path = str(made["url"])
    answer = easel.live.get(path)
    answer.raise_for_status()
    return easel.live.url + path, answer.headers["ETag"]


def _set_seconds(engine: Contestant, seconds: float) -> None:
    request = urllib.request.Request(f"{engine.url}/seconds/{seconds}", method="POST")  # noqa: S310
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60).close()


def _write(folder: Path, runs: list[report.Row]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    path = folder / f"{now:%Y%m%d-%H%M%S}.json"
    machine = {"cores": os.cpu_count(), "load": os.getloadavg(), "at": now.isoformat()}
    path.write_text(json.dumps({"machine": machine, "runs": runs}, indent=1))
    _say(f"\n{path}")


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _words(text: str) -> list[str]:
    return text.split(",")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
