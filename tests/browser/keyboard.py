"""Hands on a keyboard: what cannot be reached by it does not exist for many people."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

MOST = 150
"""Stops before a page is taken to have no way there."""


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until `target` has the focus."""
    for _ in range(MOST):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{target} cannot be reached by Tab")


def fill(page: Page, label: str, text: str) -> None:
    """Go to the field of this label and write over what it has."""
    tab_to(page, page.get_by_label(label, exact=True).filter(visible=True))
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)


def press(page: Page, button: str, key: str = "Enter") -> None:
    tab_to(page, page.get_by_role("button", name=button, exact=True))
    page.keyboard.press(key)


def choose(page: Page, field: Locator, text: str) -> None:
    """Type the beginning of an option of a select."""
    tab_to(page, field)
    page.keyboard.type(text)
