import json

import pytest

from tests.config.production import SECRETS, run

BAD = {
    "no secret key": ({"SECRET_KEY": ""}, "Set SECRET_KEY"),
    "a short secret key": ({"SECRET_KEY": "x" * 49}, "SECRET_KEY is too short"),
    "no encryption key": ({"EASEL_ENCRYPTION_KEYS": ""}, "Set EASEL_ENCRYPTION_KEYS"),
    "a bad encryption key": ({"EASEL_ENCRYPTION_KEYS": "nonsense"}, "EASEL_ENCRYPTION_KEYS must hold Fernet"),
    "any host": ({"EASEL_ALLOWED_HOSTS": "*"}, "a wildcard is for DEBUG only"),
    "no URL": ({"EASEL_PUBLIC_URL": "easel.example"}, "EASEL_PUBLIC_URL must be http(s)://host"),
    "another scheme": ({"EASEL_PUBLIC_URL": "ftp://easel.example"}, "EASEL_PUBLIC_URL must be"),
    "half an address": ({"EASEL_PUBLIC_URL": "http://[::1"}, "EASEL_PUBLIC_URL must be"),
    "a password in the URL": (
        {"EASEL_PUBLIC_URL": "http://me:pass@easel.example"},
        "EASEL_PUBLIC_URL must be",
    ),
    "a query in the URL": ({"EASEL_PUBLIC_URL": "http://easel.example?a=b"}, "EASEL_PUBLIC_URL must be"),
    "a bad number": ({"EASEL_THREADS": "many"}, "EASEL_THREADS must be a whole number"),
    "a bad log level": ({"EASEL_LOG_LEVEL": "LOUD"}, "EASEL_LOG_LEVEL must be"),
    "a file that is not there": ({"SECRET_KEY_FILE": "/nowhere"}, "SECRET_KEY_FILE names /nowhere"),
    "a proxy without an address": ({"EASEL_TRUSTED_PROXIES": "nginx"}, "EASEL_TRUSTED_PROXIES must list"),
    "a name that may read metrics": (
        {"EASEL_METRICS_ALLOWED": "prometheus"},
        "EASEL_METRICS_ALLOWED must list",
    ),
    "a short token for metrics": ({"EASEL_METRICS_TOKEN": "x" * 15}, "EASEL_METRICS_TOKEN is too short"),
    "another storage": ({"EASEL_STORAGE": "ftp://host/x"}, "EASEL_STORAGE must be file:///path"),
    "a key in the storage": ({"EASEL_STORAGE": "s3://k:secret@bucket"}, "EASEL_STORAGE takes no credentials"),
    "no path for nginx": (
        {"EASEL_ACCEL_REDIRECT": "_files", "EASEL_TRUSTED_PROXIES": "127.0.0.1"},
        "EASEL_ACCEL_REDIRECT must be a path",
    ),
    "nginx that is not trusted": ({"EASEL_ACCEL_REDIRECT": "/_files/"}, "needs EASEL_TRUSTED_PROXIES"),
    "another database": ({"DATABASE_URL": "mysql://u:secret@h/n"}, "DATABASE_URL must be"),
    "a bad database port": ({"DATABASE_URL": "postgres://u:secret@h:port/n"}, "DATABASE_URL must be"),
}
STARTS = {
    "manage.py": ("manage.py", "check"),
    "gunicorn": ("-m", "gunicorn", "-c", "python:config.gunicorn", "config.wsgi", "--check-config"),
    "make run": ("-m", "config.quickstart"),
}


@pytest.mark.parametrize(
    ("start", "name"),
    [
        *(("manage.py", name) for name in BAD),
        *(("gunicorn", name) for name in ("no secret key", "a short secret key", "any host", "no URL")),
        *(("gunicorn", name) for name in ("a bad number", "a proxy without an address")),
        *(("make run", name) for name in ("any host", "a bad number")),
    ],
)
def test_what_is_wrong_stops_the_start_with_one_sentence(tmp_path, start, name):
    variables, sentence = BAD[name]
    start = STARTS[start]
    ended = run(tmp_path, *start, **SECRETS | variables)
    assert ended.returncode != 0
    assert ended.stderr.startswith("Easel cannot start: ") and sentence in ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr and "secret@" not in ended.stderr


@pytest.mark.parametrize("start", ["manage.py", "gunicorn"])
def test_what_is_right_starts(tmp_path, start):
    (tmp_path / "static").mkdir()
    ended = run(tmp_path, *STARTS[start], **SECRETS)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_debug_needs_no_secret_key(tmp_path):
    assert run(tmp_path, "manage.py", "check", **SECRETS | {"SECRET_KEY": "", "DEBUG": "1"}).returncode == 0


SHOWN = """
import json, django
from django.conf import settings
print(json.dumps({name: getattr(settings, name) for name in dir(settings) if isinstance(
    getattr(settings, name), (str, int, bool, list, tuple, type(None)))} | {
    "DATABASE": {name: str(value) for name, value in settings.DATABASES["default"].items()},
    "CACHE": settings.CACHES["default"]["BACKEND"]}, default=str))
"""


def settings_with(tmp_path, **variables):
    ended = run(tmp_path, "-c", SHOWN, DJANGO_SETTINGS_MODULE="config.settings", **SECRETS | variables)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_plain_http_on_this_machine(tmp_path):
    found = settings_with(tmp_path, PORT="8123")
    assert found["EASEL_PUBLIC_URL"] == "http://127.0.0.1:8123"
    assert set(found["ALLOWED_HOSTS"]) == {"127.0.0.1", "localhost", "[::1]"}
    assert found["CSRF_TRUSTED_ORIGINS"] == ["http://127.0.0.1:8123"]
    assert not found["SESSION_COOKIE_SECURE"] and not found["CSRF_COOKIE_SECURE"]
    assert found["SECURE_HSTS_SECONDS"] == 0
    assert found["DEBUG"] is False
    assert found["SESSION_COOKIE_NAME"] == "connect.sid"
    assert found["DATABASE"]["NAME"] == str(tmp_path / "easel.sqlite3")


def test_https_in_the_public_url_makes_cookies_secure(tmp_path):
    found = settings_with(tmp_path, EASEL_PUBLIC_URL="https://easel.example/")
    assert found["EASEL_PUBLIC_URL"] == "https://easel.example"
    assert set(found["ALLOWED_HOSTS"]) == {"easel.example", "127.0.0.1", "localhost", "[::1]"}
    assert found["CSRF_TRUSTED_ORIGINS"] == ["https://easel.example"]
    assert found["SESSION_COOKIE_SECURE"] and found["CSRF_COOKIE_SECURE"]
    assert found["SECURE_HSTS_SECONDS"] >= 31_536_000


@pytest.mark.parametrize(
    ("url", "host", "origin"),
    [
        ("http://[::1]:8005", "[::1]", "http://[::1]:8005"),
        ("https://easel.example:8443", "easel.example", "https://easel.example:8443"),
        ("https://easel.example/pictures", "easel.example", "https://easel.example"),
    ],
)
def test_hosts_and_origins_follow_from_the_public_url(tmp_path, url, host, origin):
    found = settings_with(tmp_path, EASEL_PUBLIC_URL=url, EASEL_ALLOWED_HOSTS="other.example")
    assert {host, "other.example"} <= set(found["ALLOWED_HOSTS"])
    assert found["CSRF_TRUSTED_ORIGINS"] == [origin]


def test_a_folder_with_any_name(tmp_path):
    folder = tmp_path / "a b#c?d%20é"
    assert settings_with(folder)["DATABASE"]["NAME"] == str(folder / "easel.sqlite3")


def test_postgres_has_a_pool_and_keeps_no_connection(tmp_path):
    url = "postgres://u:secret@db.example:5433/easel"
    found = settings_with(tmp_path, DATABASE_URL=url, EASEL_DATABASE_POOL="7")["DATABASE"]
    assert (found["ENGINE"], found["HOST"], found["PORT"]) == (
        *("imagegen.postgresql", "db.example", "5433"),
    )
    assert found["CONN_MAX_AGE"] == "0"
    assert "'max_size': 7" in found["OPTIONS"]


def test_redis_for_the_cache(tmp_path):
    found = settings_with(tmp_path, EASEL_REDIS_URL="redis://cache.example:6379/0")
    assert found["CACHE"] == "imagegen.redis_server.Cache"


@pytest.mark.parametrize("url", ["https://easel.example", "https://easel.example:8443"])
def test_the_deployment_check_has_nothing_to_say(tmp_path, url):
    ended = run(
        tmp_path, "manage.py", "check", "--deploy", "--fail-level", "WARNING", **SECRETS, EASEL_PUBLIC_URL=url
    )
    assert (ended.returncode, ended.stderr) == (0, "")
