"""Without room on the disk nobody is asked, and nobody paid."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from imagegen import space
from imagegen.errors import NoSpace
from imagegen.models import Generation
from tests.conftest import use_storage
from tests.fakes.litellm import KEY, LiteLLM

MORE_THAN_ANY_DISK = 10**12
FAMILIES = {"images": "/api/images/generations", "portraits": "/api/mind/profile/generatePortrait"}


@pytest.fixture
def engine(select: Any) -> Iterator[LiteLLM]:
    with LiteLLM() as server:
        select(
            "up", "openai", "generate", "portrait", base_url=server.url, key=KEY,
            default_model="gpt-image-1",
        )  # fmt: skip
        yield server


@pytest.mark.parametrize("path", FAMILIES.values(), ids=FAMILIES)
def test_a_full_disk_refuses_before_the_engine_is_asked(
    api: Client, engine: LiteLLM, settings: Any, path: str
) -> None:
    def ask(key: str) -> Any:
        return api.post(
            path, {"prompt": "a"}, content_type="application/json", headers={"idempotency-key": key}
        )

    made = ask("before")
    assert made.status_code == 200
    settings.EASEL_MIN_FREE_MB = MORE_THAN_ANY_DISK
    refused, asked = ask("now"), len(engine.requests)
    assert refused.status_code == 503 and int(refused.headers["Retry-After"]) > 0
    body = refused.json()
    assert "no_space" in (body.get("code"), body.get("details"))
    assert ask("before").json() == made.json(), "what is there needs no room"
    assert (len(engine.requests), Generation.objects.count()) == (asked, 1)
    settings.EASEL_MIN_FREE_MB = 0
    assert ask("now").status_code == 200


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> dict[Path, int]:
    """Megabytes that are free in a folder and below."""
    free: dict[Path, int] = {}

    def statvfs(path: str) -> Any:
        os.stat(path)
        found = next(free[folder] for folder in (Path(path), *Path(path).parents) if folder in free)
        return SimpleNamespace(f_bavail=found * 256, f_frsize=4096)

    monkeypatch.setattr(os, "statvfs", statvfs)
    settings.EASEL_MIN_FREE_MB = 200
    settings.EASEL_INCOMING_DIR = tmp_path / "data" / "incoming"
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").mkdir()
    return free


def test_the_least_is_enough_and_folders_need_not_be_there_yet(
    disks: dict[Path, int], settings: Any, tmp_path: Path
) -> None:
    use_storage(settings, f"file://{tmp_path}/elsewhere/pictures")
    disks[tmp_path] = 200
    space.check()
    for scarce in ("data", "elsewhere"):
        disks[tmp_path / scarce] = 199
        with pytest.raises(NoSpace):
            space.check()
        disks[tmp_path / scarce] = 200


def test_pictures_that_lie_elsewhere_need_room_for_answers_alone(
    disks: dict[Path, int], settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    }
    disks[tmp_path / "data"] = 200
    space.check()
