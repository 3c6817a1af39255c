"""The storage against the rows: what has lost its other half is given back, removed or reported."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.utils import timezone

from imagegen import storage as storing
from imagegen.lifecycle import inventory
from imagegen.models import Generation, ImageFile
from tests.fakes.server import picture
from tests.imagegen.lifecycle.making import generation, stored, write
from tests.stored import stored_names

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _old(settings: Any, tmp_path: Path, storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is older than the longest deadline."""
    settings.EASEL_INCOMING_DIR = tmp_path / "incoming"
    monkeypatch.setattr(inventory, "longest_deadline", lambda: timedelta(seconds=-5))


@pytest.fixture
def reconcile(django_capture_on_commit_callbacks: Any) -> Callable[..., str]:
    def run(*options: str) -> str:
        out = StringIO()
        with django_capture_on_commit_callbacks(execute=True):
            call_command("reconcile_files", *options, stdout=out)
        return out.getvalue()

    return run


@pytest.fixture
def crashed(member: User) -> Generation:
    return generation(
        member, status="failed", error_code="interrupted", pictures_asked=2, may_have_charged=True
    )


def put(name: str, data: bytes = b"x") -> str:
    return default_storage.save(name, ContentFile(data))


class TestBytesWithoutARow:
    def test_are_given_back(self, crashed: Generation, member: User, reconcile: Any) -> None:
        names = [str(write(crashed, k).file) for k in (0, 1)]
        assert "files adopted: 2" in reconcile("--dry-run")
        assert not ImageFile.objects.exists()
        assert "files adopted: 2" in reconcile()
        files = list(ImageFile.objects.order_by("position"))
        assert [file.file.name for file in files] == names
        for file in files:
            assert (file.owner, file.generation, file.chat_id) == (member, crashed, "chat")
            assert (file.width, file.height, file.content_type) == (64, 64, "image/png")
            data = file.file.read()
            assert (file.size, file.sha256) == (len(data), write(crashed).sha256)
        crashed.refresh_from_db()
        assert (crashed.status, crashed.may_have_charged) == ("succeeded", False)
        assert crashed.path[0]["recovered"] == [0] and crashed.path[1]["recovered"] == [1]

    def test_a_portrait_gets_its_end(self, crashed: Generation, reconcile: Any) -> None:
        Generation.objects.update(operation="portrait", pictures_asked=1)
        write(crashed)
        reconcile()
        file = ImageFile.objects.get()
        assert file.temp_name and file.expires_at and file.expires_at > timezone.now()

    def test_of_two_for_one_place_one_stays(self, crashed: Generation, reconcile: Any) -> None:
        write(crashed), write(crashed)
        said = reconcile()
        assert "files adopted: 1" in said and "files removed, their picture has or had a row: 1" in said
        assert stored_names() == [ImageFile.objects.get().file.name]

    def test_of_a_deleted_picture_go(self, member: User, reconcile: Any) -> None:
        file = stored(member)
        ImageFile.objects.all().delete()
        reconcile()
        assert stored_names() == [] and not ImageFile.objects.exists()
        assert file.generation is not None

    def test_of_a_position_that_has_a_row_go(self, member: User, reconcile: Any) -> None:
        file = stored(member)
        assert file.generation is not None
        write(file.generation)
        reconcile()
        assert stored_names() == [file.file.name]

    def test_a_damaged_one_is_kept(self, crashed: Generation, reconcile: Any) -> None:
        name = put(f"pictures/2026/01/31/{crashed.pk}-0-{'ab' * 8}.png", picture(64, 64)[:100])
        assert f"file without a row, kept: {name} (The picture is damaged.)" in reconcile()
        assert "files discarded" in reconcile("--discard")
        assert stored_names() == []

    def test_an_unknown_generation_is_kept(self, reconcile: Any) -> None:
        name = put(f"pictures/2026/01/31/{uuid.uuid4()}-0-{'ab' * 8}.png")
        assert f"{name} (its generation is unknown)" in reconcile()
        assert stored_names() == [name]
        reconcile("--discard")
        assert stored_names() == []

    def test_thumbnails_uploads_and_halves_go(self, member: User, reconcile: Any) -> None:
        file = stored(member)
        storing.store_thumbnail(file, b"kept")
        file.refresh_from_db()
        put(f"{file.file.name[:-4]}.thumbnail.{'cd' * 8}.webp")
        put(f"pictures/2026/01/31/upload-{uuid.uuid4()}-{'ab' * 8}.png")
        put("partial/0123456789abcdef")
        said = reconcile()
        for what in ("thumbnails without a row", "uploads without a row", "halves of files"):
            assert f"{what} removed: 1" in said
        assert stored_names() == sorted([file.file.name, file.thumbnail.name])

    def test_what_is_not_ours_is_kept(self, reconcile: Any) -> None:
        name = put("pictures/2026/01/31/holiday.png")
        assert f"file not ours, kept: {name}" in reconcile("--discard", "--remove-rows")
        assert stored_names() == [name]

    @pytest.mark.parametrize("what", ["file", "deadline"])
    def test_what_is_young_is_left_alone(
        self, crashed: Generation, reconcile: Any, what: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if what == "file":
            monkeypatch.setattr(inventory, "longest_deadline", lambda: timedelta(minutes=3))
        else:
            Generation.objects.update(deadline_at=timezone.now() + timedelta(minutes=1))
        names = [str(write(crashed).file)]
        if what == "file":
            names += [put(f"pictures/2026/01/31/{uuid.uuid4()}-0-{'ab' * 8}.png"), put("partial/0123")]
        assert f"files too young: {len(names)}" in reconcile("--discard")
        assert stored_names() == sorted(names) and not ImageFile.objects.exists()


class TestRowsWithoutBytes:
    def test_are_reported_and_removed_when_told(self, member: User, reconcile: Any) -> None:
        kept, lost = stored(member), stored(member)
        default_storage.delete(str(lost.file))
        assert f"rows without bytes: {lost.file.name}" in reconcile()
        assert ImageFile.objects.count() == 2
        assert "rows without bytes removed: 1" in reconcile("--remove-rows", "--dry-run")
        assert ImageFile.objects.count() == 2
        assert "rows without bytes removed: 1" in reconcile("--remove-rows")
        assert ImageFile.objects.get() == kept

    def test_a_whole_day_is_gone(self, member: User, reconcile: Any) -> None:
        stored(member)
        lost = stored(member)
        ImageFile.objects.filter(pk=lost.pk).update(file="pictures/2020/01/01/x.png")
        default_storage.delete(str(lost.file))
        assert "rows without bytes: pictures/2020/01/01/x.png" in reconcile()

    def test_an_empty_storage_removes_no_row(self, member: User, reconcile: Any) -> None:
        file = stored(member)
        default_storage.delete(str(file.file))
        with pytest.raises(CommandError, match="check EASEL_STORAGE"):
            reconcile("--remove-rows")
        assert ImageFile.objects.exists()

    def test_a_missing_thumbnail_is_forgotten(self, member: User, reconcile: Any) -> None:
        file = stored(member)
        made = storing.store_thumbnail(file, b"x")
        assert made is not None
        default_storage.delete(str(made))
        assert "missing thumbnails forgotten: 1" in reconcile()
        file.refresh_from_db()
        assert not file.thumbnail


def test_a_day_costs_one_query_for_its_rows(
    member: User, reconcile: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        stored(member)
    with django_assert_max_num_queries(8):
        assert reconcile() == "Nothing to do.\n"
