import io

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection as database

from imagegen.engines.errors import KeyLost
from imagegen.models import EngineConnection
from imagegen.models.secrets import decrypt, encrypt, rotate

SECRET = "sk-not-for-anybody-else"


@pytest.fixture
def keys(settings):
    """Sets the keys, and returns them."""

    def use(*keys: str) -> tuple[str, ...]:
        settings.EASEL_ENCRYPTION_KEYS = list(keys)
        return keys

    return use


def new() -> str:
    return Fernet.generate_key().decode()


@pytest.mark.parametrize("secret", [SECRET, "ключ 🔑", "x" * 10_000])
def test_there_and_back(secret):
    token = encrypt(secret)
    assert secret not in token
    assert decrypt(token) == secret
    assert encrypt(secret) != token  # equal keys do not show


def test_empty_stays_empty():
    assert (encrypt(""), decrypt("")) == ("", "")


def test_a_wrong_key_fails_with_a_sentence(keys):
    (old,) = keys(new())
    token = encrypt(SECRET)
    keys(new())
    with pytest.raises(ImproperlyConfigured, match="EASEL_ENCRYPTION_KEYS lacks the key"):
        decrypt(token)
    keys(old)
    assert decrypt(token) == SECRET  # once it is put back


@pytest.mark.parametrize(
    "change", [lambda token: token[:-1], lambda token: SECRET, lambda token: "x" + token]
)
def test_ciphertext_that_was_tampered_with_fails(change):
    with pytest.raises(ImproperlyConfigured):
        decrypt(change(encrypt(SECRET)))


def test_rotation(keys):
    (old,) = keys(new())
    token = encrypt(SECRET)
    fresh, _ = keys(new(), old)
    assert decrypt(token) == SECRET  # any of them reads
    rotated = rotate(token)
    assert rotate("") == ""
    keys(fresh)
    assert decrypt(rotated) == SECRET  # the first one wrote
    with pytest.raises(ImproperlyConfigured):
        decrypt(token)


@pytest.fixture
def stored(db) -> EngineConnection:
    connection = EngineConnection(name="proxy", engine="openai", base_url="http://x.example/v1")
    connection.key = SECRET
    connection.save()
    return EngineConnection.objects.get(name="proxy")


def test_a_connection_gives_its_key_to_its_engine_alone(stored):
    assert stored.to_config().key == SECRET
    for shown in (
        repr(stored),
        str(stored),
        repr(stored.to_config()),
        str(stored.to_config()),
        repr(vars(stored)),
    ):
        assert SECRET not in shown


def test_the_database_holds_no_key_in_clear(stored):
    with database.cursor() as cursor:
        cursor.execute("SELECT * FROM imagegen_engineconnection")
        assert SECRET not in repr(cursor.fetchall())
    out = io.StringIO()
    call_command("dumpdata", "imagegen", stdout=out)
    assert "proxy" in out.getvalue() and SECRET not in out.getvalue()


def test_a_connection_whose_key_cannot_be_read_never_goes_out_without_one(stored, keys):
    keys(new())
    assert stored.key_is_lost and stored.to_config().key == ""
    with pytest.raises(KeyLost):
        stored.to_engine().check()
    with pytest.raises(ImproperlyConfigured):
        _ = stored.key


def test_a_key_that_is_set_again_needs_no_old_one(stored, keys):
    keys(new())
    stored.key = "another"
    assert stored.key == "another"
