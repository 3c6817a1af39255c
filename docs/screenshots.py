"""Takes docs/images/api-docs.png and api-docs-generate.png of a fresh Easel, with Chromium.

Run from the repository root: `.venv/bin/python -m docs.screenshots`. It fails where the page writes
anything to the browser's console, such as a breach of its Content Security Policy.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from PIL import Image

IMAGES = Path(__file__).parent / "images"
WIDTH, HEIGHT = 1200, 6000
"""Taller than the page, so that nothing scrolls."""

SHOTS = {
    "api-docs": ("/api/docs", (0, 1540)),
    "api-docs-generate": ("/api/docs#/images/generateImages", (720, 2360)),
}
"""Name -> path, and the rows of pixels that are kept."""

STARTED_WITHIN = 120.0
COLOURS = 96


def main() -> int:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("Chromium is needed.")
    with easel() as base:
        for name, (path, (top, bottom)) in SHOTS.items():
            target = IMAGES / f"{name}.png"
            complaints = photograph(browser, base + path, target)
            if complaints:
                sys.exit(f"{path} complains:\n" + "\n".join(complaints))
            picture = Image.open(target).convert("RGB").crop((0, top, WIDTH, bottom))
            picture.quantize(COLOURS).save(target, optimize=True)
    return 0


@contextmanager
def easel() -> Iterator[str]:
    """`make run` in a folder of its own, on a free port, with nothing else from the environment."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        server = subprocess.Popen(
            [sys.executable, "-m", "config.quickstart"],
            env={"PATH": os.environ["PATH"], "EASEL_DATA_DIR": folder, "PORT": str(port)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until_ready(base)
            yield base
        finally:
            server.terminate()
            server.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(base: str) -> None:
    until = time.monotonic() + STARTED_WITHIN
    while time.monotonic() < until:
        try:
            if requests.get(f"{base}/readyz", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.3)
    sys.exit("Easel did not start.")


def photograph(browser: str, url: str, target: Path) -> list[str]:
    """Save a picture of the page; return what it wrote to the console."""
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(  # noqa: S603
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                "--enable-logging=stderr",
                "--v=0",
                f"--window-size={WIDTH},{HEIGHT}",
                "--virtual-time-budget=8000",
                f"--screenshot={target}",
                url,
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
    return re.findall(r"CONSOLE.*", done.stderr)


if __name__ == "__main__":
    sys.exit(main())
