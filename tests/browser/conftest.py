"""A running Easel, a ComfyUI that it can reach, and a browser before both."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import keyboard
from tests.browser.browsing import Complaints, chromium, find_chromium, watched
from tests.fakes.comfyui import ComfyUI
from tests.live import PASSWORD, LiveEasel


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium(find_chromium()) as started:
        yield started


@pytest.fixture(scope="module")
def easel(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveEasel]:
    """Production as `make run` starts it. The browser comes first: without one, nothing is started."""
    with LiveEasel(tmp_path_factory.mktemp("easel")) as running:
        yield running


@pytest.fixture(scope="module")
def comfyui() -> Iterator[ComfyUI]:
    with ComfyUI() as server:
        yield server


@pytest.fixture
def complaints_and_page(browser: Browser, easel: LiveEasel) -> Iterator[tuple[Page, Complaints]]:
    with watched(browser, easel.url) as opened:
        yield opened


@pytest.fixture
def page(complaints_and_page: tuple[Page, Complaints]) -> Page:
    """A page that fails its test with whatever it complains of."""
    return complaints_and_page[0]


@pytest.fixture
def complaints(complaints_and_page: tuple[Page, Complaints]) -> Complaints:
    """Of `page`; what a test provokes goes into `expected`."""
    return complaints_and_page[1]


@pytest.fixture
def dark(browser: Browser, easel: LiveEasel) -> Iterator[Page]:
    """A page of somebody whose system is dark, logged in."""
    with watched(browser, easel.url, dark=True) as (opened, _):
        log_in(opened)
        yield opened


@pytest.fixture
def admin(page: Page) -> Page:
    """The page, with a superuser logged in."""
    log_in(page)
    return page


def log_in(page: Page, username: str = "admin", password: str = PASSWORD) -> None:
    """By keyboard alone."""
    page.goto("/admin/")
    keyboard.fill(page, "Username*", username)
    keyboard.fill(page, "Password*", password)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"://[^/]+/admin/$"))
