"""How Easel is served: `gunicorn -c python:config.gunicorn config.wsgi`. docs/adr/0004 has the figures."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import sys
import time
from contextlib import suppress
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from gunicorn.workers import gthread

from config import environment, metrics_files
from config.pace import Limits, PacedSocket
from imagegen import landing

environment.load_dotenv()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
try:
    from django.conf import settings

    settings.DEBUG  # noqa: B018 - reading one loads and checks them all
except ImproperlyConfigured as error:
    sys.exit(f"Easel cannot start: {error}")

NEEDED_DESCRIPTORS = 4096
MEMORY = {
    -8: 2,  # M_ARENA_MAX: else each thread keeps a heap of its own
    -3: 8 * 1024**2,  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD: a picture's memory serves the next one; else
    -1: 32 * 1024**2,  # the kernel would take it back and clean it anew, 700 page faults for each
}
"""glibc's `mallopt`. Other C libraries go their own way."""

if hasattr(_c := ctypes.CDLL(None), "mallopt"):
    for option, value in MEMORY.items():
        _c.mallopt(option, value)

waiting = RawArray("i", 1024)
"""How many generations wait in which worker, in memory that all of them share."""

NOT_HERE = 2**31 - 1
connected = RawArray("i", [NOT_HERE] * len(waiting))
"""How many connections a worker has that takes new ones."""

LEFT_TO_OTHERS = 0.001
"""Seconds."""

gthread.DEFAULT_WORKER_DATA_TIMEOUT = 0
"""Who connects and says nothing is watched together with all others, and not by a thread for five seconds."""


class Worker(gthread.ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gthread with paced clients, evenly shared, and a better end: what runs is finished, and nothing else
    delays it."""

    def accept(self, listener: Any) -> None:
        """Leave a connection to workers that have fewer, for a moment: whoever is awake would take all of a
        burst, and one process works while the others sleep."""
        if self.nr_conns > min(connected[:]):  # a list first: four times as fast
            time.sleep(LEFT_TO_OTHERS)
        super().accept(listener)

    def enqueue_req(self, conn: Any) -> None:
        """Every request of a connection has its time anew."""
        if isinstance(conn.sock, PacedSocket):
            conn.sock.begin()
        else:
            conn.sock = PacedSocket.adopt(conn.sock, pace)
        super().enqueue_req(conn)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """New generations get 503 from here on."""
        from imagegen.waiting import room

        room.close()
        super().handle_exit(sig, frame)

    def is_parent_alive(self) -> bool:
        """Without a master, end as on SIGTERM: gthread would finish what runs, but keep the port until then,
        so that no successor can start, and let those who come wait in vain."""
        there = bool(super().is_parent_alive())
        if not there and self.alive:
            self.handle_exit(signal.SIGTERM, None)
        return there

    def set_accept_enabled(self, enabled: bool) -> None:
        """Who comes while this process ends is for the others, or is refused: left in the listener's queue,
        he would wait until the end of it all, and in vain."""
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                listener.close()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Look up every second: gthread would sit out the whole graceful timeout where a kept-alive
        connection is idle, instead of closing it when its own time is up."""
        super().wait_for_and_dispatch_events(min(timeout, 1.0))
        connected[self.place] = self.nr_conns if self._accepting else NOT_HERE


bind = "{}:{}".format(*environment.listening())
workers = environment.read("EASEL_WORKERS")
worker_class = Worker
threads = environment.read("EASEL_THREADS")
worker_connections = 2000
backlog = 2048
timeout = 120
graceful_timeout = environment.read("EASEL_GRACEFUL_TIMEOUT")
keepalive = 5
pace = Limits(
    seconds=environment.read("EASEL_SOCKET_TIMEOUT"),
    pace=environment.read("EASEL_CLIENT_PACE"),
    total=environment.read("EASEL_REQUEST_TIMEOUT"),
)
sendfile = False  # it would go past the pace that clients must keep
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn's heartbeat only
forwarded_allow_ips = ",".join(environment.read("EASEL_TRUSTED_PROXIES"))
proc_name = "easel"
loglevel = "warning"


def on_starting(server: Any) -> None:
    raise_descriptors()
    metrics_files.lay_out()


def raise_descriptors() -> None:
    """A waiting generation takes two descriptors. Too few would fail later, and in the dark."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < NEEDED_DESCRIPTORS:
        sys.exit(
            f"Easel cannot start: it may open {hard} files and needs {NEEDED_DESCRIPTORS}. "
            "Raise the limit (LimitNOFILE= in systemd, `ulimit -Hn` in a shell)."
        )
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pre_fork(server: Any, worker: Any) -> None:
    """A place of its own in `waiting`, where old workers keep theirs after a reload until they are gone, and
    memory for answers that outlives it."""
    taken = {other.place for other in server.WORKERS.values()}
    worker.place = next(place for place in range(len(waiting)) if place not in taken)
    waiting[worker.place] = 0
    worker.slots = landing.Slots()


def post_fork(server: Any, worker: Any) -> None:
    metrics_files.join(worker.place)
    for other in server.WORKERS.values():
        other.slots.close()


def post_worker_init(worker: Any) -> None:
    from imagegen.waiting import room

    room.share(waiting, worker.place)
    landing.use(worker.slots)
    gc.collect()
    gc.freeze()  # what is loaded now stays: no need to look through it for garbage ever again
    if apps.ready:  # it is Easel that is served
        from imagegen.overdue import Watch

        worker.watch = Watch()
        worker.watch.start()


def worker_exit(server: Any, worker: Any) -> None:
    if watch := getattr(worker, "watch", None):
        watch.stop()


def child_exit(server: Any, worker: Any) -> None:
    """Whatever it died of, nobody waits there any more, and what it was given is kept."""
    waiting[worker.place] = 0
    connected[worker.place] = NOT_HERE
    metrics_files.leave(worker.place)
    for slot in worker.slots.left():
        try:
            slot.save(settings.EASEL_INCOMING_DIR)
        except OSError as error:
            server.log.error("A worker died, and an answer it had is lost, %s: %s", slot.name, error)
        else:
            server.log.warning("A worker died; reconcile_files will record what it had: %s", slot.name)
    worker.slots.close()


def on_exit(server: Any) -> None:
    """gunicorn kills who has not ended in time, and goes without looking back."""
    for pid, worker in server.WORKERS.items():
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
        child_exit(server, worker)
