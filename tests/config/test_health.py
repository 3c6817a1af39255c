import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.files.storage import default_storage
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from config import health


@pytest.fixture(autouse=True)
def asked_anew():
    health._migrated.cache_clear()
    yield
    health._migrated.cache_clear()


def test_healthz_needs_no_database(client):
    for method in (client.get, client.head):
        assert method("/healthz").status_code == 200
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.post("/healthz").status_code == 405


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_post_without_a_token_is_told_that_there_is_none(path):
    assert Client(enforce_csrf_checks=True).post(path).status_code == 405


@pytest.mark.django_db
def test_all_is_well(client):
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (
        200,
        {"status": "ok", "database": "ok", "storage": "ok", "migrations": "ok"},
    )
    assert client.head("/readyz").status_code == 200


@pytest.mark.django_db
def test_migrations_that_are_not_applied(client):
    MigrationRecorder(connection).migration_qs.filter(app="imagegen").delete()
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["migrations"] == "not applied: run manage.py migrate"
    assert response.json()["status"] == "unavailable"


@pytest.mark.django_db
def test_they_are_asked_for_again_until_they_are_applied(client):
    recorder = MigrationRecorder(connection)
    rows = list(recorder.migration_qs.filter(app="imagegen").values_list("name", flat=True))
    recorder.migration_qs.filter(app="imagegen").delete()
    assert client.get("/readyz").status_code == 503
    for name in rows:
        recorder.record_applied("imagegen", name)
    assert client.get("/readyz").status_code == 200


@pytest.mark.django_db
def test_a_folder_that_cannot_be_written(client, monkeypatch):
    """Root may write everywhere, so the answer of the system is pretended."""
    folder, may = Path(default_storage.location), os.access

    def access(path, mode):
        return False if mode == os.W_OK and Path(path) in (folder, *folder.parents) else may(path, mode)

    monkeypatch.setattr(os, "access", access)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["storage"]) == (503, "not writable")
    assert str(folder) not in response.content.decode()


def test_a_database_that_is_away(client, monkeypatch):
    def refuse(*args, **kwargs):
        raise OperationalError('connection to server at "db.example", port 5432 failed: password wrong')

    asked = "probe" if connection.vendor == "postgresql" else "cursor"
    monkeypatch.setattr(connection, asked, refuse)
    response = client.get("/readyz")
    found = response.json()
    assert (response.status_code, found["database"]) == (503, "unavailable")
    assert "db.example" not in response.content.decode()
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("answers", [True, False])
def test_however_many_ask_one_probe_at_a_time_goes_past_the_pool(client, monkeypatch, answers):
    """Each is a connection that no pool bounds, and anybody may ask."""
    asking, another, most = [], threading.Event(), 0

    def probe():
        nonlocal most
        asking.append(None)
        most = max(most, len(asking))
        if most > 1:
            another.set()
        another.wait(0.5)
        asking.pop()
        if not answers:
            raise OperationalError("away")

    monkeypatch.setattr(health, "connection", SimpleNamespace(probe=probe))
    monkeypatch.setattr(health, "CHECKS", {"database": health._database})
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: client.get("/readyz").json()["database"], range(8)))
    assert most == 1
    assert told == ["ok" if answers else "unavailable"] * 8
