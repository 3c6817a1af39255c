"""From a fresh Easel to a picture from one's own ComfyUI, a quota, and what the admin shows of both: in a
browser, by keyboard."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests
from playwright.sync_api import Browser, Page, expect

from tests.browser import keyboard
from tests.browser.browsing import watched
from tests.browser.conftest import log_in
from tests.fakes.comfyui import ComfyUI
from tests.live import PASSWORD, LiveEasel

WORKFLOW = Path(__file__).parent.parent / "fakes" / "recordings" / "workflows" / "txt2img.json"
STEPS = 3
PEOPLE = f"""
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
User.objects.create_user("ada", password={PASSWORD!r})
call_command("grant", "Image creators", "--user", "ada")
ops = User.objects.create_user("ops", password={PASSWORD!r}, is_staff=True)
ops.user_permissions.set(Permission.objects.filter(codename__in=[
    "view_group", "change_group", "view_groupquota", "add_groupquota", "change_groupquota",
    "view_usage", "view_others_pictures",
]))
"""
PROMPTS = ["A lighthouse in fog", "A copper kettle", "A violin like a flower"]


def test_a_comfyui_is_connected_tried_selected_and_held_to_a_quota(
    browser: Browser, admin: Page, easel: LiveEasel, comfyui: ComfyUI
) -> None:
    add_connection(admin, comfyui)
    enter_workflow(admin)
    adjust_map(admin)
    check_it(admin)
    try_it(admin, comfyui)
    select_it(admin)
    served_over_rest(easel, comfyui)
    written_down(admin)
    easel.manage("shell", "-c", PEOPLE)
    with watched(browser, easel.url) as (page, _):
        log_in(page, "ops")
        sees_no_connection(page)
        limit_group(page)
        before = figures(page)
        third_is_refused(easel)
        gallery_shows_all_three(page)
        pictures, refused = figures(page)
        assert (pictures, refused) == (before[0] + 2, before[1] + 1)


def add_connection(page: Page, comfyui: ComfyUI) -> None:
    page.goto("/admin/imagegen/engineconnection/add/")
    expect(page.get_by_label("Listed models")).to_be_visible()
    keyboard.fill(page, "Name*", "studio")
    keyboard.choose(page, page.get_by_label("Engine*"), "ComfyUI")
    expect(page.get_by_text("Generates with")).to_be_visible()
    expect(page.get_by_label("Listed models")).to_have_count(0)
    assert page.get_by_label("Name*").input_value() == "studio", "what is typed stays"
    keyboard.fill(page, "Base URL", comfyui.url)
    keyboard.press(page, "Fetch models")
    keyboard.choose(page, page.locator("#model-choice"), "sd15")
    expect(page.get_by_label("Default model")).to_have_value("sd15-random.safetensors")
    keyboard.press(page, "Save and continue editing")
    page.wait_for_url("**/change/")


def enter_workflow(page: Page) -> None:
    link = page.get_by_role("link", name="Enter a workflow of your own").first
    keyboard.tab_to(page, link)
    page.keyboard.press("Enter")
    keyboard.fill(page, "API-format JSON", json.dumps({"nodes": [], "links": []}))
    keyboard.press(page, "Read workflow")
    expect(page.get_by_role("alert")).to_contain_text("Workflow, Export (API)")
    keyboard.fill(page, "API-format JSON", WORKFLOW.read_text())
    keyboard.press(page, "Read workflow", "Space")
    for type, place in {"prompt": "text", "model": "ckpt_name", "seed": "seed"}.items():
        assert f'"{place}"' in page.locator(f"#map-{type}-1").input_value()
    assert "SaveImage" in page.locator("#map-output-1 option:checked").inner_text()


def adjust_map(page: Page) -> None:
    """The negative prompt goes nowhere."""
    keyboard.tab_to(page, page.locator("#map-negative_prompt-1"))
    page.keyboard.press("Home")
    keyboard.press(page, "Save")
    page.wait_for_url("**/change/")
    expect(page.get_by_text("A workflow of 7 nodes.")).to_be_visible()


def check_it(page: Page) -> None:
    keyboard.press(page, "Test connection")
    result = page.locator("#test-result")
    expect(result).to_contain_text("It works. ComfyUI 0.8.0 on cpu. 2 models.")
    expect(result).to_contain_text("It answered in")


def try_it(page: Page, comfyui: ComfyUI) -> None:
    keyboard.fill(page, "Prompt", "A red fox in the snow")
    keyboard.press(page, "Try it")
    picture = page.locator("#try-result img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1024
    expect(page.locator("#try-result")).to_contain_text("1024 × 1024")
    assert "A red fox in the snow" in json.dumps(comfyui.prompts()[-1])
    assert comfyui.prompts()[-1]["prompt"]


def select_it(page: Page) -> None:
    page.goto("/admin/imagegen/imagesettings/")
    keyboard.choose(page, page.get_by_label("Makes pictures"), "studio")
    keyboard.fill(page, "Steps*", str(STEPS))
    keyboard.press(page, "Save")
    expect(page.get_by_text("The next request uses them.")).to_be_visible()


def served_over_rest(easel: LiveEasel, comfyui: ComfyUI) -> None:
    """By both processes, at once: eight requests, each over a connection of its own, reach either."""
    before = len(comfyui.prompts())
    for number in range(8):
        body = {"prompt": f"Blue hills {number}", "negative_prompt": "rain", "size": "512x512"}
        answer: requests.Response = easel.post("/api/images/generations", body)
        assert answer.status_code == 200, answer.text
        assert easel.get(answer.json()[0]["url"]).headers["Content-Type"] == "image/png"
    asked = comfyui.prompts()[before:]
    assert len(asked) == 8
    assert all(f'"steps": {STEPS}' in json.dumps(prompt) for prompt in asked)
    assert not any("rain" in json.dumps(prompt) for prompt in asked), "the negative prompt is not mapped"


def written_down(page: Page) -> None:
    page.goto("/admin/imagegen/imagesettings/1/history/")
    expect(page.get_by_text("makes pictures from built-in to studio")).to_be_visible()
    expect(page.get_by_text(f"steps from 30 to {STEPS}")).to_be_visible()


def sees_no_connection(page: Page) -> None:
    """Ops limit and watch; they do not set up engines."""
    sidebar = page.locator("#nav-sidebar-apps")
    expect(sidebar.get_by_role("link", name="Groups")).to_be_visible()
    expect(sidebar.get_by_role("link", name="Connections")).to_have_count(0)


def limit_group(page: Page) -> None:
    """Two pictures a day, in the form of the group."""
    follow(page, "Groups")
    follow(page, "Image creators")
    keyboard.fill(page, "Pictures per day", "2")
    keyboard.press(page, "Save")
    expect(page.get_by_text("was changed successfully")).to_be_visible()


def follow(page: Page, link: str) -> None:
    """By its words; the sidebar's links begin with the name of their icon."""
    target = page.get_by_role("link", name=re.compile(rf"(^|\s){re.escape(link)}$")).first
    keyboard.tab_to(page, target)
    address = page.url
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: url != address)


def third_is_refused(easel: LiveEasel) -> None:
    login = {"username": "ada", "password": PASSWORD}
    ada = {"Authorization": f"Bearer {easel.post('/api/auth/token', login).json()['access']}"}
    answers = [
        easel.post("/api/v1/images/generations", {"prompt": prompt, "size": "512x512"}, headers=ada)
        for prompt in PROMPTS
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    said = answers[-1].json()
    assert said["code"] == "quota_exceeded"
    assert said["detail"].startswith(
        "This would exceed your quota of pictures per day, which is 2: 2 used, 1 asked for."
    )
    tomorrow = datetime.now(UTC).replace(hour=0, minute=0, second=0) + timedelta(days=1)
    until = datetime.now(UTC) + timedelta(seconds=int(answers[-1].headers["Retry-After"]))
    assert abs(until - tomorrow) < timedelta(minutes=1)


def gallery_shows_all_three(page: Page) -> None:
    """Both pictures and the refusal, and what the caller was told."""
    follow(page, "Generations")
    keyboard.fill(page, "Person", "ada")
    keyboard.press(page, "Show")
    page.wait_for_url("**person=ada*")
    rows = page.locator(".gal-row")
    expect(rows).to_have_count(3)
    for row, prompt in zip(rows.all(), reversed(PROMPTS), strict=True):
        expect(row).to_contain_text(prompt)
    refusal, *made = rows.all()
    expect(refusal).to_contain_text("quota of pictures per day, which is 2")
    expect(refusal.locator("img")).to_have_count(0)
    for row in made:
        width = row.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)")
        assert width == 320, "a thumbnail"
    follow(page, PROMPTS[1])
    expect(page.locator("dd").filter(has_text="studio")).to_be_visible()
    expect(page.locator("dd").filter(has_text="ada")).to_be_visible()


def figures(page: Page) -> tuple[int, int]:
    """Pictures and refusals as the dashboard has them."""
    follow(page, "Dashboard")

    def figure(name: str) -> int:
        tile = page.locator(".dash-tile").filter(has_text=re.compile(rf"^\s*{name}"))
        return int(tile.locator(".dash-value").inner_text())

    return figure("Pictures"), figure("Refused by quotas")
