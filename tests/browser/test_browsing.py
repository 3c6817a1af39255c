"""The watch over pages notices what it is there for, and nothing leaves the machine."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.browser.browsing import watched
from tests.live import LiveEasel

FAULTS = {
    "console": "console.error('broken')",
    "exception": "setTimeout(() => { throw new Error('broken') })",
    "answer: 404": "fetch('/no/such/page')",
    "Content Security Policy": "document.body.append(Object.assign(document.createElement('script'),"
    " {textContent: '1'}))",
    "left the server": "location.href = 'http://localhost:' + location.port + '/healthz'",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_page_fails_with_what_it_complains_of(browser: Browser, easel: LiveEasel, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault), watched(browser, easel.url) as (page, _):
        page.goto("/admin/login/")
        page.evaluate(f"() => {{ {FAULTS[fault]} }}")
        page.wait_for_load_state("networkidle")
        page.goto("/admin/login/")  # by then all events have come
