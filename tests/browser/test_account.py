"""The pages under /account, in a browser and by keyboard."""

from __future__ import annotations

import re

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.browser import keyboard
from tests.browser.browsing import watched
from tests.browser.test_looks import CONTRAST, READABLE
from tests.live import PASSWORD, LiveEasel

TEXTS = "h1, h2, p, a, code, label, button, summary, th, td, span, .help, .note, .wrong, input, select"


def log_in(page: Page) -> None:
    page.goto("/account/keys")
    keyboard.fill(page, "Username", "admin")
    keyboard.fill(page, "Password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/account/keys")


def make(page: Page, name: str) -> str:
    keyboard.fill(page, "Name", name)
    keyboard.press(page, "Make key")
    return page.locator("#new-key").inner_text()


def status(easel: LiveEasel, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    return requests.get(f"{easel.url}/api/auth/session", headers=headers, timeout=30).status_code


def test_a_key_from_login_to_revocation(page: Page, easel: LiveEasel) -> None:
    log_in(page)
    key = make(page, "laptop")
    assert re.fullmatch(r"easel_[\w-]{43}", key) and key not in page.url and status(easel, key) == 200
    expect(page.locator("#made")).to_be_focused()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    keyboard.press(page, "Copy")
    expect(page.locator("#copied")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == key
    page.goto("/account/password")
    page.go_back()
    assert key not in page.content()
    page.wait_for_url("**/account/keys")
    page.reload()
    assert key not in page.content() and key[:12] in page.content()
    keyboard.tab_to(page, page.locator("summary"))
    page.keyboard.press("Enter")
    keyboard.press(page, "Revoke laptop for good")
    expect(page.get_by_role("status")).to_contain_text("“laptop” was revoked")
    assert status(easel, key) == 401
    keyboard.press(page, "Log out")
    page.wait_for_url("**/account/login")


def unreadable(page: Page) -> list[str]:
    return [
        f"{contrast:.1f}: {text.inner_text()[:60]}"
        for text in page.locator(TEXTS).all()
        if text.is_visible() and (contrast := text.evaluate(CONTRAST)) < READABLE
    ]


@pytest.mark.parametrize("dark", [False, True])
def test_all_is_readable(browser: Browser, easel: LiveEasel, dark: bool) -> None:
    with watched(browser, easel.url, dark=dark) as (page, complaints):
        complaints.expected += ["400"]
        page.goto("/account/login")
        keyboard.fill(page, "Username", "admin")
        keyboard.fill(page, "Password", "wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        faint = unreadable(page)
        log_in(page)
        make(page, f"shade {dark}")
        page.locator("summary").first.click()
        faint += unreadable(page)
        page.goto("/account/password")
        assert not faint + unreadable(page)


def test_nothing_is_wider_than_a_telephone(page: Page) -> None:
    log_in(page)
    make(page, "x" * 100)
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
