"""A user is deleted: their pictures and words stay or go, as the setting says."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from imagegen.models import Generation, ImageFile, ImageSettings
from tests.imagegen.lifecycle.making import stored
from tests.stored import stored_names

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]


def let_go() -> None:
    current = ImageSettings.objects.current()
    current.delete_pictures_with_user = True
    current.save()


def test_kept_without_an_owner(member: User) -> None:
    file = stored(member)
    member.delete()
    file.refresh_from_db()
    assert file.owner is None and file.generation is not None
    assert file.generation.prompt == "a lake"
    assert stored_names() == [file.file.name]


def test_deleted_with_bytes_and_words(
    member: User, other: User, django_capture_on_commit_callbacks: Any
) -> None:
    let_go()
    file, others = stored(member), stored(other)
    file.thumbnail.save("t.webp", file.file)
    with django_capture_on_commit_callbacks(execute=True):
        User.objects.filter(pk=member.pk).delete()
    assert ImageFile.objects.get() == others
    assert stored_names() == [others.file.name]
    row = Generation.objects.get(user=None)
    assert (row.prompt, row.parameters, row.chat_id) == ("", {}, "")
    assert (row.status, row.engine) == ("succeeded", "openai")
    assert Generation.objects.get(user=other).prompt == "a lake"


def test_a_deletion_that_fails_has_changed_nothing(
    member: User, django_capture_on_commit_callbacks: Any
) -> None:
    let_go()
    file = stored(member)
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(RuntimeError), transaction.atomic():
        member.delete()
        raise RuntimeError
    assert stored_names() == [file.file.name]
    assert Generation.objects.get().prompt == "a lake"
    assert ImageFile.objects.get().owner is not None
