from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import environment
from config.environment import DOCS_PAGE, VARIABLES, page, read, read_all


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("PORT", "9000", 9000),
        ("PORT", " 9000\n", 9000),
        ("EASEL_RATE_USER", "0", 0),
        ("EASEL_BIND", "0.0.0.0", "0.0.0.0"),
        ("EASEL_ADMIN_PASSWORD", "$HOME", "$HOME"),  # no reference to another variable
        ("EASEL_ADMIN_PASSWORD", "a b#c=d", "a b#c=d"),
        ("EASEL_DATA_DIR", "/srv/easel", Path("/srv/easel")),
        ("EASEL_ALLOWED_HOSTS", "a.example, b.example,,", ["a.example", "b.example"]),
        ("EASEL_ALLOWED_HOSTS", ",", []),
        ("EASEL_LOG_LEVEL", "DEBUG", "DEBUG"),
        *(("DEBUG", raw, True) for raw in ("1", "true", "True", "YES", "on")),
        *(("DEBUG", raw, False) for raw in ("0", "false", "No", "off")),
    ],
)
def test_types(monkeypatch, name, raw, value):
    monkeypatch.setenv(name, raw)
    assert read(name) == value
    assert type(read(name)) is type(value)


@pytest.mark.parametrize(
    ("raw", "host"), [("0.0.0.0", "0.0.0.0"), ("::1", "[::1]"), ("[::1]", "[::1]"), ("easel", "easel")]
)
def test_where_to_listen(monkeypatch, raw, host):
    monkeypatch.setenv("EASEL_BIND", raw)
    assert environment.listening() == (host, 8005)


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize("raw", [None, "", " \n"])
def test_an_empty_one_counts_as_absent(monkeypatch, name, raw):
    if raw is not None:
        monkeypatch.setenv(name, raw)
    assert read(name) == VARIABLES[name].default


@pytest.mark.parametrize(
    ("name", "raw", "sentence"),
    [
        ("PORT", "http", "PORT must be a whole number from 1 to 65535, not 'http'."),
        ("PORT", "80.5", "PORT must be a whole number from 1 to 65535, not '80.5'."),
        ("PORT", "0", "PORT must be a whole number from 1 to 65535, not '0'."),
        ("PORT", "65536", "PORT must be a whole number from 1 to 65535, not '65536'."),
        ("EASEL_WORKERS", "-1", "EASEL_WORKERS must be a whole number from 1 to 500, not '-1'."),
        ("EASEL_WORKERS", "501", "EASEL_WORKERS must be a whole number from 1 to 500, not '501'."),
        ("EASEL_RATE_USER", "-1", "EASEL_RATE_USER must be a whole number from 0, not '-1'."),
        ("DEBUG", "maybe", "DEBUG must be true or false, not 'maybe'."),
        ("EASEL_LOG_LEVEL", "LOUD", "EASEL_LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not 'LOUD'."),
        ("EASEL_LOG_FORMAT", "xml", "EASEL_LOG_FORMAT must be json or console, not 'xml'."),
    ],
)
def test_a_bad_value_is_a_sentence(monkeypatch, name, raw, sentence):
    monkeypatch.setenv(name, raw)
    for reading in (lambda: read(name), read_all):
        with pytest.raises(ImproperlyConfigured) as refused:
            reading()
        assert str(refused.value) == sentence


# From files


def test_a_value_from_a_file(monkeypatch, tmp_path):
    (tmp_path / "key").write_text("$ecret\n")
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("SECRET_KEY", "not this one")
    assert read("SECRET_KEY") == "$ecret"
    (tmp_path / "key").write_text("changed")
    assert read("SECRET_KEY") == "changed"


def test_a_type_from_a_file(monkeypatch, tmp_path):
    (tmp_path / "port").write_text("9000\n")
    monkeypatch.setenv("PORT_FILE", str(tmp_path / "port"))
    assert read("PORT") == 9000


def test_an_empty_file_name_counts_as_absent(monkeypatch):
    monkeypatch.setenv("SECRET_KEY_FILE", "")
    monkeypatch.setenv("SECRET_KEY", "this one")
    assert read("SECRET_KEY") == "this one"


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file or directory"), (b"\xff\xfe\xff", "not a text")]
)
def test_a_file_that_cannot_be_read(monkeypatch, tmp_path, content, why):
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("SECRET_KEY_FILE", str(path))
    with pytest.raises(ImproperlyConfigured) as refused:
        read("SECRET_KEY")
    assert str(refused.value) == f"SECRET_KEY_FILE names {path}, which cannot be read: {why}."


def test_dotenv_gives_way_to_the_environment(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("PORT=9001\nEASEL_BIND=0.0.0.0\n")
    monkeypatch.setattr(environment, "BASE_DIR", tmp_path)
    monkeypatch.setenv("PORT", "9002")
    monkeypatch.setenv("EASEL_BIND", "")  # so that it is put back afterwards
    monkeypatch.delenv("EASEL_BIND")
    environment.load_dotenv()
    assert (read("PORT"), read("EASEL_BIND")) == (9002, "0.0.0.0")


# The page


def test_the_page_names_every_variable_and_no_machine():
    for name, variable in VARIABLES.items():
        assert page().count(f"| `{name}` |") == 1
        assert variable.help in page()
    assert str(environment.BASE_DIR) not in page()


def test_the_page_is_up_to_date():
    assert DOCS_PAGE.read_text() == page(), "run `make docs`"
