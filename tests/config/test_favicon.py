from __future__ import annotations

from django.test import Client


def test_a_browser_finds_an_icon(client: Client) -> None:
    response = client.get("/favicon.ico")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "image/svg+xml"
    assert set(response.headers["Cache-Control"].split(", ")) == {"max-age=86400", "public"}
    assert client.post("/favicon.ico").status_code in (403, 405)
