"""What reaches the server before anybody is known, and what a client may bend."""

from __future__ import annotations

import pytest
from django.test import Client


def test_a_large_form_is_refused_before_it_is_read(client: Client, db: None) -> None:
    """Anybody has the CSRF token of the login page. Ten forms of 60 MB once took 22 GB."""
    client.get("/admin/login/")
    body = "username=" + "x" * 5_000_000
    response = client.post("/admin/login/", body, content_type="application/x-www-form-urlencoded")
    assert response.status_code in (400, 413)


@pytest.mark.parametrize(
    "cursor", ["cD0wMDAwLTAwLTAwVDAw", "cj0xJnA9eA==", "bz05OTk5OTk5OTk5OTk5", "%00", "p=x"]
)
def test_a_bent_cursor_is_400(api: Client, cursor: str) -> None:
    response = api.get(f"/api/v1/files/?cursor={cursor}")
    assert response.status_code in (200, 400)
    if response.status_code == 400:
        assert response.json()["code"] == "invalid"
