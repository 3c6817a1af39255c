"""The person behind a token, and whether they may make pictures, in one query.

It finds what Django's ModelBackend would. Where it finds nothing, the backends are asked, so another one in
AUTHENTICATION_BACKENDS may grant more; one that forbids what the rows grant is not heard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import Permission, User
from django.db.models import Exists, OuterRef

from imagegen.access.permissions import IMAGE_GENERATION
from imagegen.prepared import Prepared

if TYPE_CHECKING:
    from django.db.models import QuerySet

LARGEST_ID = 2**31 - 1


def _with_permission(pk: int) -> QuerySet[User]:
    app, _, codename = IMAGE_GENERATION.partition(".")
    granted = Permission.objects.filter(content_type__app_label=app, codename=codename)
    to_them = granted.filter(user=OuterRef("pk"))
    to_a_group = granted.filter(group__user=OuterRef("pk"))
    return User.objects.filter(pk=pk).annotate(may_generate_images=Exists(to_them) | Exists(to_a_group))


_find = Prepared(_with_permission)


class Users:
    """What simplejwt asks of a user model: `Users.objects.get(id=…)`."""

    DoesNotExist = User.DoesNotExist

    class objects:
        @staticmethod
        def get(*, id: int | str) -> User:
            """Raises User.DoesNotExist, ValueError."""
            found = _find(int(id)) if 0 < int(id) <= LARGEST_ID else []
            if not found:
                raise User.DoesNotExist
            return found[0]
