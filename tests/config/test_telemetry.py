import io
import json
import logging
import re

import pytest
import structlog
from django.test import Client
from opentelemetry import trace
from structlog.testing import capture_logs

from config import telemetry
from tests.config.production import SECRETS, run
from tests.fakes.server import Echo

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture(autouse=True)
def paths(settings):
    settings.ROOT_URLCONF = "tests.config.urls"


@pytest.fixture
def client():
    return Client(raise_request_exception=False)


def trace_of(response) -> str:
    found = response.headers["X-Trace-Id"]
    assert re.fullmatch("[0-9a-f]{32}", found) and int(found, 16)
    return found


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/healthz", {}, 200),
        ("/", {}, 302),
        ("/nothing", {}, 404),
        ("/elsewhere/test/crash", {}, 500),
        ("/api/images/test/crash", {}, 500),
        ("/api/images/models", {}, 401),
        ("/static/nothing.css", {}, 404),
        ("/admin/login/", {"host": "evil.example"}, 400),
    ],
)
def test_every_answer_has_its_trace(client, path, headers, status):
    response = client.get(path, headers=headers)
    assert response.status_code == status
    assert trace_of(response) != trace_of(client.get(path, headers=headers))


def test_a_static_file_has_one_too(settings, tmp_path):
    (tmp_path / "a.css").write_text("a {}")
    settings.STATIC_ROOT = tmp_path
    response = Client().get("/static/a.css")
    assert (response.status_code, b"".join(response)) == (200, b"a {}")
    trace_of(response)


@pytest.mark.parametrize("parent", [PARENT, PARENT[:-2] + "00", f"  {PARENT}", f"01-{PARENT[3:]}-more"])
def test_a_valid_traceparent_is_continued(client, parent):
    assert trace_of(client.get("/healthz", headers={"traceparent": parent})) == TRACE


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "nonsense",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"00-{TRACE[:-1]}-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7-01-more",
        f"00-{TRACE}-00f067aa0ba902b7",
        f"00-{TRACE[:-1]}g-00f067aa0ba902b7-01",
    ],
)
def test_an_invalid_one_is_ignored(client, parent):
    assert trace_of(client.get("/healthz", headers={"traceparent": parent})) != TRACE


ASK = """
import django
django.setup()
from django.conf import settings
from django.test import Client
settings.ALLOWED_HOSTS = ["testserver"]
print(Client().get("/healthz", headers={"traceparent": "PARENT"})["X-Trace-Id"])
"""


@pytest.mark.parametrize("endpoint", [False, True])
def test_spans_go_to_an_endpoint_and_without_one_there_is_the_id_alone(tmp_path, endpoint):
    with Echo() as collector:
        told = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url} if endpoint else {}
        ask = ASK.replace("PARENT", PARENT)
        ended = run(tmp_path, "-c", ask, DJANGO_SETTINGS_MODULE="config.settings", **SECRETS, **told)
        assert ended.stdout.strip() == TRACE, ended.stderr
        sent = [(request.path, bytes.fromhex(TRACE) in request.body) for request in collector.requests]
        assert sent == [("/v1/traces", True)] * endpoint


# Logs


@pytest.fixture
def logs():
    """Sets up logging as production does, onto a text; everything is put back afterwards."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, structlog.get_config())

    def configure(log_format="json"):
        stream = io.StringIO()
        telemetry.configure(level="INFO", log_format=log_format, endpoint="", stream=stream)
        return stream

    yield configure
    root.handlers[:], root.level = before[0], before[1]
    structlog.configure(**before[2])


def lines(stream) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_line_a_request_with_the_same_trace(client, logs):
    stream = logs()
    response = client.get("/healthz", headers={"traceparent": PARENT})
    (line,) = [line for line in lines(stream) if line["event"] == "request"]
    assert (line["method"], line["route"], line["status"], line["user"]) == ("GET", "healthz", 200, None)
    assert line["trace_id"] == trace_of(response) == TRACE
    assert line["ms"] >= 0 and line["level"] == "info" and line["timestamp"].endswith("Z")


@pytest.mark.django_db
def test_a_fault_nobody_foresaw_is_logged_with_its_traceback_and_trace(client, logs):
    stream = logs()
    response = client.get("/elsewhere/test/crash")
    (line,) = [line for line in lines(stream) if "exception" in line]
    assert "RuntimeError: the password of the database" in line["exception"]
    assert (line["level"], line["trace_id"]) == ("error", trace_of(response))


def test_what_is_expected_is_one_line(client, logs):
    stream = logs()
    client.get("/nothing")
    assert [line["event"] for line in lines(stream)] == ["request"]


NASTY = (
    'x\n{"event": "forged", "level": "info"}\r\n2026-01-01T00:00:00Z [info     ] forged \x1b[31m\u2028\x85'
)


@pytest.mark.django_db
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_nobody_can_forge_a_line(client, logs, log_format):
    stream = logs(log_format)
    client.get("/api/%0A%7B%22event%22%3A%22forged%22%7D%0Aforged")
    client.get("/healthz", headers={"user-agent": NASTY, "host": "a\nforged", "referer": NASTY})
    client.get("/admin/login/", headers={"host": "forged\n\nforged"})
    structlog.stdlib.get_logger("easel").info(NASTY, prompt=NASTY)
    logging.getLogger("somebody.else").warning("said %s", NASTY)
    written = stream.getvalue()
    assert "forged" in written
    for line in re.split("[\n\r\u2028\u2029\x85]", written.removesuffix("\n")):
        assert not line.lstrip().startswith(("forged", '{"event": "forged"'))
        if log_format == "json":
            assert json.loads(line)["event"] != "forged"
        else:
            assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z \[", line), line
            assert "\x1b" not in line


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_nor_by_the_message_of_an_exception(logs, log_format):
    stream = logs(log_format)
    try:
        raise RuntimeError(NASTY)
    except RuntimeError:
        structlog.stdlib.get_logger("easel").exception("failed", nested={"said": [NASTY]})
    first, *more = re.split("[\n\r\u2028\u2029\x85]", stream.getvalue().removesuffix("\n"))
    assert "failed" in first and "\x1b" not in stream.getvalue()
    if log_format == "json":
        assert more == []
    assert all(line.startswith("  ") for line in more)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_variables(logs, log_format):
    stream = logs(log_format)
    key = "sk-not-for-anybody-else"
    try:
        raise RuntimeError(f"{len(key)}")
    except RuntimeError:
        structlog.stdlib.get_logger("easel").exception("failed")
    assert "RuntimeError" in stream.getvalue()
    assert "not-for-anybody" not in stream.getvalue()


def test_warnings_are_log_lines(tmp_path):
    warn = "import django, warnings; django.setup(); warnings.warn('look\\nout')"
    ended = run(tmp_path, "-c", warn, DJANGO_SETTINGS_MODULE="config.settings", **SECRETS)
    (line,) = [json.loads(line) for line in ended.stderr.splitlines()]
    assert line["logger"] == "py.warnings" and "look\nout" in line["event"]


def test_outside_of_a_request_there_is_no_trace():
    assert telemetry.add_trace_id(None, "", {"event": "a"}) == {"event": "a"}
    assert not trace.get_current_span().get_span_context().is_valid


def test_the_user_is_not_looked_up_for_the_log(client, django_assert_num_queries, db):
    with django_assert_num_queries(0), capture_logs() as seen:
        client.get("/healthz", headers={"cookie": "connect.sid=x"})
    assert [line["user"] for line in seen if line["event"] == "request"] in ([], [None])
