from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.http import HttpResponse
from django.test import Client

from imagegen.access import tokens
from imagegen.access.models import issue_key

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def access_urls(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.imagegen.access.urls"


@pytest.fixture
def client() -> Client:
    """A client that is checked as strictly as a browser, and sees a 500 as a client does."""
    return Client(enforce_csrf_checks=True, raise_request_exception=False)


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada", password=PASSWORD)


@pytest.fixture
def painter(ada: User) -> User:
    ada.user_permissions.add(
        Permission.objects.get(codename="image_generation", content_type__app_label="features")
    )
    return ada


@pytest.fixture
def bearer(ada: User) -> dict[str, str]:
    """The header of an access token of Ada's."""
    return {"authorization": f"Bearer {tokens.issue(user=ada).access_token}"}


@pytest.fixture
def key_bearer(ada: User) -> dict[str, str]:
    """The header of an API key of Ada's."""
    return {"authorization": f"Bearer {issue_key(user=ada, name='test')[1]}"}


Send = Callable[..., HttpResponse]


@pytest.fixture
def post(client: Client) -> Send:
    """POST a value as JSON, or raw bytes as they are."""

    def send(path: str, body: Any = None, **kwargs: Any) -> HttpResponse:
        return client.post(path, body, content_type="application/json", **kwargs)

    return send
