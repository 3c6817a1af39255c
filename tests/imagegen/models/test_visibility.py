"""Whose rows somebody may see: what belongs to nobody any more is no anonymous visitor's."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import Http404

from imagegen.models import Generation, ImageFile
from tests.imagegen.admin.gallery.conftest import asked, row_of


@pytest.mark.django_db
def test_what_a_deleted_person_left_is_not_for_everybody() -> None:
    asked(None)
    left, nobody = row_of(None, 1), AnonymousUser()
    assert not ImageFile.objects.visible_to(nobody) and not ImageFile.objects.owned_by(nobody)
    assert not Generation.objects.visible_to(nobody)
    with pytest.raises(Http404):
        ImageFile.objects.find_visible(nobody, pk=left.pk)
