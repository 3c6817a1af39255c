"""Debian's Chromium, and pages that complain."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, Response, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Nothing but loopback can be reached, whatever a page or the browser itself asks for.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
WIDTH, HEIGHT = 1440, 1000


def find_chromium() -> str:
    """Where it is. Without one a test is skipped, but for CI, where it fails: there it is installed."""
    found = os.environ.get("EASEL_TEST_CHROMIUM") or shutil.which("chromium")
    if found:
        return found
    reason = "Chromium is not installed: apt-get install chromium"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    # Playwright's event loop stays with the thread: Django would refuse the database to every test after it.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Complaints(list[str]):
    """What a page says against itself: console errors, exceptions, requests that fail or that leave the
    server, answers of 4xx and 5xx, breaches of its Content Security Policy (these are console errors).

    `expected` are parts of complaints that a test provokes on purpose.
    """

    def __init__(self, origin: str) -> None:
        super().__init__()
        self.origin, self.expected = origin, list[str]()

    def watch(self, page: Page) -> None:
        page.on("console", lambda message: self._console(message.type, message.text))
        page.on("pageerror", lambda error: self.append(f"exception on {page.url}: {error.stack}"))
        page.on("requestfailed", self._failed)
        page.on("request", self._asked)
        page.on("response", self._answered)

    def unexpected(self) -> list[str]:
        return [one for one in self if not any(part in one for part in self.expected)]

    def _console(self, type: str, text: str) -> None:
        if type in ("error", "warning"):
            self.append(f"console: {text}")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # a navigation ends what the old page still loads
            self.append(f"failed: {request.url} {request.failure}")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if (
            parts.scheme in ("http", "https", "ws", "wss")
            and f"{parts.scheme}://{parts.netloc}" != self.origin
        ):
            self.append(f"left the server: {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.append(f"answer: {response.status} {response.url}")


@contextmanager
def watched(browser: Browser, origin: str, *, dark: bool = False) -> Iterator[tuple[Page, Complaints]]:
    """A page in a context of its own. The block fails with what the page complained of."""
    context: BrowserContext = browser.new_context(
        base_url=origin,
        viewport={"width": WIDTH, "height": HEIGHT},
        color_scheme="dark" if dark else "light",
    )
    context.set_default_timeout(30_000)
    complaints = Complaints(origin)
    context.on("page", complaints.watch)
    try:
        page = context.new_page()
        yield page, complaints
        assert not complaints.unexpected(), "\n".join(complaints.unexpected())
    finally:
        if keep := os.environ.get("EASEL_TEST_SCREENSHOTS"):
            page.screenshot(path=Path(keep) / f"{id(context)}.png")
        context.close()
