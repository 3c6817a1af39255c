import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from config.secrets import ENCRYPTION_KEY, SECRET_KEY, check_encryption_keys, find, generate


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_secrets_are_made_for_their_owner_alone(tmp_path, mask):
    before = os.umask(mask)
    try:
        generate(tmp_path)
    finally:
        os.umask(before)
    assert mode(tmp_path / "secrets") == 0o700
    assert {path.name: mode(path) for path in (tmp_path / "secrets").iterdir()} == {
        SECRET_KEY: 0o600,
        ENCRYPTION_KEY: 0o600,
    }


def test_what_they_are_good_for(tmp_path):
    generate(tmp_path)
    assert len(find(tmp_path, SECRET_KEY, variable="SECRET_KEY")) >= 50
    key = find(tmp_path, ENCRYPTION_KEY, variable="EASEL_ENCRYPTION_KEYS")
    Fernet(key)
    check_encryption_keys([key])


def test_they_are_made_once(tmp_path):
    generate(tmp_path)
    first = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    generate(tmp_path)
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == first


def test_two_deployments_differ(tmp_path):
    for name in ("one", "two"):
        generate(tmp_path / name)
    assert (tmp_path / "one/secrets/secret_key").read_text() != (
        tmp_path / "two/secrets/secret_key"
    ).read_text()


def test_one_that_was_lost_is_made_again(tmp_path):
    generate(tmp_path)
    kept = (tmp_path / "secrets" / SECRET_KEY).read_text()
    (tmp_path / "secrets" / ENCRYPTION_KEY).unlink()
    generate(tmp_path)
    assert (tmp_path / "secrets" / SECRET_KEY).read_text() == kept
    assert find(tmp_path, ENCRYPTION_KEY, variable="X")


def test_many_at_once_see_one_secret_and_never_half_of_it(tmp_path):
    barrier = threading.Barrier(16)

    def start(_):
        barrier.wait()
        generate(tmp_path)
        return tuple(find(tmp_path, name, variable="X") for name in (SECRET_KEY, ENCRYPTION_KEY))

    with ThreadPoolExecutor(16) as pool:
        seen = set(pool.map(start, range(16)))
    assert len(seen) == 1 and all(seen.pop())


def test_a_missing_one_says_what_to_set(tmp_path):
    with pytest.raises(
        ImproperlyConfigured, match=r"^Set SECRET_KEY \(see docs/settings.md\), or start once"
    ):
        find(tmp_path, SECRET_KEY, variable="SECRET_KEY")


def test_one_that_cannot_be_read_says_so(tmp_path):
    (tmp_path / "secrets" / SECRET_KEY).mkdir(parents=True)
    with pytest.raises(ImproperlyConfigured, match=r"secrets/secret_key cannot be read: Is a directory\.$"):
        find(tmp_path, SECRET_KEY, variable="SECRET_KEY")


@pytest.mark.parametrize("key", ["", "short", "x" * 44, "é" * 32, "A" * 42])
def test_what_is_no_encryption_key(key):
    with pytest.raises(ImproperlyConfigured, match="must hold Fernet keys"):
        check_encryption_keys([Fernet.generate_key().decode(), key])
