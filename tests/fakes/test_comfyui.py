"""The fake ComfyUI answers as the real one did, one record after the other."""

import json
import time
from pathlib import Path

import requests
from PIL import Image

from tests.fakes.comfyui import ComfyUI
from tests.fakes.server import picture

RECORDINGS = json.loads((Path(__file__).parent / "recordings" / "comfyui-0.8.0.json").read_text())

NOT_USED = (
    *("object_info/KSampler", "models", "models/nope", "features", "view preview webp", "history max_items"),
    *("api/jobs", "api/jobs/{id}", "free", "delete one history", "object_info/SaveImage"),
    "history B",
)
"""Records of what this product does not ask for; of history B, which tells how far A had come."""

UPLOADS = {
    "upload": ("input.png", picture(64, 64), {}),
    "upload same name other content, no overwrite": ("input.png", picture(64, 64, colour="navy"), {}),
    "upload same name same content, no overwrite": ("input.png", picture(64, 64), {}),
    "upload subfolder": ("a b ü.png", picture(64, 64, colour="navy"), {"subfolder": "gw up"}),
    "upload not-an-image": ("bad.png", b"not an image", {"overwrite": "true"}),
    "upload traversal": ("x.png", picture(64, 64), {"subfolder": "../.."}),
    "upload mask": ("mask.png", picture(64, 64, colour="white"), {"overwrite": "true"}),
    "upload no file": (None, b"", {"type": "input"}),
}


def ask(server, recorded, ids):
    """What the fake says to a recorded request, the recorded prompt ids replaced by the fake's."""
    asked = recorded["request"]
    url = server.url + renamed(asked["path"], ids)
    if recorded["name"] in UPLOADS:
        name, data, fields = UPLOADS[recorded["name"]]
        files = {"image": (name, data, "image/png")} if name else {"x": (None, "")}
        return requests.post(url, data=fields, files=files, timeout=10)
    body = json.dumps(renamed(asked["json"], ids)) if "json" in asked else asked.get("data")
    return requests.request(
        asked["method"], url, params=asked.get("params"), data=body and body.encode(), timeout=10
    )


def renamed(value, ids):
    text = json.dumps(value)
    for recorded, own in ids.items():
        text = text.replace(recorded, own)
    return json.loads(text)


def steady(value):
    """Without what differs from run to run, or is not read: times, graphs, file names of previews."""
    if isinstance(value, dict):
        if value.get("type") == "temp":
            return "a preview"
        dropped = {"timestamp", "create_time", "extra_info", "meta", "executed", "node_id", "node_type"}
        kept = {name: steady(held) for name, held in value.items() if name not in dropped}
        if "prompt" in kept:
            kept["prompt"] = kept["prompt"][:2]
        for name in ("nodes", "errors", "dependent_outputs"):
            if isinstance(kept.get(name), list):
                kept[name] = sorted(kept[name], key=json.dumps)
        for name in ("queue_running", "queue_pending"):
            if name in kept:
                kept[name] = [item[:2] for item in kept[name]]
        return kept
    if isinstance(value, list):
        return [steady(held) for held in value]
    return value


def settle(server, name):
    """Wait until the fake is where the real server was when this was asked."""
    if name.startswith("slow A"):
        server.step_seconds = 0.05
    elif name.startswith("queue with"):
        wait(lambda: server.running)
    elif name == "history of interrupted":
        wait(lambda: server.queued < 2)
    elif name == "interrupt bare":
        wait(lambda: server.running and server.running.number == 29)
    elif "GET /history" in name:
        wait(lambda: not server.queued)


def test_answers_as_recorded():
    ids = {}
    with ComfyUI(step_seconds=0.001) as server:
        for recorded in (recorded for recorded in RECORDINGS if recorded["name"] not in NOT_USED):
            name, wanted = recorded["name"], recorded["body"]
            settle(server, name)
            got = ask(server, recorded, ids)
            assert got.status_code == recorded["status"], name
            if isinstance(wanted, str):
                continue
            if "prompt_id" in wanted:
                ids[wanted["prompt_id"]] = got.json()["prompt_id"]
            own = got.json()
            if name.startswith("object_info/"):
                own, wanted = what_nodes_take(own), what_nodes_take(wanted)
            assert steady(own) == steady(renamed(wanted, ids)), name
            assert got.headers["content-type"].startswith("application/json"), name


def what_nodes_take(info):
    return {kind: sorted(node["input"]["required"]) for kind, node in info.items()}


def wait(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("the fake is stuck")


def test_pictures_are_real_and_differ():
    recorded = next(r for r in RECORDINGS if r["name"] == "256 batch2: POST /prompt")
    with ComfyUI() as server:
        server_id = ask(server, recorded, {}).json()["prompt_id"]
        wait(lambda: server_id in server.history)
        first, second = server.history[server_id]["outputs"]["9"]["images"]
        colours = set()
        for file in (first, second):
            url = f"{server.url}/api/view"
            answer = requests.get(url, params=file, timeout=10, stream=True)
            assert answer.headers["content-type"] == "image/png"
            with Image.open(answer.raw) as image:
                assert image.size == (256, 256)
                colours.add(image.getpixel((0, 0)))
    assert len(colours) == 2
