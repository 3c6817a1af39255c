"""Answers in the incoming folder: what can be read is stored, the rest is reported and kept."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone
from PIL import Image

from imagegen.incoming import CallName
from imagegen.models import EngineConnection, Generation, ImageFile, ImageSettings
from tests.fakes.server import picture
from tests.imagegen.lifecycle.making import generation

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def incoming(settings: Any, tmp_path: Path, storage: str) -> Path:
    settings.EASEL_INCOMING_DIR = tmp_path / "incoming"
    settings.EASEL_INCOMING_DIR.mkdir()
    return tmp_path / "incoming"


@pytest.fixture
def up(db: None) -> EngineConnection:
    return EngineConnection.objects.create(name="up", engine="openai", price="0.04", base_url="http://up")


@pytest.fixture
def crashed(member: User, up: EngineConnection) -> Generation:
    """Interrupted with two pictures on their way."""
    return generation(
        member, status="running", finished_at=None, connection=up, pictures_asked=2, may_have_charged=True
    )


def reconcile(*options: str) -> str:
    out = StringIO()
    call_command("reconcile_files", *options, stdout=out)
    return out.getvalue()


def encoded(*pictures: bytes) -> bytes:
    data = [{"b64_json": base64.b64encode(data).decode()} for data in pictures]
    return json.dumps({"created": 1, "data": data}).encode()


def leave(
    incoming: Path,
    of: Generation,
    body: bytes,
    *,
    by: int,
    call: int = 0,
    first: int = 0,
    end: str = ".answer",
) -> Path:
    path = incoming / f"{CallName(of.pk, call, by, first)}{end}"
    path.write_bytes(body)
    return path


def names(incoming: Path) -> list[str]:
    return sorted(path.name for path in incoming.glob("[!.]*"))


class TestCallName:
    def test_there_and_back(self) -> None:
        name = CallName(uuid.uuid4(), 3, 12, 7)
        assert CallName.parse(f"{name}.answer") == name
        assert CallName.parse(f"{name}.0.picture.part") == name

    @pytest.mark.parametrize(
        "name", ["", "x", "README.md", "f3b0c2d4-1111-4222-8333-944445555666-1-2.answer", ".reconcile.lock"]
    )
    def test_something_else(self, name: str) -> None:
        with pytest.raises(ValueError, match="is not named after a call"):
            CallName.parse(name)


class TestStories:
    def test_all_of_it(self, incoming: Path, crashed: Generation, up: EngineConnection) -> None:
        leave(incoming, crashed, encoded(picture(80, 80), picture(64, 64)), by=up.pk)
        assert "pictures recovered: 2" in reconcile()
        crashed.refresh_from_db()
        assert (crashed.status, crashed.pictures_failed, crashed.may_have_charged) == ("succeeded", 0, False)
        assert (crashed.error_code, crashed.error_message, crashed.error_detail) == ("", "", "")
        assert float(crashed.cost or 0) == 0.08
        (step,) = crashed.path
        assert step == {"connection": "up", "pictures": 2, "recovered": [0, 1], "after": "interrupted"}
        for file in ImageFile.objects.all():
            assert (file.width, file.height, file.owner, file.chat_id) == (64, 64, crashed.user, "chat")
        assert ImageFile.objects.get(position=0).native_width == 80
        assert names(incoming) == []

    def test_some_of_it(self, incoming: Path, crashed: Generation, up: EngineConnection) -> None:
        leave(incoming, crashed, encoded(picture(64, 64)), by=up.pk, call=1, first=1)
        leave(incoming, crashed, b'{"data"', by=up.pk)
        leave(incoming, crashed, b"half", by=up.pk, end=".0.picture.part")
        said = reconcile()
        assert "answer unreadable, kept" in said and "halves of answers removed: 1" in said
        crashed.refresh_from_db()
        assert (crashed.status, crashed.pictures_failed, crashed.may_have_charged) == ("partial", 1, True)
        assert ImageFile.objects.get().position == 1
        assert names(incoming) == [f"{CallName(crashed.pk, 0, up.pk, 0)}.answer"]
        assert "answer unreadable, kept: 1" in reconcile()
        reconcile("--discard")
        assert names(incoming) == []
        assert ImageFile.objects.count() == 1

    def test_another_connection_made_it(
        self, incoming: Path, crashed: Generation, up: EngineConnection
    ) -> None:
        spare = EngineConnection.objects.create(name="spare", engine="openai", default_model="dall-e-3")
        leave(incoming, crashed, encoded(picture(64, 64)), by=spare.pk, call=1)
        reconcile()
        crashed.refresh_from_db()
        assert (crashed.connection, crashed.connection_name, crashed.model) == (spare, "spare", "dall-e-3")
        assert crashed.cost is None

    def test_the_connection_is_gone(self, incoming: Path, crashed: Generation, up: EngineConnection) -> None:
        leave(incoming, crashed, encoded(picture(64, 64)), by=up.pk)
        up.delete()
        reconcile()
        crashed.refresh_from_db()
        assert (crashed.status, crashed.connection_name) == ("partial", "up")
        assert ImageFile.objects.count() == 1

    def test_the_engine_had_refused(self, incoming: Path, crashed: Generation, up: EngineConnection) -> None:
        leave(incoming, crashed, b'{"data": []}', by=up.pk)
        reconcile()
        crashed.refresh_from_db()
        assert (crashed.status, crashed.error_code) == ("failed", "prompt_rejected")
        assert crashed.path == [{"connection": "up", "pictures": 0, "error": "prompt_rejected"}]
        assert names(incoming) == []

    def test_not_a_picture(self, incoming: Path, crashed: Generation, up: EngineConnection) -> None:
        leave(incoming, crashed, encoded(b"GIF89a not"), by=up.pk)
        assert "answer unreadable, kept" in reconcile()
        crashed.refresh_from_db()
        assert (crashed.status, crashed.error_code) == ("failed", "interrupted")
        assert len(names(incoming)) == 1

    def test_not_stored_at_first(self, incoming: Path, crashed: Generation, up: EngineConnection) -> None:
        crashed.close(Generation.Status.FAILED, error_code="not_stored", error_message="Not stored.")
        leave(incoming, crashed, encoded(picture(64, 64), picture(64, 64)), by=up.pk)
        reconcile()
        crashed.refresh_from_db()
        assert (crashed.status, crashed.path[0]["after"]) == ("succeeded", "not_stored")

    def test_more_than_was_asked_for(self, incoming: Path, crashed: Generation, up: EngineConnection) -> None:
        leave(incoming, crashed, encoded(*[picture(64, 64)] * 4), by=up.pk)
        reconcile()
        assert [file.position for file in ImageFile.objects.order_by("position")] == [0, 1]


class TestAsItWouldHaveBeen:
    def test_a_portrait(self, incoming: Path, crashed: Generation, up: EngineConnection) -> None:
        fields = {"operation": "portrait", "parameters": {"size": "512x512"}, "pictures_asked": 1}
        Generation.objects.update(**fields)
        leave(incoming, crashed, encoded(picture(600, 700, "JPEG")), by=up.pk)
        reconcile()
        file = ImageFile.objects.get()
        image = Image.open(BytesIO(file.file.read()))
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (512, 512))
        assert file.name == file.temp_name and file.temp_name.startswith(f"{timezone.now():%Y-%m-%d}_")
        assert file.expires_at is not None
        assert timedelta(days=6) < file.expires_at - timezone.now() <= timedelta(days=7)

    def test_settings_for_what_is_stored(
        self, incoming: Path, crashed: Generation, up: EngineConnection
    ) -> None:
        current = ImageSettings.objects.current()
        current.keep_native = current.write_provenance = True
        current.save()
        leave(incoming, crashed, encoded(picture(80, 90)), by=up.pk)
        reconcile()
        file = ImageFile.objects.get()
        assert (file.width, file.height) == (80, 90)
        data = file.file.read()
        assert b"trainedAlgorithmicMedia" in data and str(crashed.pk).encode() in data

    def test_the_engine_chose_the_size(
        self, incoming: Path, crashed: Generation, up: EngineConnection
    ) -> None:
        Generation.objects.update(parameters={"size": "auto"})
        leave(incoming, crashed, encoded(picture(80, 90)), by=up.pk)
        reconcile()
        file = ImageFile.objects.get()
        assert (file.width, file.height) == (80, 90)


class TestLeftAlone:
    def test_while_its_deadline_lasts(
        self, incoming: Path, crashed: Generation, up: EngineConnection
    ) -> None:
        Generation.objects.update(deadline_at=timezone.now() + timedelta(minutes=1))
        leave(incoming, crashed, encoded(picture(64, 64)), by=up.pk)
        leave(incoming, crashed, b"half", by=up.pk, end=".1.picture.part")
        assert "answers too young: 1" in reconcile("--discard")
        crashed.refresh_from_db()
        assert crashed.status == "running" and len(names(incoming)) == 2

    def test_an_unknown_generation(self, incoming: Path, crashed: Generation, up: EngineConnection) -> None:
        path = leave(incoming, crashed, encoded(picture(64, 64)), by=up.pk)
        crashed.delete()
        assert "answers too young: 1" in reconcile("--discard")
        os.utime(path, (time.time() - 3600,) * 2)
        assert "its generation is unknown" in reconcile()
        assert path.exists()
        reconcile("--discard")
        assert not path.exists()

    def test_what_is_not_ours(self, incoming: Path) -> None:
        (incoming / "notes.txt").write_text("x")
        assert "incoming file not ours, kept: notes.txt" in reconcile("--discard")
        assert names(incoming) == ["notes.txt"]


@pytest.mark.parametrize("go", [True, False])
def test_a_user_who_is_gone(incoming: Path, crashed: Generation, up: EngineConnection, go: bool) -> None:
    """Their answer goes as their pictures would have gone."""
    current = ImageSettings.objects.current()
    current.delete_pictures_with_user = go
    current.save()
    leave(incoming, crashed, encoded(picture(64, 64)), by=up.pk)
    assert crashed.user is not None
    crashed.user.delete()
    reconcile()
    assert names(incoming) == []
    assert [file.owner for file in ImageFile.objects.all()] == ([] if go else [None])


def test_a_full_disk_keeps_the_answer(
    incoming: Path, crashed: Generation, up: EngineConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    leave(incoming, crashed, encoded(picture(64, 64), picture(64, 64)), by=up.pk)
    with monkeypatch.context() as patch:
        patch.setattr("django.db.models.fields.files.FieldFile.save", full)
        with pytest.raises(CommandError, match="does not take the pictures"):
            reconcile()
    assert len(names(incoming)) == 1
    reconcile()
    assert ImageFile.objects.count() == 2


def test_a_database_that_goes_away_keeps_the_answer(
    incoming: Path, crashed: Generation, up: EngineConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("gone")

    leave(incoming, crashed, encoded(picture(64, 64)), by=up.pk)
    with monkeypatch.context() as patch:
        patch.setattr("imagegen.lifecycle.stories.record_found", away)
        with pytest.raises(OperationalError):
            reconcile()
    assert len(names(incoming)) == 1
    reconcile()
    assert ImageFile.objects.count() == 1


@pytest.fixture
def locked(incoming: Path) -> Iterator[None]:
    with (incoming / ".reconcile.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.usefixtures("locked")
def test_one_run_at_a_time(incoming: Path, crashed: Generation, up: EngineConnection) -> None:
    leave(incoming, crashed, encoded(picture(64, 64)), by=up.pk)
    assert reconcile() == "Another run is at work on this machine.\n"
    assert len(names(incoming)) == 1
