"""Secrets that an operator gives, or that `make run` makes once in EASEL_DATA_DIR/secrets."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

SECRET_KEY, ENCRYPTION_KEY = "secret_key", "encryption_key"

_MAKERS: dict[str, Callable[[], str]] = {
    SECRET_KEY: lambda: secrets.token_urlsafe(64),
    ENCRYPTION_KEY: lambda: Fernet.generate_key().decode(),
}


def generate(data_dir: Path) -> None:
    """Make the secrets that do not exist yet. Only their owner can read the files."""
    folder = data_dir / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, make in _MAKERS.items():
        try:
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(descriptor, "w") as file:
            file.write(make())


def find(data_dir: Path, name: str, *, variable: str) -> str:
    """The generated secret; raises ImproperlyConfigured with what to set where there is none."""
    try:
        return (data_dir / "secrets" / name).read_text().strip()
    except FileNotFoundError:
        raise ImproperlyConfigured(
            f"Set {variable} (see docs/settings.md), or start once with `make run`, "
            f"which makes one in {data_dir}/secrets."
        ) from None
