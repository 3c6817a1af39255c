"""Start a mock engine and Easel in its production configuration, and drive them.

    python -m bench --at-once 50,200,500
    python -m bench --at-once 500 --database postgres://user@127.0.0.1:5432/postgres
    python -m bench --clients 8,32 --requests 400

One JSON line per run. Exits with 1 where anything failed or anything was left behind.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from tests.live import ROOT, LiveEasel, free_port, tree


class Watch:
    """Looks at a process tree, and at its database sessions, four times a second."""

    def __init__(self, pid: int, database: str) -> None:
        self.pid, self.database = pid, database
        self.peak_memory = self.most_sessions = self.idle_in_transaction = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self.cpu_before = sum(map(cpu_seconds, tree(self.pid)))
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._thread.join()
        self.cpu = sum(map(cpu_seconds, tree(self.pid))) - self.cpu_before

    def _run(self) -> None:
        with sessions(self.database) as states:
            while not self._ended.wait(0.25):
                self.peak_memory = max(self.peak_memory, sum(map(pss, tree(self.pid))))
                seen = states()
                self.most_sessions = max(self.most_sessions, seen.total())
                idle = seen["idle in transaction"] + seen["idle in transaction (aborted)"]
                self.idle_in_transaction = max(self.idle_in_transaction, idle)


@contextmanager
def sessions(url: str) -> Iterator[Any]:
    """A function that counts the database's sessions by state; nothing to count without a URL."""
    if not url:
        yield Counter
        return
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        own = connection.info.backend_pid
        query = "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"
        yield lambda: Counter(state for (state,) in connection.execute(query, [own]))


def pss(pid: int) -> int:
    """Bytes in memory, shared ones divided by those who share them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def engine(seconds: float) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.engine", str(port), str(seconds)], cwd=ROOT)  # noqa: S603
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def drive(url: str, token: str, clients: int, requests: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.clients", url, token, str(clients), str(requests)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)  # noqa: S603
    found: dict[str, Any] = json.loads(done.stdout)
    latencies = sorted(found.pop("latencies"))
    return {
        "clients": clients,
        "requests": requests,
        "failures": found["failures"],
        "seconds": round(found["seconds"], 2),
        "per_second": round(requests / found["seconds"], 1),
        "p50_ms": round(statistics.median(latencies) * 1000, 1),
        "p95_ms": round(latencies[int(len(latencies) * 0.95)] * 1000, 1),
    }


def run(easel: LiveEasel, database: str, clients: int, requests: int) -> dict[str, Any]:
    token = easel.headers["Authorization"].split()[1]
    before = left_behind(easel)
    with Watch(easel.process.pid, database) as watch:
        found = drive(f"{easel.url}/api/images/generations", token, clients, requests)
    after = left_behind(easel)
    return {
        "on": "postgresql" if database else "sqlite",
        **found,
        "cpu_ms": round(watch.cpu / requests * 1000, 1),
        "peak_mb": round(watch.peak_memory / 1024**2),
        "sessions": watch.most_sessions,
        "idle_in_transaction": watch.idle_in_transaction,
        "rows": after["rows"] - before["rows"],
        "files": after["files"] - before["files"],
        "running": after["running"],
        "incoming": after["incoming"],
    }


def left_behind(easel: LiveEasel) -> dict[str, int]:
    shown = easel.manage(
        "shell", "--no-imports", "-c",
        "from imagegen.models import Generation as G, ImageFile as F;"
        "print(F.objects.count(), G.objects.filter(status='running').count())",
    )  # fmt: skip
    rows, running = map(int, shown.split())
    return {
        "rows": rows,
        "running": running,
        "files": count_files(easel.folder / "files"),
        "incoming": count_files(easel.folder / "incoming"),
    }


def count_files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--database", default="", help="PostgreSQL URL; a database of its own is made and dropped there"
    )
    parser.add_argument("--at-once", type=numbers, default=[], help="generations at once: 50,200,500")
    parser.add_argument("--seconds", type=float, default=5, help="that the engine takes for those")
    parser.add_argument("--clients", type=numbers, default=[], help="clients with an engine at 0 s: 8,32")
    parser.add_argument("--requests", type=int, default=400, help="that those make in all")
    parser.add_argument("--floor", action="store_true", help="drive the mock engine alone as well")
    chosen = parser.parse_args(arguments)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sound = True
    plans = [(chosen.seconds, [(n, n) for n in chosen.at_once])]
    plans.append((0, [(n, chosen.requests) for n in chosen.clients]))
    environment = {"EASEL_THREADS": "", "EASEL_LOG_LEVEL": "WARNING", "DATABASE_URL": chosen.database}
    with (
        tempfile.TemporaryDirectory(prefix="easel-bench-") as folder,
        LiveEasel(Path(folder), **environment) as easel,
    ):
        for seconds, loads in plans:
            if not loads:
                continue
            with engine(seconds) as url:
                select(easel, url)
                for clients, requests in loads:
                    if chosen.floor:
                        show({"on": "mock alone", **drive(url, "any", clients, requests)})
                    found = run(easel, easel.environment["DATABASE_URL"], clients, requests)
                    show(found)
                    sound &= not found["failures"] and not found["running"] and not found["incoming"]
                    sound &= found["rows"] == found["files"] == requests
    return 0 if sound else 1


def select(easel: LiveEasel, url: str) -> None:
    name = f"mock-{url.rpartition(':')[2]}"
    easel.manage(
        "connections", "add", name, "--engine", "openai", "--base-url", url,
        "--api-key-env", "KEY", "--model", "mock", "--use-for", "generate",
        KEY="sk-any",
    )  # fmt: skip


def show(found: dict[str, Any]) -> None:
    print(json.dumps(found), flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
