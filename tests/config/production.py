"""Easel's commands in processes of their own, with production settings and nothing inherited."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from config.environment import BASE_DIR, VARIABLES

SECRETS = {
    "SECRET_KEY": "a-key-for-tests-alone-that-is-long-enough-for-django-5-2",
    "EASEL_ENCRYPTION_KEYS": "eVuyCmnxAiEIvx2CQ3I4VCb6Q8fmsBk0BRlbXQgTMWs=",
}


def environment(data_dir: Path, **variables: str) -> dict[str, str]:
    """Ours is dropped, `.env` is overruled: what is not named is empty, and empty counts as absent."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name.removesuffix("_FILE") not in VARIABLES and not name.startswith("DJANGO_")
    }
    return {**inherited, **dict.fromkeys(VARIABLES, ""), "EASEL_DATA_DIR": str(data_dir), **variables}


def run(data_dir: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`python <arguments>` at the root of the project."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=BASE_DIR,
        env=environment(data_dir, **variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
