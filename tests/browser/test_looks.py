"""What the pages look like to somebody in the dark, and what they say to wrong input."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import keyboard
from tests.browser.browsing import Complaints
from tests.fakes.comfyui import ComfyUI
from tests.live import PASSWORD, LiveEasel

READABLE = 4.5
"""WCAG AA: contrast of text against what lies behind it."""

CONTRAST = """
element => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const paint = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = [];
  for (let node = element; node; node = node.parentElement) {
    behind.unshift(getComputedStyle(node).backgroundColor);
  }
  const ground = ["#fff", ...behind];
  const [a, b] = [paint([...ground, getComputedStyle(element).color]), paint(ground)].map(light);
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}
"""
PEOPLE = f"""
from django.contrib.auth.models import User
from django.core.management import call_command
User.objects.create_user("ada", password={PASSWORD!r})
call_command("grant", "Image creators", "--user", "ada")
"""
OURS = (
    ".easel-note, .easel-button, .easel-small, .easel-input, .easel-link, .easel-about, .easel-panel h2,"
    " .easel-map-label"
)


@pytest.fixture(scope="module")
def connection(easel: LiveEasel, comfyui: ComfyUI) -> str:
    """The path of a connection's page."""
    easel.manage(
        "connections", "add", "gpu", "--engine", "comfyui", "--base-url", comfyui.url,
        "--model", "sd15-random.safetensors",
    )  # fmt: skip
    return "/admin/imagegen/engineconnection/2"


def unreadable(page: Page) -> list[str]:
    faint = []
    for widget in page.locator(OURS).all():
        if widget.is_visible() and (contrast := widget.evaluate(CONTRAST)) < READABLE:
            faint.append(f"{contrast:.1f}: {widget.inner_text()[:60]}")
    return faint


def show_all_notes(page: Page, connection: str) -> list[str]:
    """Every widget of ours that these pages can show."""
    page.goto(f"{connection}/change/")
    page.get_by_role("button", name="Test connection").click()
    expect(page.locator("#test-result .easel-good")).to_be_visible()
    faint = unreadable(page)
    page.get_by_label("Base URL").fill("http://127.0.0.1:9")
    page.get_by_role("button", name="Test connection").click()
    expect(page.locator("#test-result .easel-bad")).to_be_visible()
    faint += unreadable(page)
    page.goto(f"{connection}/workflow/generate/")
    page.get_by_role("button", name="Text to picture").click()
    expect(page.locator("#map-title")).to_be_visible()
    page.locator("textarea").fill(page.locator("textarea").input_value().replace("1024", "768"))
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".easel-warn")).to_be_visible()
    return faint + unreadable(page)


FAINT = f"""
() => {{
  const contrast = {CONTRAST};
  const says = (element) => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  return [...document.querySelectorAll("body *")]
    .filter(element => says(element) && element.checkVisibility({{ visibilityProperty: true }}))
    .filter(element => !element.matches("script, style, option, :disabled, .material-symbols-outlined"))
    .map(element => [contrast(element), element.textContent.trim().slice(0, 60)])
    .filter(([found]) => found < {READABLE})
    .map(([found, text]) => `${{found.toFixed(1)}}: ${{text}}`);
}}
"""
"""Every text of a page that is not readable, icons aside."""


@pytest.fixture(scope="module")
def past(easel: LiveEasel, connection: str) -> list[str]:
    """Pages that show what happened: pictures, a refusal by quota, a failure."""
    easel.manage("quotas", "set", "Image creators", "--pictures-per-day", "1")
    easel.manage("shell", "-c", PEOPLE)
    login = {"username": "ada", "password": PASSWORD}
    ada = {"Authorization": f"Bearer {easel.post('/api/auth/token', login).json()['access']}"}
    answers = [
        easel.post("/api/images/generations", {"prompt": prompt}, headers=ada)
        for prompt in ("a fox", "a hen")
    ]
    assert [answer.status_code for answer in answers] == [200, 429]
    gone = ("gone", "--engine", "automatic1111", "--base-url", "http://127.0.0.1:9")
    easel.manage("connections", "add", *gone, "--use-for", "generate")
    assert easel.post("/api/images/generations", {"prompt": "a goose"}).status_code == 400
    file = f"/admin/imagegen/imagefile/{answers[0].json()[0]['id']}/change/"
    return [
        "/admin/",
        "/admin/imagegen/usage/?range=24h",
        "/admin/imagegen/generation/",
        "/admin/imagegen/imagefile/",
        file,
        "/admin/auth/group/1/change/",
        "/admin/imagegen/imagesettings/1/change/",
        "/admin/imagegen/engineconnection/",
        f"{connection}/change/",
        "/account/keys",
    ]


@pytest.mark.parametrize("looks", ["light", "dark"])
def test_every_text_is_readable(request: pytest.FixtureRequest, looks: str, past: list[str]) -> None:
    page = request.getfixturevalue("dark" if looks == "dark" else "admin")
    faint = []
    for path in past:
        page.goto(path)
        faint += [f"{path} {found}" for found in page.evaluate(FAINT)]
    assert not faint, "\n".join(faint)


def test_all_is_readable_in_the_light(admin: Page, connection: str) -> None:
    assert not show_all_notes(admin, connection)


def test_all_is_readable_in_the_dark(dark: Page, connection: str) -> None:
    assert "dark" in (dark.locator("html").get_attribute("class") or "")
    assert not show_all_notes(dark, connection)


def test_nothing_is_wider_than_a_small_screen(admin: Page, connection: str) -> None:
    admin.set_viewport_size({"width": 1024, "height": 768})
    for path in (
        f"{connection}/change/",
        f"{connection}/workflow/edit/",
        "/admin/imagegen/imagesettings/1/change/",
        "/admin/imagegen/usage/",
        "/admin/imagegen/generation/",
        "/admin/auth/group/1/change/",
        "/admin/auth/user/2/change/",
    ):
        admin.goto(path)
        assert admin.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path


def test_wrong_input_is_answered_at_its_field(admin: Page, connection: str) -> None:
    admin.goto(f"{connection}/change/")
    keyboard.fill(admin, "Parameters", '{"batch": }')
    keyboard.fill(admin, "Key", "a-key-that-nobody-may-see")
    keyboard.press(admin, "Save")
    expect(admin.get_by_text("Line 1, column 11")).to_be_visible()
    assert admin.get_by_label("Parameters").input_value() == '{"batch": }'
    assert "a-key-that-nobody-may-see" not in admin.content()
    keyboard.fill(admin, "Prompt", " ")
    keyboard.press(admin, "Try it")
    expect(admin.locator("#try-result")).to_contain_text("Write what the picture should show.")


def test_a_session_that_has_ended_is_a_sentence(admin: Page, connection: str) -> None:
    admin.goto(f"{connection}/change/")
    admin.context.clear_cookies(name=re.compile("connect.sid"))
    admin.get_by_role("button", name="Test connection").click()
    expect(admin.locator("#test-result")).to_contain_text("Your session has ended.")


def test_an_answer_that_is_no_result_is_a_sentence(
    admin: Page, complaints: Complaints, connection: str
) -> None:
    complaints.expected += ["403", "Response Status Error"]
    admin.goto(f"{connection}/change/")
    admin.locator("#engineconnection_form [name=csrfmiddlewaretoken]").evaluate(
        "field => { field.value = 'x' }"
    )
    admin.get_by_role("button", name="Test connection").click()
    expect(admin.locator("#test-result")).to_contain_text("You may not do this.")
