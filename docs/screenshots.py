"""Takes the pictures of pages in docs/images/, of a fresh Easel with made-up data, in Chromium.

Run from the repository root: `.venv/bin/python -m docs.screenshots [NAME …]`. It fails where a page
complains: a console error, a failed request, a breach of its Content Security Policy.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.browser.browsing import chromium, find_chromium, watched
from tests.browser.conftest import log_in
from tests.fakes.comfyui import ComfyUI
from tests.live import LiveEasel

IMAGES = Path(__file__).parent / "images"
WIDTH, STAFF_WIDTH, COLOURS = 1200, 1280, 256
"""Pixels; the sidebar of the admin needs the wider one."""


@dataclass(frozen=True)
class Shot:
    """A page, what is done there first, and which rows of pixels are kept (all of them: None)."""

    path: str
    prepare: Callable[[Page], None] = lambda page: None
    rows: tuple[int, int] | None = None
    staff: bool = True
    dark_too: bool = True


def test_connection(page: Page) -> None:
    page.get_by_role("button", name="Fetch models").click()
    page.wait_for_selector("#model-choice")
    page.get_by_role("button", name="Test connection").click()
    page.wait_for_selector("#test-result .easel-note")


def try_illustrator(page: Page) -> None:
    page.get_by_label("Prompt", exact=True).fill("A cheerful woman with round glasses and a yellow beanie")
    page.get_by_role("button", name="Try it").click()
    picture = page.locator("#try-result img")
    picture.evaluate("image => image.decode()")


def read_starter(page: Page) -> None:
    page.get_by_role("button", name="Text to picture").click()
    page.wait_for_selector("#map-title")
    page.get_by_role("button", name="Check against the server").click()
    page.wait_for_selector(".easel-note")


def find_pictures(page: Page) -> None:
    page.get_by_text("More filters").click()
    page.wait_for_load_state("networkidle")


def open_second(page: Page) -> None:
    page.locator(".gal-prompt").nth(1).click()
    page.wait_for_url("**/change/")


def tick_some(page: Page) -> None:
    for number in (1, 2):
        page.get_by_role("checkbox").nth(number).check()
    page.get_by_role("button", name="Delete the ticked").click()
    page.wait_for_url("**/delete/**")


def hover_chart(page: Page) -> None:
    page.locator(".dash-column").nth(30).hover()


def settle(page: Page) -> None:
    page.wait_for_selector(".opblock-summary")


def open_operation(page: Page) -> None:
    page.wait_for_selector("#operations-images-generateImages .opblock-body .response")


def make_key(page: Page) -> None:
    """The second is the one that is shown; those of the picture before are revoked."""
    while page.locator("summary").count():
        page.locator("summary").first.click()
        page.get_by_role("button", name="for good").first.click()
    for name, lifetime in (("nightly build", "365"), ("laptop", "90")):
        page.get_by_label("Name").fill(name)
        page.get_by_label("Valid for").select_option(lifetime)
        page.get_by_role("button", name="Make key").click()
        page.wait_for_selector("#new-key")


CONNECTIONS = "/admin/imagegen/engineconnection/"
GENERATIONS, FILES = "/admin/imagegen/generation/", "/admin/imagegen/imagefile/"
PROMPTS = [
    "A cheerful woman with round glasses and a yellow beanie",
    "A watercolour portrait of a pixie at the edge of a glowing enchanted forest, in soft morning light",
    "A bearded man in a green coat, smiling",
    "An isometric harbour at dusk",
    "A girl with red curly hair and a blue hat",
    "Abstract copper waves over a quiet lake",
]
SHOTS = {
    "api-docs": Shot("/api/docs", settle, (0, 1540), staff=False, dark_too=False),
    "api-docs-generate": Shot(
        "/api/docs#/images/generateImages", open_operation, (720, 2360), staff=False, dark_too=False
    ),
    "admin-index": Shot("/admin/", rows=(0, 600)),
    "admin-settings": Shot("/admin/imagegen/imagesettings/1/change/"),
    "admin-connections": Shot(CONNECTIONS, rows=(0, 520)),
    "admin-connection": Shot(f"{CONNECTIONS}2/change/", test_connection),
    "admin-workflow": Shot(f"{CONNECTIONS}2/workflow/generate/", read_starter, (0, 1400)),
    "account-keys": Shot("/account/keys", make_key),
    "admin-dashboard": Shot("/admin/imagegen/usage/?range=7d", hover_chart),
    "admin-group": Shot("/admin/auth/group/1/change/"),
    "admin-generations": Shot(GENERATIONS, find_pictures, (0, 1170)),
    "admin-generation": Shot(GENERATIONS, open_second),
    "admin-files": Shot(FILES, rows=(0, 900)),
    "admin-delete": Shot(GENERATIONS, tick_some, rows=(0, 640)),
    "admin-try": Shot(f"{CONNECTIONS}1/change/", try_illustrator),
}
"""Name -> shot. With `dark_too`, there is a second picture whose name ends in -dark."""


def main(names: Sequence[str]) -> int:
    chosen = {name: shot for name, shot in SHOTS.items() if not names or name in names}
    with chromium(find_chromium()) as browser, easel() as server:
        for name, shot in chosen.items():
            take(browser, server, shot, IMAGES / f"{name}.png")
            if shot.dark_too:
                take(browser, server, shot, IMAGES / f"{name}-dark.png", dark=True)
    return 0


@contextmanager
def easel() -> Iterator[LiveEasel]:
    """`make run` in a folder of its own, with connections of several kinds."""
    with tempfile.TemporaryDirectory() as folder, ComfyUI() as comfyui, LiveEasel(Path(folder)) as server:
        add = ("connections", "add")
        gpu = ("--base-url", comfyui.url, "--model", "sd15-random.safetensors", "--concurrency", "1")
        server.manage(*add, "gpu-1", "--engine", "comfyui", *gpu)
        litellm = ("--base-url", "http://litellm:4000/v1", "--model", "grok-imagine-image")
        server.manage(
            *add, "litellm", "--engine", "openai", *litellm, "--api-key-env", "KEY", KEY="sk-of-nobody-0123"
        )
        server.manage(*add, "google", "--engine", "gemini", "--model", "gemini-3.1-flash-image", "--disable")
        server.manage("shell", "-c", "from docs.made_up import fill; fill()")
        server.manage("grant", "Image creators", "--create", "--user", "admin")
        server.manage(
            "quotas", "set", "Image creators", "--pictures-per-day", "20", "--money-per-month", "50"
        )
        make_pictures(server)
        yield server


def make_pictures(server: LiveEasel) -> None:
    """Some requests that succeeded, and one that failed."""
    for number, prompt in enumerate(PROMPTS):
        more = {"size": "512x512", "n": 1 + number % 3, "metadata": {"chat_id": "chat-42"}}
        server.post("/api/images/generations", {"prompt": prompt, **more}).raise_for_status()
    server.post("/api/images/generations", {"prompt": "A fox", "model": "litellm/grok-imagine-image"})


def take(browser: Browser, server: LiveEasel, shot: Shot, target: Path, *, dark: bool = False) -> None:
    """One picture of the whole page, with few colours: small enough for a repository."""
    width = STAFF_WIDTH if shot.staff else WIDTH
    with watched(browser, server.url, dark=dark) as (page, _):
        page.set_viewport_size({"width": width, "height": 900})
        if shot.staff:
            log_in(page)
        page.goto(shot.path)
        shot.prepare(page)
        # As high as the page, so that nothing that sticks to the window's edge lies over the middle.
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_load_state("networkidle")
        page.screenshot(path=target, full_page=True, animations="disabled")
    picture = Image.open(target).convert("RGB")
    if shot.rows:
        picture = picture.crop((0, shot.rows[0], width, min(shot.rows[1], picture.height)))
    picture.quantize(COLOURS).save(target, optimize=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
