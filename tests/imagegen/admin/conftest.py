"""Staff of several kinds, and an engine to reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from imagegen.models import EngineConnection
from tests.fakes.comfyui import ComfyUI

BACKEND = "django.contrib.auth.backends.ModelBackend"
KEY = "sk-very-secret-0123456789"


@pytest.fixture
def admin_pages(client: Client, superuser: User) -> Client:
    client.force_login(superuser, backend=BACKEND)
    return client


@pytest.fixture
def staff(outsider: User) -> Callable[..., Client]:
    """A client of somebody on the staff with these permissions alone; it proves its origin as browsers do."""

    def make(*codenames: str, **options: Any) -> Client:
        User.objects.filter(pk=outsider.pk).update(is_staff=True)
        outsider.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client = Client(**options)
        client.force_login(User.objects.get(pk=outsider.pk), backend=BACKEND)
        return client

    return make


@pytest.fixture
def comfyui() -> Iterator[ComfyUI]:
    with ComfyUI() as server:
        yield server


@pytest.fixture
def studio(select: Callable[..., EngineConnection], comfyui: ComfyUI) -> EngineConnection:
    """A connection to it, with a key; selected for nothing."""
    return select("studio", "comfyui", key=KEY, base_url=comfyui.url, default_model="sd15-random.safetensors")


def form_of(response: Any) -> dict[str, Any]:
    """What a browser would send back."""
    form = response.context["adminform"].form
    data = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in data.items() if value is not None and value is not False}
