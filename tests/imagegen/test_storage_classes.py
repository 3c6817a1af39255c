"""The folder and the bucket: whole files only, none written over, nothing public."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage, default_storage, storages
from django.test import Client

from imagegen import storage as images
from imagegen import storage_url
from imagegen.folder_storage import PARTIAL, FolderStorage
from imagegen.models import Generation, ImageFile
from imagegen.pictures import prepare
from tests.conftest import use_storage
from tests.imagegen.api.test_uploads import encode, send
from tests.live import free_port
from tests.seaweed import BUCKET, SeaweedFS
from tests.stored import stored_names


class TestTheSetting:
    def test_a_folder(self) -> None:
        for line, options in {"": {}, "file:///srv/a%20b": {"location": "/srv/a b"}}.items():
            entry = storage_url.parse(line)
            assert entry["BACKEND"].endswith(".FolderStorage")
            assert entry["OPTIONS"] == {"file_permissions_mode": 0o640, **options}

    def test_a_bucket(self) -> None:
        entry = storage_url.parse("s3://my-bucket/a/b/?endpoint_url=https://s3.example:9000&region_name=eu-1")
        assert entry["BACKEND"].endswith(".BucketStorage")
        assert entry["OPTIONS"] == {
            "bucket_name": "my-bucket",
            "location": "a/b",
            "endpoint_url": "https://s3.example:9000",
            "region_name": "eu-1",
        }
        assert storage_url.parse("s3://my-bucket")["OPTIONS"] == {"bucket_name": "my-bucket", "location": ""}

    def test_another_class(self) -> None:
        assert storage_url.parse("some.package.Storage") == {"BACKEND": "some.package.Storage"}

    @pytest.mark.parametrize(
        ("line", "rule"),
        [
            ("/srv/pictures", "must be"),
            ("nonsense", "must be"),
            ("ftp://host/x", "must be"),
            ("file://srv/pictures", "three slashes"),
            ("file:///srv?x=1", "three slashes"),
            ("s3://", "s3://bucket"),
            ("s3://b", "s3://bucket"),
            ("s3://key:hunter2@bucket", "no credentials"),
            ("s3://bucket?secret_key=hunter2", "no option 'secret_key'"),
            ("s3://bucket?endpoint_url=host:9000", "endpoint_url"),
            ("s3://bucket?endpoint_url=http://key:hunter2@host", "endpoint_url"),
        ],
    )
    def test_what_it_cannot_be(self, line: str, rule: str) -> None:
        with pytest.raises(ValueError, match=re.escape(rule)) as caught:
            storage_url.parse(line)
        assert "hunter2" not in str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> FolderStorage:
    return FolderStorage(location=tmp_path, file_permissions_mode=0o640)


def names_in(folder: FolderStorage) -> list[str]:
    return sorted(str(path.relative_to(folder.location)) for path in Path(folder.location).rglob("*.*"))


class TestFolder:
    def test_a_file_has_its_name_once_it_is_whole(self, folder: FolderStorage) -> None:
        seen = []

        class Slow(ContentFile):
            def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
                yield b"half"
                seen.append((folder.exists("a/b.png"), len(os.listdir(folder.path(PARTIAL)))))
                yield b"half"

        assert folder.save("a/b.png", Slow(b"halfhalf")) == "a/b.png"
        assert seen == [(False, 1)]
        assert folder.open("a/b.png").read() == b"halfhalf"
        assert os.listdir(folder.path(PARTIAL)) == []
        assert os.stat(folder.path("a/b.png")).st_mode & 0o777 == 0o640

    def test_what_was_half_written_is_gone(self, folder: FolderStorage) -> None:
        class Full(ContentFile):
            def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
                yield b"half"
                raise OSError(errno.ENOSPC, "No space left on device")

        with pytest.raises(OSError, match="No space left"):
            folder.save("a/b.png", Full(b"halfhalf"))
        assert names_in(folder) == [] and os.listdir(folder.path(PARTIAL)) == []

    def test_the_disk_is_waited_for_once_and_with_the_name(
        self, folder: FolderStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        forced = []
        monkeypatch.setattr(os, "fsync", lambda number: forced.append(os.fstat(number).st_nlink))
        name = folder.save("a/b.png", ContentFile(b"data"))
        assert forced == [1] and folder.exists(name)

    def test_what_does_not_reach_the_disk_has_no_name(
        self, folder: FolderStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(number: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "fsync", broken)
        with pytest.raises(OSError, match="Input/output"):
            folder.save("a/b.png", ContentFile(b"data"))
        assert names_in(folder) == [] and os.listdir(folder.path(PARTIAL)) == []

    @pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system takes no advice")
    def test_a_kernel_that_cannot_forget_it_costs_no_picture(
        self, folder: FolderStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []

        def refused(number: int, *advice: int) -> None:
            asked.append((os.fstat(number).st_size, *advice))
            raise OSError(errno.EINVAL, "Invalid argument")

        monkeypatch.setattr(os, "fsync", lambda number: asked.append("on disk"))
        monkeypatch.setattr(os, "posix_fadvise", refused)
        assert folder.exists(folder.save("a/b.png", ContentFile(b"data")))
        advice = (4, 0, 0, os.POSIX_FADV_DONTNEED)
        assert asked == [advice, "on disk", advice]

    def test_nothing_is_written_over(self, folder: FolderStorage) -> None:
        names = [folder.save("a.png", ContentFile(text)) for text in (b"1", b"2")]
        assert names[0] == "a.png" != names[1]
        assert [folder.open(name).read() for name in names] == [b"1", b"2"]

    def test_not_even_by_one_of_many_at_once(self, folder: FolderStorage) -> None:
        """All find the name free before any of them writes."""
        together = threading.Barrier(8)
        names: dict[str, bytes] = {}

        class Waits(ContentFile):
            def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
                together.wait(20)
                yield self.read()

        def save(data: bytes) -> None:
            names[folder.save("a.png", Waits(data))] = data

        threads = [threading.Thread(target=save, args=(bytes([k]),)) for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(names) == 8 and {folder.open(name).read() for name in names} == set(names.values())

    def test_a_half_that_was_taken_away_is_no_picture(self, folder: FolderStorage) -> None:
        """By `reconcile_files`, where a process slept for so long that it took it for a dead one's."""

        class Late(ContentFile):
            def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
                yield self.read()
                for name in os.listdir(folder.path(PARTIAL)):
                    folder.delete(f"{PARTIAL}/{name}")

        with pytest.raises(FileNotFoundError):
            folder.save("a/b.png", Late(b"data"))
        assert names_in(folder) == []

    def test_a_name_is_no_longer_than_it_may_be(self, folder: FolderStorage) -> None:
        name = folder.save(f"a/{'b' * 90}.png", ContentFile(b"data"), max_length=50)
        assert len(name) == 50 and name.endswith(".png") and folder.open(name).read() == b"data"

    @pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "a/../../b.png"])
    def test_nothing_leaves_it(self, folder: FolderStorage, name: str) -> None:
        def save(name: str) -> None:
            folder.save(name, ContentFile(b"data"))

        for act in (folder.open, folder.delete, folder.exists, save):
            with pytest.raises(Exception, match=r"traversal|outside"):
                act(name)


class TestBucket:
    @pytest.fixture(autouse=True)
    def _at_s3(self, s3: str, settings: Any) -> None:
        use_storage(settings, s3)

    def test_there_and_back(self) -> None:
        name = default_storage.save("a/b.png", ContentFile(b"data"))
        assert name == "a/b.png" and stored_names() == ["a/b.png"]
        with default_storage.open(name) as file:
            assert file.read() == b"data"
        default_storage.delete(name)
        assert stored_names() == []
        with pytest.raises(FileNotFoundError):
            default_storage.open(name)

    def test_nothing_is_written_over(self) -> None:
        first, second = (default_storage.save("a.png", ContentFile(text)) for text in (b"1", b"2"))
        assert first != second and default_storage.open(first).read() == b"1"

    def test_objects_are_private(self, seaweed: SeaweedFS) -> None:
        name = default_storage.save("a.png", ContentFile(b"data"))
        key = f"{storages['default'].location}/{name}"
        assert requests.get(f"{seaweed.url}/{BUCKET}/{key}", timeout=10).status_code == 403

    def test_one_connection_serves_all_threads(self) -> None:
        seen = []
        threads = [threading.Thread(target=lambda: seen.append(default_storage.connection)) for _ in range(3)]
        for thread in threads:
            thread.start()
            thread.join()
        assert len(seen) == 3 and len({id(connection) for connection in seen}) == 1

    def test_a_tampered_signature_is_refused(self, seaweed: SeaweedFS) -> None:
        """By the server: what passes here passes because it is signed."""
        forged = seaweed.client(AWS_SECRET_ACCESS_KEY="another-secret")
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            forged.put_object(Bucket=BUCKET, Key="forged", Body=b"x")
        url = default_storage.presign(
            default_storage.save("a.png", ContentFile(b"data")),
            seconds=60, content_type="image/png", disposition="inline",
        )  # fmt: skip
        assert requests.get(url, timeout=10).content == b"data"
        for tampered in (url.replace("image%2Fpng", "text%2Fhtml"), url[:-4] + "0000", url.split("?")[0]):
            assert requests.get(tampered, timeout=10).status_code == 403


class TestDigest:
    """The SHA-256 of a stored picture's row."""

    def check(self) -> None:
        row = images.store(prepare(encode()), Generation(), 0)
        with default_storage.open(str(row.file)) as file:
            assert hashlib.sha256(file.read()).hexdigest() == row.sha256

    def test_is_that_of_what_is_stored(self, storage: str) -> None:
        self.check()

    def test_is_that_of_what_another_class_has_read_and_closed(self, settings: Any) -> None:
        use_storage(settings, f"{__name__}.Greedy")
        self.check()

    @pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system takes no advice")
    def test_is_computed_while_the_disk_is_at_work(
        self, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use_storage(settings, f"file://{tmp_path}")
        steps: list[str] = []

        def note(module: Any, name: str) -> None:
            original = getattr(module, name)
            monkeypatch.setattr(module, name, lambda *args: (steps.append(name), original(*args))[1])

        note(os, "posix_fadvise")
        note(hashlib, "sha256")
        note(os, "fsync")
        row = images.store(prepare(encode()), Generation(), 0)
        assert row.sha256 and steps == ["posix_fadvise", "sha256", "fsync", "posix_fadvise"]


class Greedy(InMemoryStorage):
    """As some packages do: takes all in one go, and closes what it was given."""

    def _save(self, name: str, content: Any) -> str:
        data = content.read()
        content.close()
        return super()._save(name, ContentFile(data))


class TestNotStored:
    """The engine delivered, the storage did not take it: told, written down, and kept."""

    @pytest.fixture(autouse=True)
    def _own_incoming(self, settings: Any, tmp_path: Path) -> None:
        settings.EASEL_INCOMING_DIR = tmp_path / "incoming"

    def check(self, api: Client, settings: Any, cause: str) -> None:
        body = {"prompt": "a lake", "size": "64x64"}
        response = api.post("/api/images/generations", body, content_type="application/json")
        assert response.status_code == 500 and response.json()["code"] == "not_stored"
        assert "127.0.0.1" not in response.content.decode() and str(settings.DATA_DIR) not in str(body)
        row = Generation.objects.get()
        assert (row.status, row.error_code, row.error_detail) == ("failed", "not_stored", cause)
        (kept,) = settings.EASEL_INCOMING_DIR.iterdir()
        assert kept.name.startswith(str(row.pk)) and kept.stat().st_size > 0
        assert not ImageFile.objects.exists() and api.get("/api/v1/files/").json()["results"] == []

    def test_a_full_disk(
        self, api: Client, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use_storage(settings, f"file://{tmp_path}/pictures")

        def full(self: Any, chunk_size: int | None = None) -> Iterator[bytes]:
            yield self.read(100)
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(ContentFile, "chunks", full)
        self.check(api, settings, "OSError")
        assert stored_names() == []

    def test_s3_that_is_down(self, api: Client, settings: Any, s3: str) -> None:
        use_storage(settings, f"s3://{BUCKET}?endpoint_url=http://127.0.0.1:{free_port()}&region_name=x")
        self.check(api, settings, "EndpointConnectionError")

    def test_s3_that_refuses_us(
        self, api: Client, settings: Any, s3: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
        use_storage(settings, s3)
        self.check(api, settings, "ClientError")

    def test_an_upload(self, api: Client, settings: Any, s3: str) -> None:

        use_storage(settings, f"s3://{BUCKET}?endpoint_url=http://127.0.0.1:{free_port()}&region_name=x")
        response = send(api, encode())
        assert response.status_code == 500 and response.json()["code"] == "not_stored"
        assert not ImageFile.objects.exists()
