"""move_files: everything in another storage, verified, however often it was stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command

from imagegen.lifecycle.moving import open_storage
from imagegen.models import ImageFile
from tests.conftest import use_storage
from tests.imagegen.lifecycle.lab import Break, Lab
from tests.imagegen.lifecycle.making import stored
from tests.seaweed import SeaweedFS
from tests.stored import stored_names

HOW_MANY = 500


@pytest.fixture
def here(settings: Any, tmp_path: Path) -> str:
    line = f"file://{tmp_path}/here"
    use_storage(settings, line)
    return line


@pytest.fixture(params=["folder", "s3"])
def there(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return str(request.getfixturevalue("s3"))
    return f"file://{tmp_path}/there"


@pytest.fixture
def files(here: str, member: User) -> list[ImageFile]:
    files = [stored(member) for _ in range(3)]
    files[0].thumbnail.save("t.webp", ContentFile(b"a thumbnail"))
    return files


def move(*options: str) -> str:
    out = StringIO()
    call_command("move_files", *options, stdout=out)
    return out.getvalue()


def contents(line: str) -> dict[str, bytes]:
    storage = open_storage(line)
    return {name: storage.open(name).read() for name in stored_names() if storage.exists(name)}


@pytest.mark.django_db
class TestMove:
    def test_every_file_and_thumbnail(self, files: list[ImageFile], here: str, there: str) -> None:
        assert "files copied and verified: 4" in move("--to", there)
        assert contents(there) == contents(here) and len(contents(there)) == 4
        assert move("--to", there) == "files there already, verified: 4\n"

    def test_a_last_run_brings_the_rest(
        self, files: list[ImageFile], here: str, there: str, member: User, settings: Any
    ) -> None:
        move("--to", there)
        late = stored(member)
        use_storage(settings, there)
        new = stored(member)
        said = move("--to", there, "--from", here)
        assert "copied and verified: 1" in said and "there already, verified: 5" in said
        assert {late.file.name, new.file.name} <= set(stored_names("pictures"))

    @pytest.mark.parametrize("wrong", [b"", b"half"])
    def test_what_is_wrong_there_is_replaced(
        self, files: list[ImageFile], here: str, there: str, wrong: bytes
    ) -> None:
        open_storage(there).save(str(files[0].file), ContentFile(wrong))
        open_storage(there).save(str(files[0].thumbnail), ContentFile(wrong))
        assert "files copied and verified: 4" in move("--to", there)
        assert contents(there) == contents(here)

    def test_the_source_goes_when_told(self, files: list[ImageFile], here: str, there: str) -> None:
        before = contents(here)
        assert "copied and verified: 4" in move("--to", there, "--delete-source")
        assert stored_names("pictures") == []
        storage = open_storage(there)
        assert {name: storage.open(name).read() for name in before} == before
        assert "there already, verified: 4" in move("--to", there, "--delete-source")

    def test_a_damaged_source_is_told_and_stays(self, files: list[ImageFile], here: str, there: str) -> None:
        name = str(files[1].file)
        default_storage.delete(name)
        default_storage.save(name, ContentFile(b"damaged"))
        default_storage.delete(str(files[2].file))
        with pytest.raises(CommandError, match="2 files were not copied"):
            move("--to", there, "--delete-source")
        assert not open_storage(there).exists(name)
        assert stored_names("pictures") == [name]

    def test_one_place_under_two_names(self, files: list[ImageFile], here: str, tmp_path: Path) -> None:
        (tmp_path / "alias").symlink_to(tmp_path / "here")
        for line in (here, f"file://{tmp_path}/alias"):
            with pytest.raises(CommandError, match="the same place"):
                move("--to", line, "--delete-source")
        assert len(stored_names("pictures")) == 4

    def test_a_bad_url(self, here: str) -> None:
        with pytest.raises(CommandError, match=r"--to must be file:///path"):
            move("--to", "ftp://x")
        with pytest.raises(CommandError, match=r"--from takes no credentials"):
            move("--to", here, "--from", "s3://a:b@c")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, seaweed: SeaweedFS) -> Iterator[Lab]:
    """With so many files, and leave to use the S3 server."""
    with Lab(tmp_path_factory.mktemp("move"), **seaweed.credentials) as lab:
        lab.value("prepare")
        lab.value("fill", number=HOW_MANY)
        yield lab


class TestKilled:
    """Killed in the middle, at several places, and run again: all there, verified."""

    @pytest.mark.parametrize("kind", ["folder", "s3"])
    def test_killed_half_way(self, lab: Lab, kind: str, tmp_path: Path, seaweed: SeaweedFS) -> None:
        there = f"file://{tmp_path}/there" if kind == "folder" else seaweed.new_place()
        writes = (
            "imagegen.folder_storage.FolderStorage._save"
            if kind == "folder"
            else "imagegen.s3_storage.BucketStorage._save"
        )
        breaks = [
            Break(writes, "before", 100),
            Break(writes, "after", 100),
            Break("imagegen.lifecycle.moving._sha256", "after", 700),
        ]
        options = ["--to", there]
        for at in breaks:
            outcome = lab.run("manage", at=at, command="move_files", options=options)
            assert outcome.status == "killed", outcome.value
        said = lab.value("manage", command="move_files", options=options)
        copied, already = (int(part.rpartition(": ")[2]) for part in said.strip().split("; "))
        assert copied + already == HOW_MANY and copied > 0 and already > 0
        digests = lab.value("digests", line=there)
        assert digests == lab.value("digests", line=f"file://{lab.folder}/files")
        assert len(digests) == HOW_MANY


def test_a_digest_is_of_what_is_read(tmp_path: Path) -> None:
    from imagegen.lifecycle.moving import _sha256

    storage = open_storage(f"file://{tmp_path}")
    storage.save("a", ContentFile(b"x" * 200_000))
    assert _sha256(storage, "a") == hashlib.sha256(b"x" * 200_000).hexdigest()
    assert _sha256(storage, "b") is None
