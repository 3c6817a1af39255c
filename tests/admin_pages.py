"""The admin's pages over HTTP, filled in as a browser does without a script."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import requests

from tests.live import PASSWORD, LiveEasel


class AdminPages:
    """Somebody of the staff, logged in at one server."""

    def __init__(self, easel: LiveEasel, username: str = "admin") -> None:
        self.session, self.url = requests.Session(), easel.url
        self.session.headers["Origin"] = easel.url
        page = self.session.get(f"{self.url}/admin/login/", timeout=60).text
        data = Form(page, "login-form").data | {"username": username, "password": PASSWORD}
        answer = self.session.post(f"{self.url}/admin/login/", data, timeout=60)
        assert "connect.sid" in self.session.cookies, answer.text

    def change(self, path: str, **changes: Any) -> None:
        """Save the form at `path` with these changes; None leaves a field out, as an empty box does."""
        page = self.session.get(f"{self.url}{path}", timeout=60).text
        data = Form(page, "_form").data | changes
        sent = {name: value for name, value in data.items() if value is not None}
        answer = self.session.post(f"{self.url}{path}", sent, timeout=60, allow_redirects=False)
        assert answer.status_code == 302, re.findall(
            r"(?:errorlist|errornote)[^>]*>.{0,300}", answer.text, re.S
        )


class Form(HTMLParser):
    """What the form whose id ends in `id` would send; `data` has the last value of each name."""

    def __init__(self, html: str, id: str) -> None:
        super().__init__()
        self.id, self.inside, self.data = id, False, dict[str, Any]()
        self.select = self.area = ""
        self.feed(html)
        assert self.data, f"there is no form #…{id}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = {name: value or "" for name, value in attrs}
        name = about.get("name", "")
        if tag == "form":
            self.inside = about.get("id", "").endswith(self.id)
        elif not self.inside:
            return
        elif tag == "input" and about.get("type") not in ("submit", "button", "file"):
            box = about.get("type") in ("checkbox", "radio")
            if name and ("checked" in about or not box):
                self.data[name] = about.get("value", "on" if box else "")
        elif tag == "select":
            self.select = name
        elif tag == "option" and "selected" in about:
            self.data[self.select] = about.get("value", "")
        elif tag == "textarea":
            self.area, self.data[name] = name, ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False
        elif tag == "textarea":
            self.area = ""

    def handle_data(self, data: str) -> None:
        if self.area:
            self.data[self.area] += data
