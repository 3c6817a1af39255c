"""Start PostgreSQL, a mock engine and Easel as it is run; let things die under load; look what is left.

    python -m chaos                            ten minutes
    python -m chaos --seconds 60 --seed 7      shorter; the same chances again

Exits with 1 where an invariant does not hold. docs/chaos.md explains.
"""

from __future__ import annotations

import argparse
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaos import closing, preparing, report
from chaos.evidence import gather, left_in
from chaos.faults import Faults, SmallDisk
from chaos.invariants import Check, check_answers, check_rows
from chaos.journal import missed, read_calls
from chaos.load import Load
from chaos.service import Service
from chaos.watch import LONG, Size, Watch, idle_in_transaction, settled
from tests.live import ROOT, free_port
from tests.services import PostgreSQL

STORING_SECONDS = 60
"""What may pass between an engine's deadline and the end of its generation; `imagegen.generation` has it."""

LONGEST = max(preparing.DEADLINES.values()) + STORING_SECONDS
MARGIN = 5.0


@dataclass
class Stage:
    """Everything that runs, and what it was like before the storm."""

    service: Service
    load: Load
    faults: Faults
    tokens: Sequence[str]
    before: Size


class Run:
    """One folder, one seed."""

    def __init__(self, folder: Path, seed: str, *, seconds: float, clients: int) -> None:
        self.folder, self.seed, self.seconds, self.clients = folder, seed, seconds, clients
        self.journal, self.seen = folder / "journal", folder / "seen"

    def run(self) -> tuple[dict[str, Any], list[Check]]:
        """What was seen, and what holds."""
        with ExitStack() as stack:
            stage = self._set(stack)
            with Watch(stage.service, stage.service.environment["DATABASE_URL"]) as watch:
                with stage.load.running(), stage.faults.raging():
                    time.sleep(self.seconds)
                time.sleep(LONGEST + MARGIN)
            stage.service.wait_until_ready()
            return self._close(stage, watch)

    def _set(self, stack: ExitStack) -> Stage:
        """Start everything, warm it up, and let the engine go."""
        postgres = stack.enter_context(PostgreSQL(durable=True))
        disk = stack.enter_context(SmallDisk(self.folder / "disk"))
        engine, port = stack.enter_context(self._engine())
        data = self._data(disk)
        settings = {
            "DATABASE_URL": postgres.url,
            "EASEL_STORAGE": "chaos.storage.FailingStorage",
            "EASEL_GRACEFUL_TIMEOUT": "20",
            "EASEL_LOG_LEVEL": "WARNING",
            "EASEL_MIN_FREE_MB": "0",  # the small disk has less, and is to run full
        }
        service = stack.enter_context(Service(data, **settings))
        preparing.add_connections(service, port)
        tokens = preparing.add_people(service)
        load = Load(service.url, tokens, preparing.add_sources(service, tokens), self.seed, self.clients)
        stack.enter_context(self._witness(data / "incoming"))
        load.warm_up()
        before = settled(service)
        engine.send_signal(signal.SIGUSR1)
        return Stage(service, load, Faults(service, postgres, disk, self.seed), tokens, before)

    def _data(self, disk: SmallDisk) -> Path:
        """Easel's folder; answers go to the small disk."""
        data = self.folder / "easel"
        data.mkdir()
        (disk.folder / "incoming").mkdir()
        (data / "incoming").symlink_to(disk.folder / "incoming")
        return data

    def _close(self, stage: Stage, watch: Watch) -> tuple[dict[str, Any], list[Check]]:
        """Do what ops would do, gather what there is, and judge it."""
        service, database = stage.service, stage.service.environment["DATABASE_URL"]
        commands = [closing.run_commands(service), service.manage("reconcile_files")]
        wishes = {wish.tag: wish for wish in stage.load.wishes}
        evidence = gather(database, service.folder, read_calls(self.journal, self.seen), wishes)
        closing.ask_again(service, evidence, stage.tokens)
        checks = [*check_rows(evidence), *check_answers(evidence, longest=LONGEST)]
        checks.append(closing.check_pictures(service, evidence, stage.tokens))
        commands.append(service.manage("reconcile_files", "--discard"))
        after = settled(service)
        sessions, idle = idle_in_transaction(database)
        left = {
            "turns": (evidence.tickets, 0),
            "files in incoming after --discard": (len(left_in(service.folder / "incoming")), 0),
            "seconds idle in a transaction at the end": (idle, 0),
            "seconds idle in a transaction at most": (watch.longest_idle, LONG),
            "strange answers to thumbnails and deletions": (len(stage.load.strange), 0),
        }
        checks += [closing.check_leftovers(left), closing.check_size(stage.before, after, self.clients)]
        figures = report.figures(stage.load.wishes, evidence.calls.values(), stage.faults.happened)
        return {
            "seed": self.seed,
            "seconds": self.seconds,
            "clients": self.clients,
            **figures,
            "starts": f"{service.starts}, {service.refused} refused",
            "answers gone before they were seen": missed(self.seen),
            "recovered generations": sum(row.was_recovered for row in evidence.all_generations()),
            "thumbnails": stage.load.thumbnails,
            "strange": stage.load.strange[:20],
            "before": asdict(stage.before),
            "after": asdict(after),
            "peak memory": watch.peak_memory,
            "sessions": f"{sessions} at the end, {watch.most_sessions} at most, {watch.looks} looks",
            "logged": report.exceptions(service.folder / "log"),
            "commands": commands,
            "faults in order": [asdict(fault) for fault in stage.faults.happened],
        }, checks

    @contextmanager
    def _engine(self) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        """It behaves until it gets SIGUSR1."""
        port = free_port()
        self.journal.touch()
        with _started("chaos.engine", str(port), self.seed, str(self.journal)) as process:
            yield process, port

    @contextmanager
    def _witness(self, incoming: Path) -> Iterator[None]:
        self.seen.touch()
        with _started("chaos.witness", str(incoming), str(self.seen)) as process:
            assert process.stdout is not None
            process.stdout.readline()
            yield


@contextmanager
def _started(module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=600, help="of load and faults; default 600")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="what chance begins with")
    parser.add_argument("--clients", type=int, default=24, help="at once; default 24")
    parser.add_argument("--json", type=Path, default=Path("var/chaos.json"), help="where the report goes")
    parser.add_argument("--keep", type=Path, help="a folder, not there yet, in which everything stays")
    chosen = parser.parse_args(arguments)
    print(f"seed {chosen.seed}", flush=True)
    with ExitStack() as stack:
        if chosen.keep is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="easel-chaos-")))
        else:
            folder = chosen.keep
            folder.mkdir(parents=True)
        folder.chmod(0o711)  # PostgreSQL runs as somebody else
        try:
            run, checks = Run(folder, chosen.seed, seconds=chosen.seconds, clients=chosen.clients).run()
        except subprocess.CalledProcessError as error:
            print(error.stderr or error.stdout or "", file=sys.stderr)
            raise
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    report.write(chosen.json, run, checks)
    print(report.show(run, checks))
    return 0 if all(check.holds for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
