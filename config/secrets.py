"""Secrets that an operator gives, or that `make run` makes once in EASEL_DATA_DIR/secrets."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

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
        if not (folder / name).exists():
            _write_once(folder / name, make())


def _write_once(path: Path, text: str) -> None:
    """Whole or not at all, and never over what another process was quicker to write."""
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-") as file:  # mode 0600
        file.write(text)
        file.flush()
        with suppress(FileExistsError):
            os.link(file.name, path)


def find(data_dir: Path, name: str, *, variable: str) -> str:
    """The generated secret; raises ImproperlyConfigured with what to set where there is none."""
    try:
        return (data_dir / "secrets" / name).read_text().strip()
    except FileNotFoundError:
        raise ImproperlyConfigured(
            f"Set {variable} (see docs/settings.md), or start once with `make run`, "
            f"which makes one in {data_dir}/secrets."
        ) from None
    except OSError as error:
        raise ImproperlyConfigured(f"{data_dir}/secrets/{name} cannot be read: {error.strerror}.") from None


def check_encryption_keys(keys: list[str]) -> None:
    """Raises ImproperlyConfigured for what is no Fernet key."""
    try:
        for key in keys:
            Fernet(key)
    except ValueError:
        raise ImproperlyConfigured(
            "EASEL_ENCRYPTION_KEYS must hold Fernet keys: 32 bytes, url-safe base64."
        ) from None
