"""The admin: keys go in and never come out."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from imagegen.models import EngineConnection
from tests.imagegen.admin.conftest import KEY, form_of


def test_a_key_is_stored_encrypted_and_never_shown(admin_pages: Client) -> None:
    add = "/admin/imagegen/engineconnection/add/"
    data = form_of(admin_pages.get(add)) | {"name": "up", "engine": "openai", "new_key": KEY}
    assert admin_pages.post(add, data).status_code == 302
    connection = EngineConnection.objects.get(name="up")
    assert connection.key == KEY and KEY not in connection.encrypted_key
    change = f"/admin/imagegen/engineconnection/{connection.pk}/change/"
    page = admin_pages.get(change)
    assert KEY not in page.content.decode() and connection.encrypted_key not in page.content.decode()
    assert "6789" in page.content.decode()
    assert admin_pages.post(change, form_of(page) | {"deadline": 90}).status_code == 302
    connection.refresh_from_db()
    assert (connection.key, connection.deadline) == (KEY, 90)
    history = "".join(str(vars(entry)) for entry in LogEntry.objects.all())
    assert KEY not in history and KEY not in admin_pages.get(change + "../history/").content.decode()


@pytest.mark.parametrize(
    "page",
    [
        "",
        "auth/user/",
        "auth/group/add/",
        "imagegen/engineconnection/",
        "imagegen/imagesettings/1/change/",
    ],
)
def test_pages_open_for_admins_alone(admin_pages: Client, client_for: Any, outsider: User, page: str) -> None:
    assert admin_pages.get(f"/admin/{page}").status_code == 200
    staff = client_for(None)
    User.objects.filter(pk=outsider.pk).update(is_staff=True)
    staff.force_login(outsider, backend="django.contrib.auth.backends.ModelBackend")
    assert staff.get(f"/admin/{page}").status_code == (200 if not page else 403)
    assert client_for(None).get(f"/admin/{page}").status_code == 302


def test_tokens_are_not_listed(admin_pages: Client) -> None:
    assert admin_pages.get("/admin/token_blacklist/outstandingtoken/").status_code == 404


def test_eval_is_allowed_here_alone(admin_pages: Client) -> None:
    assert "unsafe-eval" in admin_pages.get("/admin/").headers["Content-Security-Policy"]
    for path in ("/api/docs", "/healthz", "/nothing"):
        assert "unsafe-eval" not in admin_pages.get(path).headers.get("Content-Security-Policy", "")


def test_the_settings_page_is_the_one_row(admin_pages: Client) -> None:
    assert admin_pages.get("/admin/imagegen/imagesettings/").headers["Location"].endswith("/1/change/")
    assert admin_pages.get("/admin/imagegen/imagesettings/add/").status_code == 403


def test_the_first_page_has_what_its_reader_may_open(admin_pages: Client, staff: Any) -> None:
    sections = dict(admin_pages.get("/admin/").context["sections"])
    assert list(sections) == ["Overview", "Settings", "Pictures", "People"]
    for entries in sections.values():
        for _, link, _ in entries:
            assert admin_pages.get(str(link), follow=True).status_code == 200
    ops = dict(staff("view_usage", "view_group").get("/admin/").context["sections"])
    assert {name: [entry[0] for entry in entries] for name, entries in ops.items()} == {
        "Overview": ["Dashboard"],
        "Pictures": ["Generations", "Files"],
        "People": ["Groups"],
    }


@pytest.mark.parametrize("page", ["99", "-1", "x"])
def test_a_page_of_found_things_that_is_not_there(admin_pages: Client, page: str) -> None:
    assert admin_pages.get(f"/admin/search/?s=user&page={page}").status_code == 404
    assert "user" in admin_pages.get("/admin/search/?s=user").text
