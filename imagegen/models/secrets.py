"""Credentials at rest: encrypted with the first of `EASEL_ENCRYPTION_KEYS`, read with any of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


def encrypt(text: str) -> str:
    """Ciphertext of `text`; empty stays empty."""
    return _with_keys(_keys()).encrypt(text.encode()).decode() if text else ""


def decrypt(token: str) -> str:
    """Raises ImproperlyConfigured where no key fits: a wrong key must never pass for an empty one."""
    return _decrypt(_keys(), token) if token else ""


@lru_cache(maxsize=100)
def _decrypt(keys: Sequence[str], token: str) -> str:
    """Remembered, since every request asks for the same few; by the keys too, so that one that is taken
    away is missed at once."""
    try:
        return _with_keys(keys).decrypt(token.encode()).decode()
    except InvalidToken:
        raise ImproperlyConfigured(
            "A stored credential cannot be decrypted: EASEL_ENCRYPTION_KEYS lacks the key it was "
            "encrypted with. Put that key back, or enter the credential again."
        ) from None


def rotate(token: str) -> str:
    """The same credential under the first key."""
    return encrypt(decrypt(token))


def is_under_first_key(token: str) -> bool:
    """Whether `rotate` would change nothing but the time in it."""
    try:
        Fernet(settings.EASEL_ENCRYPTION_KEYS[0]).decrypt(token.encode())
    except InvalidToken:
        return False
    return True


def _keys() -> Sequence[str]:
    return tuple(settings.EASEL_ENCRYPTION_KEYS)


@cache
def _with_keys(keys: Sequence[str]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
