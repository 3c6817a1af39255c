"""Fifty requests at once against a quota of ten, at two processes."""

from __future__ import annotations

import base64
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import psycopg
import pytest
from PIL import Image

from tests.fakes.server import FakeServer, Request, Response
from tests.live import PASSWORD, LiveEasel

SET_UP = f"""
from django.contrib.auth.models import User
from django.core.management import call_command
User.objects.create_user("ada", password={PASSWORD!r})
call_command("grant", "Image creators", "--user", "ada")
call_command("quotas", "set", "Image creators", "--pictures-per-day", "10")
call_command(
    "connections", "add", "slow", "--engine", "openai", "--base-url", "SERVER",
    "--api-key-env", "KEY", "--model", "sd", "--use-for", "generate",
)
"""
DAWDLE = """
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END';
CREATE TRIGGER dawdle BEFORE INSERT ON imagegen_generation FOR EACH ROW EXECUTE FUNCTION dawdle();
"""
"""Long enough between counting and writing for others to count too, if they may."""


class Patient(FakeServer):
    """Speaks as OpenAI does, and lets nobody go before all others have been refused."""

    def __init__(self) -> None:
        super().__init__()
        self.rest_refused = threading.Event()

    def reply(self, request: Request) -> Response:
        self.rest_refused.wait(30)
        out = BytesIO()
        Image.new("RGB", (64, 64)).save(out, "PNG")
        return Response.json({"data": [{"b64_json": base64.b64encode(out.getvalue()).decode()}]})


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_exactly_ten_of_fifty(tmp_path: Path, database: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("own_postgresql").url if database == "postgresql" else ""
    with Patient() as server, LiveEasel(tmp_path, DATABASE_URL=url) as easel:
        easel.manage("shell", "-c", SET_UP.replace("SERVER", server.url), KEY="sk-any")
        if url:
            with psycopg.connect(easel.environment["DATABASE_URL"]) as connected:
                connected.execute(DAWDLE)
        login = easel.post("/api/auth/token", {"username": "ada", "password": PASSWORD})
        easel.headers = {"Authorization": f"Bearer {login.json()['access']}"}
        statuses: Counter[int] = Counter()
        lock = threading.Lock()

        def ask(_: int) -> None:
            status = easel.post("/api/images/generations", {"prompt": "a", "size": "64x64"}).status_code
            with lock:
                statuses[status] += 1
                if statuses[429] == 40:
                    server.rest_refused.set()

        with ThreadPoolExecutor(50) as pool:
            list(pool.map(ask, range(50)))
        assert statuses == {200: 10, 429: 40}
        assert len(server.requests) == 10
        assert len(easel.get("/api/v1/files/").json()["results"]) == 10
        usage = easel.get("/api/usage").json()["pictures_per_day"]
        assert (usage["limit"], usage["used"], usage["left"]) == (10, 10, 0)
        report = easel.manage("usage", "--since", "2020-01-01", "--csv").splitlines()
        assert "ada,50,10,0,40,0.000000" in report
