"""From a fresh Easel to a picture from one's own ComfyUI, as staff do it: in a browser, by keyboard."""

from __future__ import annotations

import json
from pathlib import Path

import requests
from playwright.sync_api import Page, expect

from tests.browser import keyboard
from tests.fakes.comfyui import ComfyUI
from tests.live import LiveEasel

WORKFLOW = Path(__file__).parent.parent / "fakes" / "recordings" / "workflows" / "txt2img.json"
STEPS = 3


def test_a_comfyui_is_connected_tried_and_selected(admin: Page, easel: LiveEasel, comfyui: ComfyUI) -> None:
    add_connection(admin, comfyui)
    enter_workflow(admin)
    adjust_map(admin)
    check_it(admin)
    try_it(admin, comfyui)
    select_it(admin)
    served_over_rest(easel, comfyui)
    written_down(admin)


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
