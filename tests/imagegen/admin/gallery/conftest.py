"""Rows for the gallery, and staff who see all of them or their own alone."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from PIL import Image

from imagegen import pictures, storage
from imagegen.models import Generation, ImageFile
from tests.imagegen.rollup.making import NOW, begun

GENERATIONS, FILES = "/admin/imagegen/generation/", "/admin/imagegen/imagefile/"
SEE, DELETE, ERASE = "view_others_pictures", "delete_imagefile", "delete_generation"


def asked(
    user: User | None, prompt: str = "a very private lake", minutes: float = 0, **fields: Any
) -> Generation:
    """A generation that began so many minutes before NOW."""
    return begun(timedelta(minutes=minutes), user=user, prompt=prompt, **fields)


def made(user: User | None, minutes: float = 0, **fields: Any) -> ImageFile:
    """One with a picture in the storage."""
    generation = asked(user, minutes=minutes, **fields)
    return picture_of(generation)


def picture_of(generation: Generation, position: int = 0) -> ImageFile:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), (position, 90, 200)).save(data, "PNG")
    file = storage.store(
        pictures.prepare(data.getvalue()), generation, position, created_at=generation.created_at
    )
    file.save(force_insert=True)
    return file


def row_of(user: User | None, minutes: float, **fields: Any) -> ImageFile:
    """A picture's row, without bytes."""
    name = uuid.uuid4().hex
    return ImageFile.objects.create(
        **{
            "owner": user, "file": f"pictures/{name}.png", "name": f"{name}.png", "content_type": "image/png",
            "width": 8, "height": 8, "native_width": 8, "native_height": 8, "size": 9, "sha256": "0" * 64,
            "created_at": NOW - timedelta(minutes=minutes),
        }
        | fields
    )  # fmt: skip


Staff = Callable[..., Client]


@pytest.fixture
def viewer(staff: Staff) -> Client:
    """Sees everybody's, and may delete nothing."""
    return staff(SEE)


def shown(response: Any) -> list[Any]:
    assert response.status_code == 200, response.status_code
    return list(response.context["rows"])
