"""/metrics: who may read it, and that nobody outside can make it grow."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import OperationalError
from django.http import HttpResponseBase
from django.test import Client
from django.utils import timezone
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values

from config import gauges, metrics, metrics_files
from config.urls import urlpatterns
from imagegen import metrics as counted
from imagegen.models import EngineConnection, Generation
from imagegen.overdue import close_overdue
from tests.scraping import Scrape

pytestmark = pytest.mark.django_db

TOKEN = "a-token-that-nobody-guesses"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
INSIDE, OUTSIDE = "10.1.2.3", "203.0.113.9"


@pytest.fixture
def token(settings: Any) -> None:
    settings.EASEL_METRICS_TOKEN = TOKEN


@pytest.fixture
def allowed(settings: Any) -> None:
    settings.EASEL_METRICS_ALLOWED = ["10.0.0.0/8", "::1/128"]


def scrape(**asked: Any) -> Scrape:
    response = Client().get("/metrics", **({"headers": BEARER} | asked))
    assert response.status_code == 200
    return Scrape(response.content.decode())


class TestOff:
    @pytest.mark.parametrize("method", ["get", "head", "post", "delete", "options"])
    def test_there_is_no_such_page(self, method: str) -> None:
        for headers in ({}, BEARER, {"Authorization": "Bearer "}, {"Authorization": "Bearer"}):
            response = getattr(Client(), method)("/metrics", headers=headers)
            assert response.status_code == 404
            assert b"easel_" not in response.content

    def test_and_requests_are_not_counted(self) -> None:
        before = counted.requests("/healthz", "GET", "2xx")._value.get()
        Client().get("/healthz")
        assert counted.requests("/healthz", "GET", "2xx")._value.get() == before


@pytest.mark.usefixtures("token")
class TestToken:
    def test_is_asked_for(self) -> None:
        response = Client().get("/metrics")
        assert response.status_code == 401 and not response.content
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="easel metrics"'

    @pytest.mark.parametrize(
        "sent",
        [
            "",
            "Bearer",
            "Bearer ",
            f"Bearer {TOKEN}x",
            f"Bearer {TOKEN[:-1]}",
            f"Bearer {TOKEN.upper()}",
            f"Bearer  {TOKEN}",
            f"Basic {TOKEN}",
            TOKEN,
            "Bearer tök\udcffen",
        ],
    )
    def test_nothing_else_will_do(self, sent: str) -> None:
        for address in (INSIDE, "127.0.0.1", OUTSIDE):
            response = Client().get("/metrics", headers={"Authorization": sent}, REMOTE_ADDR=address)
            assert response.status_code == 401

    def test_neither_in_the_url_nor_as_a_person(self, client_for: Any, superuser: Any) -> None:
        assert Client().get("/metrics", {"token": TOKEN, "access_token": TOKEN}).status_code == 401
        assert client_for(superuser).get("/metrics").status_code == 401

    def test_opens_it_to_readers_alone(self) -> None:
        for address in (INSIDE, OUTSIDE):
            response = Client().get("/metrics", headers=BEARER, REMOTE_ADDR=address)
            assert response.status_code == 200
            assert response.headers["Content-Type"].startswith("text/plain; version=")
            assert response.headers["Cache-Control"] == "no-store"
        head = Client().head("/metrics", headers=BEARER)
        assert head.status_code == 200
        for method in ("post", "put", "patch", "delete", "options"):
            refused = getattr(Client(enforce_csrf_checks=False), method)("/metrics", headers=BEARER)
            assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")

    def test_a_foreign_origin_gets_no_leave_to_read(self) -> None:
        response = Client().get("/metrics", headers={**BEARER, "Origin": "https://evil.example"})
        assert not [name for name in response.headers if name.startswith("Access-Control")]


@pytest.mark.usefixtures("allowed")
class TestAllowed:
    def test_by_the_peers_address(self) -> None:
        foreign = dict.fromkeys((OUTSIDE, "127.0.0.1", "::2", ""), 404)
        for address, status in {INSIDE: 200, "::1": 200, **foreign}.items():
            assert Client().get("/metrics", REMOTE_ADDR=address).status_code == status, address
        assert Client().post("/metrics", REMOTE_ADDR=OUTSIDE).status_code == 404
        assert Client().post("/metrics", REMOTE_ADDR=INSIDE).status_code == 405
        strict = Client(enforce_csrf_checks=True)
        assert strict.post("/metrics", REMOTE_ADDR=INSIDE).status_code == 405

    def test_what_a_stranger_says_of_himself_counts_for_nothing(self) -> None:
        headers = {"X-Forwarded-For": INSIDE, "X-Real-IP": INSIDE, "Forwarded": f"for={INSIDE}"}
        assert Client().get("/metrics", headers=headers, REMOTE_ADDR=OUTSIDE).status_code == 404

    def test_behind_a_trusted_proxy_the_client_counts(self, settings: Any) -> None:
        settings.EASEL_TRUSTED_PROXIES = ["10.0.0.1"]
        for forwarded, status in {
            INSIDE: 200, OUTSIDE: 404, f"{INSIDE}, {OUTSIDE}": 404, f"{OUTSIDE}, {INSIDE}": 200
        }.items():  # fmt: skip
            response = Client().get(
                "/metrics", headers={"X-Forwarded-For": forwarded}, REMOTE_ADDR="10.0.0.1"
            )
            assert response.status_code == status, forwarded

    def test_or_a_token(self, settings: Any) -> None:
        settings.EASEL_METRICS_TOKEN = TOKEN
        assert Client().get("/metrics", REMOTE_ADDR=INSIDE).status_code == 200
        assert Client().get("/metrics", REMOTE_ADDR=OUTSIDE).status_code == 401
        assert Client().get("/metrics", REMOTE_ADDR=OUTSIDE, headers=BEARER).status_code == 200


@pytest.mark.usefixtures("token")
class TestRequests:
    def test_are_counted_by_route_method_and_status(self, api: Client) -> None:
        def find(path: str, **labels: str) -> Callable[[], float]:
            return lambda: scrape()("easel_http_requests_total", route=path, **labels)

        for route, ask, method, status in (
            ("/healthz", lambda: Client().get("/healthz"), "GET", "2xx"),
            ("/healthz", lambda: Client().post("/healthz"), "POST", "4xx"),
            ("/api/images/models", lambda: api.get("/api/images/models"), "GET", "2xx"),
            ("/api/images/models", lambda: Client().get("/api/images/models"), "GET", "4xx"),
            ("admin", lambda: Client().get("/admin/imagegen/generation/17/change/"), "GET", "3xx"),
            ("unmatched", lambda: Client().get("/nowhere/17"), "GET", "4xx"),
            ("static", lambda: Client().get("/static/17.css"), "GET", "4xx"),
        ):
            count = find(route, method=method, status=status)
            before = count()
            ask()
            assert count() == before + 1, (route, method, status)

    def test_take_time_and_are_in_flight_meanwhile(self) -> None:
        before = scrape()
        Client().get("/healthz")
        after = scrape()
        name = "easel_http_request_duration_seconds"
        assert after(f"{name}_count", route="/healthz") == before(f"{name}_count", route="/healthz") + 1
        assert 0 < after(f"{name}_sum", route="/healthz") - before(f"{name}_sum", route="/healthz") < 60
        assert after("easel_http_requests_in_flight") == 1, "the scrape itself"

    def test_a_crash_ends_one(self, settings: Any) -> None:
        settings.ROOT_URLCONF = "tests.config.urls"
        before = scrape()
        Client(raise_request_exception=False).get("/api/images/test/crash")
        after = scrape()
        name = "easel_http_requests_total"
        assert after(name, status="5xx") == before(name, status="5xx") + 1
        assert after("easel_http_requests_in_flight") == 1

    def test_hostile_ones_make_nothing_grow(self, api: Client) -> None:
        """Once everything has been seen once, more of the same kind adds no line."""

        def attack(k: int) -> None:
            client = Client(raise_request_exception=False)
            client.generic(f"HACK{k}", "/healthz")
            client.get(f"/{k}/metrics\nx")
            client.get(f"/api/v1/files/{k}")
            client.get(f"/api/v1/files/00000000-0000-0000-0000-{k:012d}/content")
            client.get(f"/api/mind/storage/temp/{k}.png")
            client.get(f"/admin/imagegen/generation/{k}/change/")
            client.get("/healthz", headers={"X-Forwarded-For": f"1.2.3.{k}", "User-Agent": f"agent {k}"})
            body = {"prompt": f"prompt {k}", "model": f"model-{k}", "size": f"{k}x{k}"}
            api.post("/api/images/generations", body, content_type="application/json")

        attack(1)
        once = set(_lines(scrape()))
        for k in range(2, 12):
            attack(k)
        grown = set(_lines(scrape())) - once
        assert not grown, grown

    def test_every_route_has_a_name_of_its_own(self) -> None:
        for pattern in urlpatterns:
            assert not str(pattern.pattern).startswith(("unmatched", "static", "other"))


def _lines(found: Scrape) -> list[str]:
    """Names with labels, without those of buckets, which are many for each."""
    return [
        f"{sample.name}{sorted(sample.labels.items())}"
        for family in found.families.values()
        for sample in family.samples
    ]


class TestChildren:
    def test_past_the_most_they_share_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(counted, "MOST_CHILDREN", 3)
        registry = CollectorRegistry()
        children = counted.Children(Counter("things", "Things.", ["name", "kind"], registry=registry))
        for k in range(10):
            for _ in range(2):
                children(f"name {k}", "kind").inc()
        found = {
            sample.labels["name"]: sample.value for sample in Scrape(_text(registry)).samples("things_total")
        }
        assert found == {"name 0": 2, "name 1": 2, "name 2": 2, "other": 14}


def _text(registry: Any) -> str:
    return generate_latest(registry).decode()


@pytest.mark.usefixtures("token")
class TestLookedUp:
    def test_answers_in_incoming(self, settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.EASEL_INCOMING_DIR = tmp_path / "incoming"
        assert (scrape()("easel_incoming_files"), scrape()("easel_incoming_oldest_age_seconds")) == (0, 0)
        settings.EASEL_INCOMING_DIR.mkdir()
        for k in range(4):
            (settings.EASEL_INCOMING_DIR / f"{k}.answer").touch()
        os.utime(settings.EASEL_INCOMING_DIR / "2.answer", (1_000_000_000, 1_000_000_000))
        found = scrape()
        assert found("easel_incoming_files") == 4
        assert found("easel_incoming_oldest_age_seconds") > 500_000_000
        monkeypatch.setattr(gauges, "MOST_FILES", 3)
        assert scrape()("easel_incoming_files") == 3

    def test_room(self) -> None:
        found = scrape()
        assert 0 < found("easel_data_free_bytes") <= found("easel_data_size_bytes")
        assert found("easel_generations_waiting") == 0
        assert found("easel_generations_waiting_limit") == 1000

    @pytest.mark.django_db(transaction=True)
    def test_who_rests(self, select: Any) -> None:
        for name in ("awake", "resting", "off"):
            select(name, "dicebear", enabled=name != "off")
        EngineConnection.objects.filter(name="resting").update(
            rests_until=timezone.now() + timedelta(minutes=5)
        )
        rest = {
            sample.labels["connection"]: sample.value
            for sample in scrape().samples("easel_connection_resting", engine="dicebear")
        }
        assert rest.pop("awake") == 0 and rest.pop("resting") == 1 and "off" not in rest

    @pytest.mark.django_db(transaction=True)
    def test_what_is_overdue(self, member: Any) -> None:
        before = scrape()
        for minutes in (-1, -2, 3):
            Generation.objects.create(user=member, deadline_at=timezone.now() + timedelta(minutes=minutes))
        assert scrape()("easel_generations_overdue") == 2
        close_overdue()
        after = scrape()
        assert after("easel_generations_overdue") == 0
        name = "easel_generations_closed_overdue_total"
        assert after(name) == before(name) + 2

    def test_a_database_that_is_away_costs_its_own_numbers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse() -> Any:
            raise OperationalError("no route to host db.example")

        assert scrape()("easel_database_up") == 1
        monkeypatch.setattr(gauges, "_read", refuse)
        found = scrape()
        assert found("easel_database_up") == 0 and "easel_generations_overdue" not in found.families
        assert found("easel_data_free_bytes") > 0

    def test_one_that_hangs_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        free = threading.Event()
        monkeypatch.setattr(gauges, "PATIENCE", 0.05)
        monkeypatch.setattr(gauges, "_read", free.wait)
        monkeypatch.setattr(gauges.connection, "vendor", "somewhere else", raising=False)
        try:
            assert scrape()("easel_database_up") == 0
            assert scrape()("easel_database_up") == 0, "while the first look is still out"
        finally:
            free.set()
        assert gauges._one_at_a_time.acquire(timeout=20)
        gauges._one_at_a_time.release()

    def test_a_look_that_could_not_begin_leaves_room_for_the_next(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(gauges, "_read", lambda: gauges._Rows(0, []))
        monkeypatch.setattr(gauges.connection, "vendor", "somewhere else", raising=False)
        with monkeypatch.context() as crowded, pytest.raises(RuntimeError):
            crowded.setattr(threading.Thread, "start", Mock(side_effect=RuntimeError("no more threads")))
            scrape()
        assert scrape()("easel_database_up") == 1


def test_the_middleware_passes_the_answer_on(settings: Any, rf: Any) -> None:
    settings.EASEL_METRICS_TOKEN = TOKEN
    answer = HttpResponseBase()
    assert metrics.MetricsMiddleware(lambda request: answer)(rf.get("/static/x")) is answer


class TestFiles:
    """Where several processes count."""

    @pytest.fixture(autouse=True)
    def own(self, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        settings.EASEL_METRICS_DIR = tmp_path / "metrics"
        settings.EASEL_METRICS_TOKEN = TOKEN
        monkeypatch.setattr(values, "ValueClass", values.ValueClass)
        yield
        os.environ.pop(metrics_files.FOLDER, None)

    def test_have_their_room_on_disk_before_anything_is_counted(self, settings: Any) -> None:
        """Else a full disk would kill the worker that counts."""
        metrics_files.lay_out()
        metrics_files.join(0)
        before = {path.name: path.stat().st_size for path in settings.EASEL_METRICS_DIR.iterdir()}
        registry = CollectorRegistry()
        Counter("things", "Things.", registry=registry).inc()
        Gauge("levels", "Levels.", registry=registry, multiprocess_mode="livesum").inc()
        Histogram("times", "Times.", registry=registry).observe(1)
        for path in settings.EASEL_METRICS_DIR.iterdir():
            assert path.stat().st_blocks * 512 >= path.stat().st_size == before[path.name] > 1_000_000
        assert scrape()("things_total") == 1
        metrics_files.leave(0)
        assert "levels" not in scrape().families and scrape()("things_total") == 1

    def test_a_full_disk_leaves_a_worker_to_count_for_itself(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        metrics_files.lay_out()
        monkeypatch.setattr(os, "posix_fallocate", full)
        metrics_files.join(0)
        assert metrics_files.FOLDER not in os.environ and values.ValueClass is values.MutexValue
        assert not list(settings.EASEL_METRICS_DIR.iterdir())
        assert scrape()("easel_http_requests_in_flight") == 1
        monkeypatch.setattr(Path, "mkdir", full)
        metrics_files.lay_out()
        assert metrics_files.FOLDER not in os.environ

    def test_a_folder_that_is_gone_is_no_fault(self, settings: Any) -> None:
        metrics_files.lay_out()
        metrics_files.join(0)
        shutil.rmtree(settings.EASEL_METRICS_DIR)
        metrics_files.leave(0)
        assert scrape()("easel_http_requests_in_flight") == 1

    def test_are_not_there_where_nobody_may_read(self, settings: Any) -> None:
        metrics_files.lay_out()
        settings.EASEL_METRICS_TOKEN = ""
        metrics_files.lay_out()
        metrics_files.join(0)
        metrics_files.leave(0)
        assert not settings.EASEL_METRICS_DIR.exists() and values.ValueClass is values.MutexValue
