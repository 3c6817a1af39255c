"""AUTOMATIC1111 1.10.1, Forge and stable-diffusion.cpp, as far as a client of `/sdapi/v1` sees them.

`tests/fakes/test_automatic1111.py` holds the first against recordings/automatic1111-1.10.1.json. Forge and
stable-diffusion.cpp follow their servers' sources where those differ. One job runs at a time and takes
`seconds` per iteration; the pictures are of one colour, by seed, and grey where a job was cut short.
"""

from __future__ import annotations

import base64
import binascii
import colorsys
import io
import json
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.fakes.server import FakeServer, Request, Response

USER = "easel:correct-horse-battery"

RECORDED: dict[str, Any] = {
    recorded["name"]: recorded
    for recorded in json.loads(
        (Path(__file__).parent / "recordings" / "automatic1111-1.10.1.json").read_text()
    )
}

MODELS = ("sd15-random-b", "sd15-random")
SAMPLERS = (
    *("DPM++ 2M", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 2S a", "DPM++ 3M SDE", "Euler a"),
    *("Euler", "LMS", "Heun", "DPM2", "DPM2 a", "DPM fast", "DPM adaptive", "Restart", "DDIM", "DDIM CFG++"),
    *("PLMS", "UniPC", "LCM"),
)
SCHEDULERS = (
    *("Automatic", "Uniform", "Karras", "Exponential", "Polyexponential", "SGM Uniform", "KL Optimal"),
    *("Align Your Steps", "Simple", "Normal", "DDIM", "Beta"),
)
DEFAULT_SAMPLER, DEFAULT_SCHEDULE = "DPM++ 2M", "Karras"
UNSAVED_SETTINGS = {"samples_format": "png", "return_grid": True, "CLIP_stop_at_last_layers": 1}
"""Settings that nobody has saved yet, with their defaults."""

DEFAULTS = {
    "prompt": "",
    "negative_prompt": "",
    "seed": -1,
    "steps": 50,
    "width": 512,
    "height": 512,
    "sampler_name": None,
    "denoising_strength": None,
}


def colour(seed: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb((seed * 0.37) % 1, 0.8, 0.8)
    return round(red * 255), round(green * 255), round(blue * 255)


UNFINISHED = (128, 128, 128)


@dataclass
class State:
    """What `/sdapi/v1/progress` shows of the server."""

    job: str = ""
    job_count: int = 0
    job_no: int = 0
    job_timestamp: str = "0"
    sampling_step: int = 0
    sampling_steps: int = 0
    interrupted: bool = False
    task: str = ""
    pending: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        return {
            "skipped": False,
            "interrupted": self.interrupted,
            "stopping_generation": False,
            "job": self.job,
            "job_count": self.job_count,
            "job_timestamp": self.job_timestamp,
            "job_no": self.job_no,
            "sampling_step": self.sampling_step,
            "sampling_steps": self.sampling_steps,
        }

    @property
    def progress(self) -> float:
        if not self.job_count:
            return 0.0
        done = 0.01 + self.job_no / self.job_count
        if self.sampling_steps:
            done += self.sampling_step / self.sampling_steps / self.job_count
        return min(done, 1)


class Automatic1111(FakeServer):
    """Version 1.10.1.

    Args:
        auth: `user:password`, as for `--api-auth`.
        api: started with `--api`.
        web_ui: not started with `--nowebui`, so that `/internal/progress` is there.
        seconds: that one iteration of a job takes.
        pixels: that fit into the card's memory at once.
    """

    version: ClassVar[str] = "1.10.1"
    silent_about_models: ClassVar[bool] = True

    def __init__(
        self,
        *,
        auth: str = "",
        api: bool = True,
        web_ui: bool = False,
        seconds: float = 0.0,
        pixels: int = 4096 * 4096,
    ) -> None:
        super().__init__()
        self.auth, self.api, self.web_ui, self.seconds, self.pixels = auth, api, web_ui, seconds, pixels
        self.saved: dict[str, Any] = {"sd_model_checkpoint": f"{MODELS[0]}.safetensors"}
        self.state = State()
        self.queue = threading.Lock()

    @property
    def settings(self) -> dict[str, Any]:
        return UNSAVED_SETTINGS | self.saved

    @property
    def interrupts(self) -> int:
        return sum(request.path == "/sdapi/v1/interrupt" for request in self.requests)

    @property
    def asked(self) -> dict[str, Any]:
        """The last request for pictures."""
        made = [request.json for request in self.requests if request.path.endswith("2img")]
        return made[-1]

    def faulty(self, request: Request) -> bool:
        return request.path.endswith("2img")

    def reply(self, request: Request) -> Response:
        if self.web_ui and request.path == "/internal/progress":
            return Response.json(self._own_progress(request.json["id_task"]))
        if not self.api or not request.path.startswith("/sdapi/v1/"):
            return Response.json({"detail": "Not Found"}, 404)
        if refused := self._unknown_user(request):
            return refused
        name = request.path.removeprefix("/sdapi/v1/")
        if name in ("txt2img", "img2img"):
            if request.method != "POST":
                return Response.json({"detail": "Method Not Allowed"}, 405, {"allow": "POST"})
            return self._make(request, edit=name == "img2img")
        return self._other(request, name)

    def _unknown_user(self, request: Request) -> Response | None:
        wanted = "Basic " + base64.b64encode(self.auth.encode()).decode()
        shown = request.headers.get("authorization")
        if not self.auth or shown == wanted:
            return None
        said = "Incorrect username or password" if shown else "Not authenticated"
        return self._error(401, "HTTPException", detail=said)

    def _other(self, request: Request, name: str) -> Response:
        match request.method, name:
            case "GET", "sd-models":
                return Response.json([_checkpoint(model) for model in MODELS])
            case "GET", "samplers":
                return Response.json([_sampler(sampler) for sampler in SAMPLERS])
            case "GET", "schedulers":
                return Response.json([_scheduler(label) for label in SCHEDULERS])
            case "GET", "options":
                return Response.json({**self.settings, "face_restoration": False})
            case "GET", "progress":
                shown = {"progress": self.state.progress, "eta_relative": 0.0, "state": self.state.shown()}
                return Response.json({**shown, "current_image": None, "textinfo": None})
            case "POST", "interrupt":
                self.state.interrupted = True
                return Response.json({})
            case "POST", "options":
                return self._save(request.json)
            case "GET", "sd-modules" if not self.silent_about_models:
                return Response.json([])
        return Response.json({"detail": "Not Found"}, 404)

    def _save(self, settings: Mapping[str, Any]) -> Response:
        model = settings.get("sd_model_checkpoint")
        if model is not None and not _known(model):
            return self._error(500, "RuntimeError", f"model {model!r} not found")
        self.saved |= settings
        return Response.json(None)

    def _own_progress(self, task: str) -> dict[str, Any]:
        active = bool(task) and task == self.state.task
        shown = {"active": active, "queued": task in self.state.pending}
        shown["completed"] = task in self.state.finished
        return {**shown, "progress": self.state.progress if active else None, "eta": None, "textinfo": None}

    def _make(self, request: Request, *, edit: bool) -> Response:
        if not request.body:
            return self._recorded("no body")
        try:
            sent = request.json
        except json.JSONDecodeError:
            return self._recorded("not json")
        if refused := self._refused(sent, edit=edit):
            return refused
        known = RECORDED["img2img" if edit else "txt2img 1"]["response"]["body"]["parameters"]
        asked = known | DEFAULTS | {name: value for name, value in sent.items() if name in known}
        task = asked["force_task_id"] or f"task({random.random()})"
        self.state.pending.append(task)
        with self.queue:
            self.state.pending.remove(task)
            self.state.task = task
            try:
                answer = self._run(asked, sent, edit=edit)
            finally:
                self.state.task, self.state.job, self.state.job_count = "", "", 0
                self.state.finished.append(task)
        return Response.json(answer)

    def _refused(self, sent: Mapping[str, Any], *, edit: bool) -> Response | None:
        steps, overrides = sent.get("steps", 1), sent.get("override_settings") or {}
        if not isinstance(steps, int):
            return self._recorded("wrong type steps")
        if edit and (refused := self._refused_source(sent)):
            return refused
        if sent.get("script_name") == "nope" or "nope" in sent.get("alwayson_scripts", {}):
            return self._recorded("script_name unknown")
        if sent.get("script_name"):
            return self._recorded("script X/Y/Z absent args")
        if sent.get("prompt", "") is None:
            return self._recorded("prompt null")
        for setting in overrides.keys() - self.settings.keys():
            return self._error(500, "KeyError", repr(setting))
        model = overrides.get("sd_model_checkpoint")
        if model and not _known(model) and not self.silent_about_models:
            return self._error(500, "RuntimeError", f"model {model!r} not found")
        if steps <= 0:
            return self._recorded("steps 0" if steps == 0 else "steps -1")
        if sent.get("n_iter") == 0:
            return self._recorded("steps 151")
        if sent.get("width") == 0:
            return self._recorded("width 0")
        if sent.get("width", 512) * sent.get("height", 512) * sent.get("batch_size", 1) > self.pixels:
            said = "CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 7.78 GiB"
            return self._error(500, "OutOfMemoryError", said)
        return None

    def _refused_source(self, sent: Mapping[str, Any]) -> Response | None:
        if sent.get("init_images") is None:
            return self._recorded("img2img no init")
        if not sent["init_images"]:
            return self._recorded("img2img empty list")
        for text in (*sent["init_images"], *filter(None, [sent.get("mask")])):
            if text.startswith("http"):
                return self._recorded("img2img http url")
            if _opened(text) is None:
                return self._recorded("img2img bad base64")
        return None

    def _recorded(self, name: str) -> Response:
        wanted = RECORDED[name]["response"]
        body = wanted["body"]
        if "error" in body:
            return self._error(wanted["status"], body["error"], body["errors"], detail=body["detail"])
        return Response.json(body, wanted["status"])

    def _error(self, status: int, kind: str, said: str = "", *, detail: str = "") -> Response:
        return Response.json({"error": kind, "detail": detail, "body": "", "errors": said}, status)

    def _run(self, asked: dict[str, Any], sent: Mapping[str, Any], *, edit: bool) -> dict[str, Any]:
        """The job, with its settings in force and, where they were saved before, put back afterwards."""
        overrides = dict(asked["override_settings"] or {})
        before = {name: self.saved[name] for name in overrides if name in self.saved}
        if not _known(overrides.get("sd_model_checkpoint")):
            overrides.pop("sd_model_checkpoint", None)
        self.saved |= overrides
        try:
            info, made = self._sample(asked, edit=edit)
        finally:
            if asked["override_settings_restore_afterwards"]:
                self.saved |= before
        if asked["save_images"] and self.settings["return_grid"] and len(made) > 1:
            info["index_of_first_image"] = 1
            info["infotexts"].insert(0, info["infotexts"][0])
            made.insert(0, _grid(made))
        if edit:
            asked["init_images"] = asked["mask"] = None
        images = [self._encoded(image, text) for image, text in zip(made, info["infotexts"], strict=True)]
        if not asked["send_images"]:
            images = []
        return {"images": images, "parameters": asked, "info": json.dumps(info)}

    def _sample(self, asked: dict[str, Any], *, edit: bool) -> tuple[dict[str, Any], list[Image.Image]]:
        seed = random.randrange(2**32) if asked["seed"] == -1 else asked["seed"]
        batch, iterations = asked["batch_size"], asked["n_iter"]
        seeds = list(range(seed, seed + batch * iterations))
        info = self._info(asked, seeds, edit=edit)
        self.state.interrupted = False
        self.state.job_timestamp = info["job_timestamp"]
        self.state.job_count, self.state.sampling_steps = iterations, asked["steps"]
        size = asked["width"] // 8 * 8, asked["height"] // 8 * 8
        made = []
        for iteration in range(iterations):
            if self.state.interrupted:
                break
            self.state.job, self.state.job_no = f"Batch {iteration + 1} out of {iterations}", iteration
            self._work(asked["steps"])
            some = seeds[iteration * batch : (iteration + 1) * batch]
            made += [
                Image.new("RGB", size, UNFINISHED if self.state.interrupted else colour(one)) for one in some
            ]
        info["infotexts"] = info["infotexts"][: len(made)]
        return info, made

    def _work(self, steps: int) -> None:
        for step in range(steps):
            if self.state.interrupted or self._stopping.is_set():
                break
            self.state.sampling_step = step
            time.sleep(self.seconds / steps)

    def _info(self, asked: Mapping[str, Any], seeds: list[int], *, edit: bool) -> dict[str, Any]:
        sampler, schedule, extra = _sampling(asked)
        if edit:
            extra["Denoising strength"] = asked["denoising_strength"] or 0.75
        if edit and asked["mask"]:
            extra["Mask blur"] = asked["mask_blur"] or 4
            if asked["inpaint_full_res"]:
                extra |= {"Inpaint area": "Only masked", "Masked area padding": 0}
        model = self.settings["sd_model_checkpoint"].removesuffix(".safetensors")
        n = len(seeds)
        prompt, negative = asked["prompt"], asked["negative_prompt"]
        lines = [prompt, *([f"Negative prompt: {negative}"] if negative else [])]
        strengths = {name: value for name, value in extra.items() if name != "Schedule type"}

        def text(seed: int) -> str:
            facts = {
                "Steps": asked["steps"],
                "Sampler": sampler,
                "Schedule type": schedule,
                "CFG scale": float(asked["cfg_scale"]),
                "Seed": seed,
                "Size": f"{asked['width']}x{asked['height']}",
                "Model": model,
                **strengths,
                "Version": self.version,
            }
            return "\n".join([*lines, ", ".join(f"{name}: {value}" for name, value in facts.items())])

        subseed = random.randrange(2**32)
        return {
            "prompt": prompt,
            "all_prompts": [prompt] * n,
            "negative_prompt": negative,
            "all_negative_prompts": [negative] * n,
            "seed": seeds[0],
            "all_seeds": seeds,
            "subseed": subseed,
            "all_subseeds": [subseed + k for k in range(n)],
            "subseed_strength": 0,
            "width": asked["width"],
            "height": asked["height"],
            "sampler_name": sampler,
            "cfg_scale": float(asked["cfg_scale"]),
            "steps": asked["steps"],
            "batch_size": asked["batch_size"],
            "restore_faces": False,
            "face_restoration_model": None,
            "sd_model_name": model,
            "sd_model_hash": None,
            "sd_vae_name": None,
            "sd_vae_hash": None,
            "seed_resize_from_w": -1,
            "seed_resize_from_h": -1,
            "denoising_strength": extra.get("Denoising strength"),
            "extra_generation_params": extra,
            "index_of_first_image": 0,
            "infotexts": [text(seed) for seed in seeds],
            "styles": [],
            "job_timestamp": time.strftime("%Y%m%d%H%M%S"),
            "clip_skip": 1,
            "is_using_inpainting_conditioning": False,
            "version": self.version,
        }

    def _encoded(self, image: Image.Image, text: str) -> str:
        return _base64(image, self.settings["samples_format"], text)


class Forge(Automatic1111):
    """Forge: other words for its errors, and a model that it does not know is refused."""

    version = "f2.0.1v1.10.1-previous-669-gdfdcbab6"
    silent_about_models = False

    def _error(self, status: int, kind: str, said: str = "", *, detail: str = "") -> Response:
        if detail:
            return Response.json({"detail": detail}, status)
        return Response.json({"error": kind, "message": said}, status)


class StableDiffusionCpp(Automatic1111):
    """stable-diffusion.cpp's server: one model, and a part of the API."""

    version = "stable-diffusion.cpp"
    samplers: ClassVar[tuple[str, ...]] = ("default", "euler", "euler_a", "heun", "dpm2", "dpm++2m", "lcm")
    schedulers: ClassVar[tuple[str, ...]] = ("default", "discrete", "normal", "karras", "exponential", "ays")

    def _other(self, request: Request, name: str) -> Response:
        match request.method, name:
            case "GET", "sd-models":
                entry = {"title": MODELS[0], "model_name": MODELS[0], "filename": f"{MODELS[0]}.safetensors"}
                return Response.json([{**entry, "hash": "8" * 10, "sha256": "8" * 64, "config": None}])
            case "GET", "samplers":
                return Response.json([{"name": x, "aliases": [x], "options": {}} for x in self.samplers])
            case "GET", "schedulers":
                return Response.json([{"name": x, "label": x} for x in self.schedulers])
            case "GET", "options":
                return Response.json({"samples_format": "png", "sd_model_checkpoint": MODELS[0]})
        return Response(404)

    def _make(self, request: Request, *, edit: bool) -> Response:
        if not request.body:
            return Response.json({"error": "empty body"}, 400)
        sent = request.json
        if None in sent.values():
            said = "[json.exception.type_error.302] type must be number, but is null"
            return Response.json({"error": "server_error", "message": said}, 500)
        if not sent.get("prompt"):
            return Response.json({"error": "prompt required"}, 400)
        n = sent.get("batch_size", 1)
        size = sent.get("width", 512), sent.get("height", 512)
        with self.queue:
            self._work(sent.get("steps", 20))
        seed = sent.get("seed", -1)
        seed = random.randrange(2**31) if seed < 0 else seed
        read = [_opened(text) for text in sent.get("init_images", [])]
        sampler = sent.get("sampler_name", "")
        info = {
            "prompt": sent["prompt"],
            "seed": seed,
            "cfg_scale": sent.get("cfg_scale", 7.0),
            "width": size[0],
            "height": size[1],
            "steps": sent.get("steps", 20),
            "sampler_name": sampler if sampler in self.samplers[1:] else "euler_a",
            "sd_model_name": f"{MODELS[0]}.safetensors",
            "version": self.version,
            "infotexts": [""] * n,
            "all_seeds": [seed + k for k in range(n)],
        }
        hues = [colour(seed + k) if not edit or all(read) else UNFINISHED for k in range(n)]
        images = [_base64(Image.new("RGB", size, hue), "png") for hue in hues]
        return Response.json({"images": images, "parameters": sent, "info": json.dumps(info)})


def _known(model: Any) -> bool:
    return isinstance(model, str) and model.removesuffix(".safetensors") in MODELS


def _checkpoint(model: str) -> dict[str, Any]:
    file = f"{model}.safetensors"
    path = f"/srv/engine/models/Stable-diffusion/{file}"
    names = {"title": file, "model_name": model, "hash": None, "sha256": None}
    return {**names, "filename": path, "config": None}


def _sampler(name: str) -> dict[str, Any]:
    for recorded in RECORDED["GET samplers"]["response"]["body"]:
        if isinstance(recorded, dict) and recorded["name"] == name:
            return recorded
    return {"name": name, "aliases": ["k_" + name.lower().replace(" ", "_")], "options": {}}


def _scheduler(label: str) -> dict[str, Any]:
    for recorded in RECORDED["GET schedulers"]["response"]["body"]:
        if isinstance(recorded, dict) and recorded["label"] == label:
            return recorded
    name = label.lower().replace(" ", "_")
    return {"name": name, "label": label, "aliases": None, "default_rho": -1.0, "need_inner_model": False}


def _sampling(asked: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Sampler, schedule and what is noted of them. Unknown names give way to the first of the list."""
    name = asked["sampler_name"] or asked["sampler_index"]
    schedule = asked["scheduler"] or ""
    names = {label.lower().replace(" ", "_"): label for label in SCHEDULERS}
    schedule = schedule if schedule in SCHEDULERS else names.get(schedule, "Automatic")
    for label in SCHEDULERS:
        if name.endswith(f" {label}"):
            name, schedule = name.removesuffix(f" {label}"), label
    if name not in SAMPLERS:
        name = DEFAULT_SAMPLER
    if name == DEFAULT_SAMPLER and schedule == "Automatic":
        schedule = DEFAULT_SCHEDULE
    return name, schedule, {} if schedule == "Automatic" else {"Schedule type": schedule}


def _opened(text: str) -> Image.Image | None:
    try:
        return Image.open(io.BytesIO(base64.b64decode(text.rpartition(",")[2])))
    except (binascii.Error, OSError):
        return None


def _grid(made: list[Image.Image]) -> Image.Image:
    grid = Image.new("RGB", (made[0].width * len(made), made[0].height))
    for k, image in enumerate(made):
        grid.paste(image, (k * image.width, 0))
    return grid


def _base64(image: Image.Image, format: str, text: str = "") -> str:
    out = io.BytesIO()
    if format == "png":
        note = PngInfo()
        note.add_text("parameters", text)
        image.save(out, "PNG", pnginfo=note)
    else:
        image.save(out, {"jpg": "JPEG", "webp": "WEBP"}[format])
    return base64.b64encode(out.getvalue()).decode()
