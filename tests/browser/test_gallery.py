"""The gallery by keyboard alone: filter, open, follow the links, delete after being asked once more."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import keyboard
from tests.browser.test_looks import CONTRAST, READABLE
from tests.live import LiveEasel

GENERATIONS, FILES = "/admin/imagegen/generation/", "/admin/imagegen/imagefile/"
OURS = (
    ".gal-tabs a, .gal-field label, .gal-error, .gal-prompt, .gal-status, .gal-side, .gal-facts dt,"
    " .gal-facts dd, .gal-nothing, .gal-more summary, .easel-small, .easel-link, .easel-note, .easel-button,"
    " .easel-panel h2"
)


@pytest.fixture(scope="module")
def pictures(easel: LiveEasel) -> None:
    """Two requests of three pictures, and one that failed."""
    for prompt, number in (("a brass lantern", 1), ("a red fox in the snow", 2)):
        body = {"prompt": prompt, "size": "64x64", "n": number, "metadata": {"chat_id": "c"}}
        assert easel.post("/api/images/generations", body).status_code == 200
    down = ("--engine", "comfyui", "--base-url", "http://127.0.0.1:9", "--model", "any")
    easel.manage("connections", "add", "down", *down)
    assert (
        easel.post("/api/images/generations", {"prompt": "a lost owl", "model": "down/any"}).status_code
        == 400
    )


def follow(page: Page, name: str, **options: bool) -> None:
    keyboard.tab_to(page, page.get_by_role("link", name=name, **options).first)
    page.keyboard.press("Enter")


def rows(page: Page) -> list[str]:
    return page.locator(".gal-prompt").all_inner_texts()


@pytest.mark.usefixtures("pictures")
def test_find_open_and_follow_the_links(admin: Page) -> None:
    admin.goto(GENERATIONS)
    keyboard.fill(admin, "Prompt contains", "FOX")
    keyboard.press(admin, "Show")
    admin.wait_for_url("**prompt=FOX**")
    assert rows(admin) == ["a red fox in the snow"]
    follow(admin, "a red fox in the snow")
    admin.wait_for_url("**/change/")
    expect(admin.get_by_text("Succeeded")).to_be_visible()
    follow(admin, "Picture 2")
    admin.wait_for_url(f"**{FILES}*/change/")
    picture = admin.get_by_alt_text("The picture in full size")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    expect(admin.get_by_text("a red fox in the snow")).to_be_visible()
    keyboard.tab_to(admin, admin.locator(".gal-facts a[href*='/generation/'][href*='/change/']"))
    admin.keyboard.press("Enter")
    admin.wait_for_url(f"**{GENERATIONS}*/change/")
    keyboard.tab_to(admin, admin.locator(".gal-links").get_by_role("link", name="Files"))
    admin.keyboard.press("Enter")
    admin.wait_for_url(f"**{FILES}?person=admin")
    assert admin.locator(".gal-tile").count() >= 3


@pytest.mark.usefixtures("pictures")
def test_more_filters_and_what_is_wrong_with_them(admin: Page) -> None:
    admin.goto(GENERATIONS)
    keyboard.choose(admin, admin.get_by_label("Status"), "Failed")
    keyboard.tab_to(admin, admin.locator(".gal-more summary"))
    admin.keyboard.press("Enter")
    keyboard.choose(admin, admin.get_by_label("Connection"), "down")
    keyboard.fill(admin, "Trace id", "123")
    admin.keyboard.press("Enter")
    expect(admin.get_by_text("A trace id has 32 digits")).to_be_visible()
    keyboard.fill(admin, "Trace id", "")
    admin.keyboard.press("Enter")
    expect(admin.locator(".gal-prompt")).to_have_text(["a lost owl"])
    expect(admin.get_by_label("Connection")).to_have_value("down")
    follow(admin, "Show all")
    expect(admin.get_by_label("Connection")).to_have_value("")


@pytest.mark.usefixtures("pictures")
def test_delete_what_is_ticked(admin: Page, easel: LiveEasel) -> None:
    admin.goto(f"{FILES}?prompt=lantern")
    before = len(easel.get("/api/v1/files/").json()["results"])
    keyboard.tab_to(admin, admin.get_by_role("checkbox"))
    admin.keyboard.press("Space")
    keyboard.press(admin, "Delete the ticked…")
    expect(admin.get_by_text("Delete 1 picture?")).to_be_visible()
    assert len(easel.get("/api/v1/files/").json()["results"]) == before
    keyboard.press(admin, "Delete")
    expect(admin.get_by_text("1 picture deleted.")).to_be_visible()
    expect(admin.get_by_text("Nothing fits these filters.")).to_be_visible()
    assert len(easel.get("/api/v1/files/").json()["results"]) == before - 1
    admin.goto(f"{GENERATIONS}?prompt=lantern")
    follow(admin, "a brass lantern")
    expect(admin.get_by_text("1 is not there any more")).to_be_visible()


def faint(page: Page) -> list[str]:
    seen = [widget for widget in page.locator(OURS).all() if widget.is_visible()]
    contrasts = [(widget.evaluate(CONTRAST), widget.inner_text()[:60]) for widget in seen]
    return [f"{contrast:.1f}: {text}" for contrast, text in contrasts if contrast < READABLE]


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("who", ["admin", "dark"])
def test_all_is_readable_and_fits_a_phone(request: pytest.FixtureRequest, who: str) -> None:
    page: Page = request.getfixturevalue(who)
    for path in (
        GENERATIONS,
        FILES,
        f"{GENERATIONS}?person=adm&trace=1&before=x",
        f"{GENERATIONS}?status=failed",
    ):
        page.goto(path)
        assert not faint(page), path
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        page.set_viewport_size({"width": 1280, "height": 900})
    page.locator(".gal-prompt").first.click()
    page.wait_for_url(re.compile("/change/$"))
    assert not faint(page)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
