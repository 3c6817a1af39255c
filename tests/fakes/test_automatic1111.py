"""The fake AUTOMATIC1111 answers as the real one did."""

import base64
import io
import json
import threading
import time

import requests
from PIL import Image

from tests.fakes.automatic1111 import RECORDED, USER, Automatic1111

NOT_SPOKEN = {
    *(
        "GET upscalers",
        "GET sd-vae",
        "GET embeddings",
        "GET prompt-styles",
        "skip idle",
        "refresh-checkpoints",
    ),
    *("GET progress", "progress during", "progress during (with image)", "progress later"),
    *("interrupt", "interrupted txt2img", "progress idle after", "interrupt idle"),
}
"""What no client of ours uses, and the interrupted job, which has a test of its own."""

CHANCE = ("subseed", "all_subseeds", "job_timestamp")


def ask(fake, request):
    data = request.get("data") or (json.dumps(request["json"]) if "json" in request else None)
    return requests.request(request["method"], fake.url + request["path"], data=data, timeout=20)


def pictures(body):
    return [Image.open(io.BytesIO(base64.b64decode(text))) for text in body["images"]]


def steady(info, *, seeded):
    info = {name: value for name, value in json.loads(info).items() if name not in CHANCE}
    return info if seeded else {**info, "seed": 0, "all_seeds": [0], "infotexts": []}


def test_answers_as_recorded_one_after_the_other():
    """In order: what a request leaves behind, such as a picture format, counts for the next."""
    with Automatic1111() as fake:
        for name, recorded in RECORDED.items():
            if name in NOT_SPOKEN:
                continue
            wanted = recorded["response"]
            got = ask(fake, recorded["request"])
            assert got.status_code == wanted["status"], name
            body = got.json()
            if not isinstance(wanted["body"], dict) or "images" not in wanted["body"]:
                compare_plain(name, body, wanted["body"])
                continue
            seeded = recorded["request"]["json"].get("seed", -1) >= 0
            assert body["parameters"] == wanted["body"]["parameters"], name
            ours, theirs = (steady(text, seeded=seeded) for text in (body["info"], wanted["body"]["info"]))
            assert ours == theirs, name
            made = pictures(body)
            assert [list(image.size) for image in made] == wanted["image_sizes"], name
            jpeg = [text.startswith("/9j/") for text in wanted["body"]["images"]]
            assert [image.format == "JPEG" for image in made] == jpeg, name


def compare_plain(name, body, wanted):
    if isinstance(wanted, list):  # shortened in the recording: "...20 items"
        kept = [entry for entry in wanted if isinstance(entry, dict)]
        assert body[: len(kept)] == kept, name
        assert len(body) == (int(wanted[-1].split()[0].strip(".")) if kept != wanted else len(kept)), name
    elif name.startswith("options after"):
        assert body | wanted == body, name
    else:
        assert body == wanted, name


def test_an_interrupted_job():
    asked = {
        **RECORDED["txt2img 1"]["request"]["json"],
        "steps": 60,
        "n_iter": 2,
        "width": 128,
        "height": 128,
    }
    asked["force_task_id"] = "task(my-1)"
    answers = []
    with Automatic1111(seconds=10) as fake:
        url = f"{fake.url}/sdapi/v1"
        job = threading.Thread(
            target=lambda: answers.append(requests.post(f"{url}/txt2img", json=asked, timeout=30))
        )
        job.start()
        while not fake.state.job:
            time.sleep(0.01)
        during = requests.get(f"{url}/progress", timeout=20).json()
        wanted = RECORDED["progress during"]["response"]["body"]
        assert during.keys() == wanted.keys()
        steady = ("job", "job_count", "job_no", "sampling_steps", "interrupted")
        assert {name: during["state"][name] for name in steady} == {
            name: wanted["state"][name] for name in steady
        }
        assert requests.post(f"{url}/interrupt", timeout=20).json() == {}
        job.join()
        idle = requests.get(f"{url}/progress", timeout=20).json()
    body, wanted = answers[0].json(), RECORDED["interrupted txt2img"]["response"]["body"]
    assert answers[0].status_code == 200
    assert body["parameters"] == wanted["parameters"]
    assert len(body["images"]) == len(wanted["images"]) == 1
    assert json.loads(body["info"])["all_seeds"] == [7, 8]
    assert (idle["progress"], idle["state"]["job"], idle["state"]["interrupted"]) == (0.0, "", True)


def test_credentials():
    with Automatic1111(auth=USER) as fake:
        url = f"{fake.url}/sdapi/v1/sd-models"
        assert requests.get(url, timeout=20).status_code == 401
        assert requests.get(url, auth=("easel", "wrong"), timeout=20).status_code == 401
        assert requests.get(url, auth=tuple(USER.split(":")), timeout=20).status_code == 200
