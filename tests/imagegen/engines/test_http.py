import gzip
import logging
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from imagegen.engines import addresses, connections, wire
from imagegen.engines.base import EngineConfig
from imagegen.engines.errors import (
    BadEngineResponse,
    EngineError,
    EngineMisconfigured,
    EngineTimeout,
    EngineUnavailable,
    RateLimited,
)
from imagegen.engines.http import Body, Client, fetch
from tests.fakes import server as faults
from tests.fakes.server import Echo, Response

KEY = "sk-verysecret-0123456789"
LIMIT = 3_000_000


@pytest.fixture
def server():
    with Echo() as running:
        yield running


def client_of(server, **config):
    return Client(
        EngineConfig("ours", server.url, key=KEY, max_answer_bytes=LIMIT, **config),
        credentials={"Authorization": f"Bearer {KEY}"},
    )


def download(server, folder, seconds=5.0):
    return client_of(server).download(
        "POST",
        "/v1/x",
        folder / "call.answer",
        body=Body.json({"a": 1}),
        deadline_at=time.monotonic() + seconds,
    )


class TestExchanges:
    def test_what_is_sent(self, server):
        client_of(server).exchange("POST", "/v1/x?y=z", body=Body.json({"ä": [1]}))
        (request,) = server.requests
        assert (request.method, request.path, request.query) == ("POST", "/v1/x", {"y": ["z"]})
        assert request.json == {"ä": [1]}
        assert request.headers == {
            "host": urlsplit(server.url).netloc,
            "user-agent": "Easel",
            "accept": "application/json",
            "accept-encoding": "identity",
            "authorization": f"Bearer {KEY}",
            "connection": "close",
            "content-type": "application/json",
            "content-length": "10",
        }

    def test_forms(self, server):
        body = Body.form([("prompt", "ä"), ("image[]", ("a.png", b"\x89PNG", "image/png")), ("n", "1")])
        client_of(server).exchange("POST", "/edits", body=body)
        (request,) = server.requests
        boundary = request.headers["content-type"].partition("boundary=")[2].encode()
        parts = request.body.split(b"--" + boundary)
        assert b'name="prompt"\r\n\r\n\xc3\xa4' in parts[1]
        assert b'name="image[]"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG' in parts[2]

    def test_an_answer_lands_in_its_file_whole(self, server, tmp_path):
        reply = download(server, tmp_path)
        assert reply.status == 200
        assert reply.headers["Content-Type"] == "application/json"
        assert len((tmp_path / "call.answer").read_bytes()) > 1_000_000
        assert [path.name for path in tmp_path.iterdir()] == ["call.answer"]

    def test_a_small_answer_in_memory(self, server):
        assert client_of(server).exchange("GET", "/models").json()["path"] == "/models"
        with pytest.raises(BadEngineResponse, match="usable"):
            client_of(server).exchange("GET", "/models", limit=1000)

    def test_the_environment_decides_nothing(self, server, monkeypatch, tmp_path):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        Client(EngineConfig("ours", server.url)).exchange("GET", "/models")
        assert "authorization" not in server.requests[0].headers

    def test_each_request_has_its_own_connection(self, server):
        seen = []
        accept = server._server.get_request
        server._server.get_request = lambda: seen.append(1) or accept()
        for _ in range(3):
            client_of(server).exchange("GET", "/models")
        assert len(seen) == 3

    def test_a_compressed_answer_is_read_all_the_same(self, server, tmp_path):
        server.fault = faults.status(200, gzip.compress(b'{"a": 1}'), content_encoding="gzip")
        assert client_of(server).exchange("GET", "/").json() == {"a": 1}

    @pytest.mark.parametrize("key", ["sk-1\n", "sk-1\r\nX-Evil: 1", "sk-\u2019", "\x00"])
    def test_a_key_that_no_header_can_hold(self, server, key):
        client = Client(EngineConfig("ours", server.url, key=key), credentials={"Authorization": key})
        with pytest.raises(EngineMisconfigured) as caught:
            client.exchange("GET", "/")
        assert "sk-" not in caught.value.detail
        assert not server.requests

    @pytest.mark.parametrize(
        "url", ["", "litellm:4000", "ftp://litellm", "http://user:pass@litellm", "http://0x7f.1"]
    )
    def test_a_base_url_that_is_none(self, url):
        with pytest.raises(EngineMisconfigured, match="not set up") as caught:
            Client(EngineConfig("ours", url)).exchange("GET", "/")
        assert "pass" not in caught.value.detail


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            (faults.cut_before_headers, EngineUnavailable),
            (faults.cut_in_headers, EngineUnavailable),
            (faults.cut_in_body, EngineUnavailable),
            (faults.cut_in_chunks, EngineUnavailable),
            (faults.not_http, EngineUnavailable),
            (faults.error_500, EngineUnavailable),
            (faults.error_html, EngineUnavailable),
            (faults.too_large, BadEngineResponse),
            (faults.gzip_bomb, BadEngineResponse),
            (faults.status(200, b"not gzip", content_encoding="gzip"), BadEngineResponse),
            (faults.status(200, b"x", content_length=str(LIMIT + 1)), BadEngineResponse),
            (faults.status(504), EngineTimeout),
            (faults.status(408), EngineTimeout),
        ],
    )
    def test_after_the_request_was_sent_it_may_have_cost(self, server, tmp_path, fault, error):
        server.fault = fault
        with pytest.raises(error) as caught:
            download(server, tmp_path)
        assert caught.value.may_have_charged
        assert caught.value.detail
        assert list(tmp_path.iterdir()) == []
        assert len(server.requests) == 1, "was repeated"

    @pytest.mark.parametrize("fault", [faults.slow_headers, faults.slow_body, faults.silent])
    def test_the_deadline_ends_the_call(self, server, tmp_path, fault):
        server.fault = fault
        start = time.monotonic()
        with pytest.raises(EngineTimeout) as caught:
            download(server, tmp_path, seconds=1)
        assert time.monotonic() - start < 5
        assert caught.value.may_have_charged
        assert list(tmp_path.iterdir()) == []

    def test_the_deadline_ends_a_refusal_that_drips(self, server, tmp_path):
        def drip(wire, response):
            body = b'{"error": {"message": "' + b"x" * 600
            wire.write(wire.head(Response(400, body)))
            wire.drip(body)

        server.fault = drip
        start = time.monotonic()
        with pytest.raises(EngineMisconfigured, match="not set up") as caught:
            download(server, tmp_path, seconds=1)
        assert time.monotonic() - start < 5
        assert "HTTP 400" in caught.value.detail

    def test_the_deadline_ends_sending(self, tmp_path):
        """The peer accepts the connection and reads nothing."""
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            client = Client(EngineConfig("ours", f"http://127.0.0.1:{deaf.getsockname()[1]}"))
            start = time.monotonic()
            with pytest.raises(EngineTimeout) as caught:
                client.exchange("POST", "/", body=Body(bytes(50_000_000), "image/png"), deadline_at=start + 1)
        assert time.monotonic() - start < 5
        assert caught.value.may_have_charged

    def test_an_early_refusal_is_read_although_sending_failed(self):
        answer = b"HTTP/1.1 413 Too Large\r\ncontent-length: 9\r\nconnection: close\r\n\r\ntoo large"
        with socket.create_server(("127.0.0.1", 0)) as impatient:

            def serve():
                connection, _ = impatient.accept()
                with connection:
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(10)
                    time.sleep(0.3)

            thread = threading.Thread(target=serve)
            thread.start()
            client = Client(EngineConfig("ours", f"http://127.0.0.1:{impatient.getsockname()[1]}"))
            with pytest.raises(EngineMisconfigured) as caught:
                client.exchange("POST", "/", body=Body(bytes(50_000_000), "image/png"))
            thread.join()
        assert "HTTP 413: too large" in caught.value.detail

    def test_nobody_listens(self, server, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        client = Client(EngineConfig("ours", f"http://127.0.0.1:{port}"))
        with pytest.raises(EngineUnavailable) as caught:
            client.download("POST", "/", tmp_path / "x")
        assert not caught.value.may_have_charged

    def test_no_such_host(self, monkeypatch):
        def fail(host, port):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(addresses, "lookup", fail)
        with pytest.raises(EngineUnavailable) as caught:
            Client(EngineConfig("ours", "http://nowhere.example")).exchange("GET", "/")
        assert not caught.value.may_have_charged

    def test_a_name_lookup_that_hangs(self, monkeypatch):
        monkeypatch.setattr(addresses, "lookup", lambda host, port: time.sleep(10))
        start = time.monotonic()
        with pytest.raises(EngineTimeout) as caught:
            Client(EngineConfig("ours", "http://slow.example")).exchange("GET", "/", deadline_at=start + 0.5)
        assert time.monotonic() - start < 5
        assert not caught.value.may_have_charged

    def test_the_deadline_has_passed_already(self, server):
        with pytest.raises(EngineTimeout) as caught:
            client_of(server).exchange("GET", "/", deadline_at=time.monotonic() - 1)
        assert not caught.value.may_have_charged
        assert not server.requests

    def test_the_next_address_is_tried(self, server, monkeypatch):
        port = urlsplit(server.url).port
        monkeypatch.setattr(addresses, "lookup", lambda host, _: [("::1", port, 0, 0), ("127.0.0.1", port)])
        client = Client(EngineConfig("ours", f"http://two.example:{port}"))
        assert client.exchange("GET", "/a").json()["path"] == "/a"

    def test_a_disk_that_is_full_is_not_the_engines_fault(self, server, tmp_path):
        with pytest.raises(FileNotFoundError):
            client_of(server).download("GET", "/", tmp_path / "missing" / "call.answer")

    def test_redirects_are_not_followed(self, server, tmp_path):
        with Echo() as elsewhere:
            server.fault = faults.redirect(elsewhere.url + "/?token=hunter2")
            with pytest.raises(EngineMisconfigured) as caught:
                download(server, tmp_path)
        assert not elsewhere.requests
        assert "hunter2" not in caught.value.detail

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 422])
    def test_refusals_are_for_staff_to_mend_and_cost_nothing(self, server, tmp_path, status):
        server.fault = faults.status(status, b'{"detail": "no"}')
        with pytest.raises(EngineMisconfigured) as caught:
            download(server, tmp_path)
        assert not caught.value.may_have_charged
        assert caught.value.detail == f'HTTP {status}: {{"detail": "no"}}'

    def test_a_503_means_that_nothing_was_made(self, server, tmp_path):
        server.fault = faults.status(503, b"busy", retry_after="3")
        with pytest.raises(EngineUnavailable) as caught:
            download(server, tmp_path)
        assert (caught.value.may_have_charged, caught.value.retry_after) == (False, 3)

    def test_a_rate_limit(self, server, tmp_path):
        server.fault = faults.rate_limited(retry_after="7")
        with pytest.raises(RateLimited) as caught:
            download(server, tmp_path)
        assert (caught.value.may_have_charged, caught.value.retry_after) == (False, 7)

    def test_the_engine_reads_a_refusal_first(self, server):
        seen = []

        def explain(reply, scrub):
            seen.append(reply)
            return RateLimited("Later.") if b"later" in reply.body else None

        client = Client(EngineConfig("ours", server.url), explain=explain)
        server.fault = faults.status(418, b"later" + b"x" * 200_000)
        with pytest.raises(RateLimited, match="Later"):
            client.exchange("GET", "/")
        assert len(seen[0].body) == 64 * 1024
        server.fault = faults.status(418, b"never")
        with pytest.raises(EngineMisconfigured):
            client.exchange("GET", "/")


class TestSecrets:
    ECHOED = (
        f"Incorrect API key provided: {KEY}. See https://user:hunter2@host/x?api-key=hunter2&b=c and"
        " sk-proj-abcdef123456, AIzaSyA1234567890abcdefghij; data " + "iVBORw0KGgo" * 50
    )

    def test_details_hold_no_key_and_no_picture(self, server, tmp_path):
        server.fault = faults.status(500, self.ECHOED.encode())
        with pytest.raises(EngineUnavailable) as caught:
            download(server, tmp_path)
        for secret in (KEY, "hunter2", "sk-proj", "AIza", "iVBORw0KGgo"):
            assert secret not in caught.value.detail
        assert "Incorrect API key provided" in caught.value.detail
        assert len(caught.value.detail) < 700

    @pytest.mark.parametrize(
        "fault",
        [faults.error_500, faults.cut_in_body, faults.not_http, faults.rate_limited(), faults.gzip_bomb],
    )
    def test_no_log_and_no_error_holds_the_key(self, server, tmp_path, fault, caplog):
        caplog.set_level(logging.DEBUG)
        server.fault = fault
        with pytest.raises(EngineError) as caught:
            download(server, tmp_path)
        error: BaseException | None = caught.value
        while error:
            assert KEY not in f"{error!r} {error} {vars(error)}"
            error = error.__cause__ or error.__context__
        assert KEY not in caplog.text
        assert KEY not in repr(client_of(server).config)


class TestFetching:
    @pytest.fixture
    def elsewhere(self):
        with Echo() as running:
            yield running

    def test_the_connections_own_server_may_be_anywhere(self, server, tmp_path):
        client_of(server).fetch_picture(f"{server.url}/a.png?sig=1", tmp_path / "k.picture")
        assert b'"/a.png"' in (tmp_path / "k.picture").read_bytes()

    def test_no_credentials_go_along(self, server, elsewhere, tmp_path):
        client = client_of(server, trusted_origins=(elsewhere.url,))
        client.fetch_picture(f"{elsewhere.url}/a.png", tmp_path / "0.picture")
        client.fetch_picture(f"{server.url}/a.png", tmp_path / "1.picture")
        for request in (*elsewhere.requests, *server.requests):
            assert "authorization" not in request.headers
            assert request.headers["user-agent"] == "Easel"

    def test_other_private_addresses_are_not_reached(self, server, elsewhere, tmp_path):
        with pytest.raises(BadEngineResponse) as caught:
            client_of(server).fetch_picture(f"{elsewhere.url}/a.png", tmp_path / "x")
        assert "not followed: port" in caught.value.detail
        assert caught.value.may_have_charged
        assert not elsewhere.requests
        assert list(tmp_path.iterdir()) == []

    def test_another_port_or_scheme_of_the_own_host_is_another_origin(self, server, elsewhere, tmp_path):
        port = urlsplit(elsewhere.url).port
        client = client_of(server, trusted_origins=(f"https://127.0.0.1:{port}",))
        with pytest.raises(BadEngineResponse):
            client.fetch_picture(f"{elsewhere.url}/a.png", tmp_path / "x")
        assert not elsewhere.requests

    def test_each_redirect_is_judged(self, server, elsewhere, tmp_path):
        server.fault = faults.redirect(f"{elsewhere.url}/a.png")
        with pytest.raises(BadEngineResponse) as caught:
            client_of(server).fetch_picture(f"{server.url}/a.png", tmp_path / "x")
        assert "not followed: port" in caught.value.detail
        assert not elsewhere.requests
        client = client_of(server, trusted_origins=(elsewhere.url,))
        client.fetch_picture(f"{server.url}/a.png", tmp_path / "x")
        assert len(elsewhere.requests) == 1

    @pytest.mark.parametrize(
        "to", ["file:///etc/passwd", "http://0x7f.1/", "//user@127.0.0.1/", "http://[bad/"]
    )
    def test_redirects_to_anything_else(self, server, tmp_path, to):
        server.fault = faults.redirect(to)
        with pytest.raises(BadEngineResponse, match="usable"):
            client_of(server).fetch_picture(f"{server.url}/a.png", tmp_path / "x")

    def test_redirects_end(self, server, tmp_path):
        server.fault = faults.redirect("/again.png")
        with pytest.raises(BadEngineResponse) as caught:
            client_of(server).fetch_picture(f"{server.url}/a.png", tmp_path / "x")
        assert "redirects" in caught.value.detail
        assert [request.path for request in server.requests] == ["/a.png", *["/again.png"] * 3]

    def test_the_address_that_was_judged_is_the_one_connected_to(self, elsewhere, tmp_path, monkeypatch):
        """A name that is public when judged and private when looked up again: there is no second time."""
        answers = iter([[("1.1.1.1", 80)]])
        dialled = []

        def connect(self, address):
            dialled.append(address)
            raise ConnectionRefusedError

        monkeypatch.setattr(addresses, "lookup", lambda host, port: next(answers))
        monkeypatch.setattr(connections.TimedSocket, "connect", connect)
        with pytest.raises(EngineUnavailable):
            fetch("http://rebinding.example/x", tmp_path / "x", limit=9, deadline_at=time.monotonic() + 5)
        assert dialled == [("1.1.1.1", 80)]

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            (faults.status(404), BadEngineResponse),
            (faults.status(206, b"part"), BadEngineResponse),
            (faults.status(500), BadEngineResponse),
            (faults.status(302), BadEngineResponse),
            (faults.too_large, BadEngineResponse),
            (faults.gzip_bomb, BadEngineResponse),
            (faults.cut_in_body, EngineUnavailable),
            (faults.cut_before_headers, EngineUnavailable),
        ],
    )
    def test_faults(self, server, tmp_path, fault, error):
        server.fault = fault
        with pytest.raises(error) as caught:
            client_of(server).fetch_picture(f"{server.url}/a.png?sig=hunter2", tmp_path / "x")
        assert caught.value.may_have_charged
        assert "hunter2" not in caught.value.detail
        assert list(tmp_path.iterdir()) == []

    def test_a_trusted_origin_that_is_none(self, server, tmp_path):
        with pytest.raises(EngineMisconfigured, match="not set up"):
            client_of(server, trusted_origins=("files",)).fetch_picture(f"{server.url}/a", tmp_path / "x")


def test_a_span_tells_who_and_what_and_no_secret(server, monkeypatch):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(wire, "tracer", provider.get_tracer("test"))
    client_of(server).exchange("GET", "/models?secret=hunter2")
    (span,) = exporter.get_finished_spans()
    assert dict(span.attributes) == {
        "easel.connection": "ours",
        "http.request.method": "GET",
        "http.response.status_code": 200,
    }
    assert KEY not in span.to_json()
    assert "hunter2" not in span.to_json()
