"""What every engine owes, asked over HTTP: pictures as asked for, and faults as the few errors there are.

Each runs against its fake through the whole of Easel. See cases.py for what a new engine must bring.
"""

from __future__ import annotations

import base64
import re
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from django.test import Client
from PIL import Image

from imagegen.engines import ENGINES
from imagegen.models import EngineConnection, Generation, ImageFile
from tests.fakes import server as faults
from tests.fakes.server import FakeServer, Response, Wire, picture
from tests.imagegen.engines.cases import CASES, Case
from tests.live import free_port

pytestmark = pytest.mark.usefixtures("answers_land")

BUILT_IN = {"dicebear"}  # has no server: tests/imagegen/engines/dicebear
DEADLINE = 3
LONG_BASE64 = re.compile(rb'"(?:data:image/[a-z]+;base64,)?[A-Za-z0-9+/]{60,}={0,2}"')


def test_every_engine_is_held_to_it() -> None:
    assert set(CASES) | BUILT_IN == set(ENGINES)


@pytest.fixture(params=[name for name in ENGINES if name not in BUILT_IN])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def case(name: str) -> Case:
    return CASES[name]


@pytest.fixture
def server(case: Case) -> Iterator[FakeServer]:
    with case.server() as server:
        yield server


@pytest.fixture
def connection(name: str, case: Case, server: FakeServer, select: Any) -> EngineConnection:
    made: EngineConnection = select(
        "up", name, "generate", "edit", "portrait",
        base_url=server.url, key=case.key, default_model=case.model, deadline=DEADLINE, **case.connection,
    )  # fmt: skip
    return made


def ask(api: Client, **body: Any) -> Any:
    return api.post(
        "/api/images/generations", {"prompt": "a red cat", **body}, content_type="application/json"
    )


def edit(api: Client, **body: Any) -> Any:
    source = f"data:image/png;base64,{base64.b64encode(picture(256, 192)).decode()}"
    return api.post(
        "/api/images/edit",
        {"prompt": "a blue cat", "image": source, **body},
        content_type="application/json",
    )


class TestPictures:
    @pytest.mark.parametrize("n", [1, 2])
    @pytest.mark.parametrize("size", ["512x512", "600x400", "", "auto"])
    @pytest.mark.parametrize("operation", [ask, edit])
    def test_as_many_as_asked_for_in_the_asked_size(
        self, api: Client, case: Case, connection: EngineConnection, operation: Any, size: str, n: int
    ) -> None:
        if operation is edit and not case.edits:
            pytest.skip("it does not edit")
        response = operation(api, size=size, n=n)
        capabilities = connection.to_engine().capabilities(case.model)
        if size == "auto" and not capabilities.auto_size:
            assert response.status_code == 400 and list(response.json()["errors"]) == ["size"]
            return
        assert response.status_code == 200, response.content
        assert len(response.json()) == n and "X-Images-Failed" not in response.headers
        for entry in response.json():
            data = b"".join(api.get(entry["url"]).streaming_content)
            image = Image.open(BytesIO(data))
            image.load()
            assert f"image/{(image.format or '').lower()}" == entry["content_type"]
            assert image.size == (entry["width"], entry["height"])
            if size not in ("", "auto"):
                assert size == f"{image.width}x{image.height}"
        assert Generation.objects.get().status == "succeeded"

    def test_a_portrait(self, api: Client, connection: EngineConnection) -> None:
        response = api.post(
            "/api/mind/profile/generatePortrait", {"prompt": "a cat"}, content_type="application/json"
        )
        assert response.status_code == 200, response.content
        image = Image.open(BytesIO(base64.b64decode(response.json()["portrait"]["imageBase64"])))
        assert (image.format, image.size, image.mode) == ("PNG", (512, 512), "RGB")

    def test_a_seed_counts_up_where_one_is_taken(self, api: Client, connection: EngineConnection) -> None:
        assert ask(api, n=2, seed=40).status_code == 200
        taken = connection.to_engine().capabilities(connection.default_model).seed
        seeds = [file.meta.get("seed") for file in ImageFile.objects.order_by("position")]
        assert seeds == ([40, 41] if taken else [None, None])


def not_a_picture(wire: Wire, response: Response) -> None:
    wire.send(_with_pictures(response, b"<html>" + b"no picture " * 50 + b"</html>"))


def bomb(wire: Wire, response: Response) -> None:
    """A few kilobytes that would be 200 megapixels."""
    header = struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(10_000))), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    wire.send(_with_pictures(response, b"\x89PNG\r\n\x1a\n" + b"".join(parts)))


def _with_pictures(response: Response, data: bytes) -> Response:
    """The same answer with other bytes where its pictures were."""
    if "json" not in response.headers.get("content-type", ""):
        return replace(response, body=data)
    return replace(response, body=LONG_BASE64.sub(b'"%b"' % base64.b64encode(data), response.body))


FAULTS: dict[str, tuple[Any, set[str]]] = {
    "wrong key": (faults.status(401), {"engine_misconfigured"}),
    "forbidden": (faults.status(403), {"engine_misconfigured"}),
    "rate limit": (faults.rate_limited(), {"engine_rate_limited"}),
    "rate limit with a time": (faults.rate_limited(retry_after="7"), {"engine_rate_limited"}),
    "500": (faults.error_500, {"engine_unavailable"}),
    "500 as HTML": (faults.error_html, {"engine_unavailable"}),
    "503": (faults.status(503), {"engine_unavailable"}),
    "slow headers": (faults.slow_headers, {"engine_timeout"}),
    "slow body": (faults.slow_body, {"engine_timeout"}),
    "silence": (faults.silent, {"engine_timeout"}),
    "cut before the headers": (faults.cut_before_headers, {"engine_unavailable"}),
    "cut in the headers": (faults.cut_in_headers, {"engine_unavailable"}),
    "cut in the body": (faults.cut_in_body, {"engine_unavailable"}),
    "cut in a chunk": (faults.cut_in_chunks, {"engine_unavailable"}),
    "not HTTP": (faults.not_http, {"engine_unavailable"}),
    "broken JSON": (faults.broken_json, {"bad_engine_response"}),
    "JSON of another shape": (faults.wrong_shape, {"bad_engine_response"}),
    "too large": (faults.too_large, {"bad_engine_response"}),
    "a gzip bomb": (faults.gzip_bomb, {"bad_engine_response"}),
    "a redirect to a private address": (
        faults.redirect("http://169.254.169.254/latest/meta-data"),
        {"engine_misconfigured", "bad_engine_response"},
    ),
}
PICTURE_FAULTS: dict[str, tuple[Any, set[str]]] = {
    "not a picture": (not_a_picture, {"bad_engine_response"}),
    "200 megapixels": (bomb, {"bad_engine_response"}),
    "cut in the picture": (faults.cut_in_body, {"engine_unavailable"}),
}


class TestFaults:
    @pytest.fixture(autouse=True)
    def small_answers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        to_config = EngineConnection.to_config
        monkeypatch.setattr(
            EngineConnection, "to_config", lambda self: replace(to_config(self), max_answer_bytes=20_000_000)
        )

    def check(self, api: Client, case: Case, codes: set[str], caplog: Any, settings: Any, **body: Any) -> Any:
        started = time.monotonic()
        with caplog.at_level("DEBUG"):
            response = ask(api, **body)
        assert time.monotonic() - started < DEADLINE + 10
        assert response.status_code == 400, response.content
        assert response.json()["code"] in codes, Generation.objects.get().error_detail
        assert not ImageFile.objects.exists()
        row = Generation.objects.get()
        assert (row.status, row.error_code) == ("failed", response.json()["code"])
        assert row.finished_at is not None
        told = response.content.decode() + str(dict(response.headers))
        assert "127.0.0.1" not in told and "169.254" not in told and "10.1.2.3" not in told
        secret = case.key.rpartition(":")[2]
        for text in (told, caplog.text, row.error_detail):
            assert secret not in text
        assert list(settings.EASEL_INCOMING_DIR.glob(f"{row.pk}*")) == []
        return response

    @pytest.mark.parametrize("fault", FAULTS)
    def test_of_the_server(
        self, api: Client, case: Case, server: Any, connection: Any, fault: str, caplog: Any, settings: Any
    ) -> None:
        server.fault, codes = FAULTS[fault]
        response = self.check(api, case, codes, caplog, settings)
        assert response.headers.get("Retry-After") == ("7" if fault == "rate limit with a time" else None)

    @pytest.mark.parametrize("fault", PICTURE_FAULTS)
    def test_of_the_pictures(
        self, api: Client, case: Case, server: Any, connection: Any, fault: str, caplog: Any, settings: Any
    ) -> None:
        case.pictures(server)
        server.fault, codes = PICTURE_FAULTS[fault]
        self.check(api, case, codes, caplog, settings)

    def test_a_key_the_server_does_not_know(
        self, api: Client, case: Case, connection: EngineConnection, caplog: Any, settings: Any
    ) -> None:
        connection.key = "wrong:wrong-key-0123456789" if ":" in case.key else "wrong-key-0123456789"
        connection.save()
        self.check(api, case, {"engine_misconfigured"}, caplog, settings)

    def test_nobody_listens(
        self, api: Client, case: Case, connection: EngineConnection, caplog: Any, settings: Any
    ) -> None:
        connection.base_url = f"http://127.0.0.1:{free_port()}"
        connection.save()
        self.check(api, case, {"engine_unavailable"}, caplog, settings)
        assert not Generation.objects.get().may_have_charged

    @pytest.mark.parametrize(
        "model", ["../../admin/delete?x=", "a/../../b", "x?y=z", "x#y", "%2e%2e/x", "a b", "é", "\n"]
    )
    def test_a_model_name_cannot_change_the_path(
        self, api: Client, server: Any, connection: EngineConnection, model: str
    ) -> None:
        """Not by a request, and not even if staff were to enter it."""
        ask(api, model=model)
        connection.listed_models = [model]
        connection.save()
        ask(api, model=model)
        for request in server.requests:
            assert not re.search(r"admin|delete|\.\.|%2e|\?x=|y=z", request.path, re.IGNORECASE), request.path

    def test_an_edit_with_too_many_sources_is_refused_before_any_call(
        self, api: Client, server: Any, connection: EngineConnection
    ) -> None:
        most = connection.to_engine().capabilities(connection.default_model).edit_sources
        if most >= 16:
            return
        source = f"data:image/png;base64,{base64.b64encode(picture(64, 64)).decode()}"
        response = edit(api, image=[source] * (most + 1))
        assert (response.status_code, response.json()["code"]) == (400, "unsupported")
        assert not any(request.method == "POST" for request in server.requests)


def test_each_says_what_it_found(connection: EngineConnection, case: Case) -> None:
    found = connection.to_engine().check()
    assert found and case.key not in found


def test_each_lists_its_models(api: Client, connection: EngineConnection) -> None:
    listed = api.get("/api/images/models").json()
    assert any(model["connection"] == "up" for model in listed)
