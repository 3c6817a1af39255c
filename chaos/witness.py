"""Sees each answer the moment its last byte is on disk, and writes down which call it answers.

`python -m chaos.witness FOLDER SEEN` watches FOLDER by inotify. An answer gets its name there when it is
whole; its first bytes name the call. One JSON line each: {"name", "call"}, call null where it was gone.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import struct
import sys
from pathlib import Path

MOVED_TO = 0x80
CREATED = re.compile(rb'"created": ?(\d+)')
EVENT = struct.Struct("iIII")


def watch(folder: Path, seen: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(0)
    if fd < 0 or libc.inotify_add_watch(fd, os.fsencode(folder), MOVED_TO) < 0:
        raise OSError(ctypes.get_errno(), "inotify")
    with seen.open("a", buffering=1) as out:
        print("watching", flush=True)
        while True:
            for name in _names(os.read(fd, 64 * 1024)):
                if name.endswith(".answer"):
                    out.write(json.dumps({"name": name, "call": _call(folder / name)}) + "\n")


def _names(events: bytes) -> list[str]:
    names, at = [], 0
    while at < len(events):
        *_, length = EVENT.unpack_from(events, at)
        at += EVENT.size
        names.append(events[at : at + length].rstrip(b"\0").decode())
        at += length
    return names


def _call(path: Path) -> int | None:
    try:
        with path.open("rb") as file:
            found = CREATED.search(file.read(100))
    except FileNotFoundError:
        return None
    return int(found[1]) if found else 0


if __name__ == "__main__":
    watch(Path(sys.argv[1]), Path(sys.argv[2]))
