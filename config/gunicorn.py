"""How Easel is served: `gunicorn -c python:config.gunicorn config.wsgi`. docs/adr/0004 has the figures."""

from __future__ import annotations

import os
import resource
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from config import environment

environment.load_dotenv()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
try:
    from django.conf import settings

    settings.DEBUG  # noqa: B018 - reading one loads them all: a bad one stops us here, with its sentence
except ImproperlyConfigured as error:
    sys.exit(f"Easel cannot start: {error}")

NEEDED_DESCRIPTORS = 4096

bind = f"{environment.read('EASEL_BIND')}:{environment.read('PORT')}"
workers = environment.read("EASEL_WORKERS")
worker_class = "gthread"
threads = environment.read("EASEL_THREADS")
worker_connections = 2000
backlog = 2048
timeout = 120
graceful_timeout = environment.read("EASEL_GRACEFUL_TIMEOUT")
keepalive = 5
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn's heartbeat only
forwarded_allow_ips = ",".join(environment.read("EASEL_TRUSTED_PROXIES")) or "127.0.0.1"
proc_name = "easel"
loglevel = "warning"


def on_starting(server: Any) -> None:
    """A waiting generation takes two descriptors. Too few would fail later, and in the dark."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < NEEDED_DESCRIPTORS:
        sys.exit(
            f"Easel cannot start: it may open {hard} files and needs {NEEDED_DESCRIPTORS}. "
            "Raise the limit (LimitNOFILE= in systemd, `ulimit -Hn` in a shell)."
        )
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def when_ready(server: Any) -> None:
    """Accepted sockets inherit these: a half-sent request or a client that stops reading frees its
    thread after a while."""
    wait = struct.pack("ll", environment.read("EASEL_SOCKET_TIMEOUT"), 0)
    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)


def post_worker_init(worker: Any) -> None:
    """While stopping, what runs is finished and new generations get 503."""
    from imagegen.waiting import room

    stop = signal.getsignal(signal.SIGTERM)

    def close_and_stop(signum: int, frame: Any) -> None:
        room.close()
        if callable(stop):
            stop(signum, frame)

    signal.signal(signal.SIGTERM, close_and_stop)
