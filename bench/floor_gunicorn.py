"""How the floor is served: by Easel's worker, threads and limits, without what Easel starts there."""

from __future__ import annotations

from typing import Any

from config.gunicorn import (
    Worker,
    backlog,
    bind,
    control_socket_disable,
    graceful_timeout,
    keepalive,
    loglevel,
    pre_fork,
    raise_descriptors,
    sendfile,
    threads,
    timeout,
    worker_connections,
    worker_tmp_dir,
    workers,
)

__all__ = [
    "backlog", "bind", "control_socket_disable", "graceful_timeout", "keepalive", "loglevel", "pre_fork",
    "sendfile", "threads", "timeout", "worker_connections", "worker_tmp_dir", "workers",
]  # fmt: skip

worker_class = Worker


def on_starting(server: Any) -> None:
    raise_descriptors()
