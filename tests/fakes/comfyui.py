"""ComfyUI 0.8.0, as far as a client sees it: see recordings/comfyui-0.8.0.json.

It validates graphs, runs them one at a time in a thread of its own, keeps what the last one made in a
cache, and forgets nothing else. `tests/fakes/test_comfyui.py` holds it against the recordings.
"""

from __future__ import annotations

import base64
import io
import json
import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Self

from tests.fakes.comfyui_nodes import CHECKPOINTS, NODES, Kitchen, object_info, validate
from tests.fakes.server import FakeServer, Request, Response

OK = Response()


class Interrupted(Exception):
    pass


@dataclass
class Prompt:
    number: float
    id: str
    graph: dict[str, Any]
    extra: dict[str, Any]
    outputs: list[str]
    interrupted: threading.Event = field(default_factory=threading.Event)

    @property
    def item(self) -> list[Any]:
        return [self.number, self.id, self.graph, self.extra, self.outputs]


class ComfyUI(FakeServer):
    """One server, without a GPU.

    Args:
        key: asked for by the proxy in front; `user:password` for basic auth.
        step_seconds: what a sampler's step takes.
        old: takes no `prompt_id`, and `/interrupt` stops whatever runs.
        struck: paths that a fault strikes, as a pattern.
    """

    def __init__(
        self, *, key: str = "", step_seconds: float = 0.0, old: bool = False, struck: str = "/prompt"
    ) -> None:
        super().__init__()
        self.key, self.step_seconds, self.old, self.struck = key, step_seconds, old, struck
        self.files: dict[tuple[str, str, str], bytes] = {}
        self.pending: list[Prompt] = []
        self.running: Prompt | None = None
        self.history: dict[str, Any] = {}
        self.most_at_once = 0
        self._number = 0
        self._saved: dict[str, int] = {}
        self._cache: dict[str, Any] = {}
        self._changed = threading.Condition()
        self._worker = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        super().__enter__()
        self._worker.start()
        return self

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        with self._changed:
            if self.running:
                self.running.interrupted.set()
            self._changed.notify_all()
        self._worker.join()

    @property
    def queued(self) -> int:
        with self._changed:
            return len(self.pending) + (self.running is not None)

    def restart(self) -> None:
        """Queue, history and cache live in memory."""
        with self._changed:
            if self.running:
                self.running.interrupted.set()
            self._changed.wait_for(lambda: self.running is None, 5)
            self.pending, self.history, self._cache = [], {}, {}

    def prompts(self) -> list[dict[str, Any]]:
        """The bodies of all `POST /prompt`."""
        posted = (request for request in self.requests if request.method == "POST")
        return [request.json for request in posted if request.path.removeprefix("/api") == "/prompt"]

    def faulty(self, request: Request) -> bool:
        return re.fullmatch(self.struck, request.path.removeprefix("/api")) is not None

    def reply(self, request: Request) -> Response:
        if self.key and request.headers.get("authorization") != self._authorization():
            return Response(401, b"Unauthorized", {"www-authenticate": 'Basic realm="ComfyUI"'})
        path = request.path.removeprefix("/api")
        match [request.method, *path.strip("/").split("/")]:
            case ["POST", "prompt"]:
                return self._prompt(request)
            case ["GET", "prompt"]:
                return Response.json({"exec_info": {"queue_remaining": self.queued}})
            case ["GET", "history", id]:
                with self._changed:
                    return Response.json({id: self.history[id]} if id in self.history else {})
            case ["GET", "queue"]:
                return self._queue()
            case ["POST", "queue"]:
                return self._change_queue(request.json)
            case ["POST", "interrupt"]:
                return self._interrupt(request.json if request.body else {})
            case ["POST", "upload", "image"]:
                return self._upload(request)
            case ["GET", "view"]:
                return self._view({name: values[0] for name, values in request.query.items()})
            case ["GET", "object_info", kind]:
                return Response.json({kind: object_info(kind)} if kind in NODES else {})
            case ["GET", "models", "checkpoints"]:
                return Response.json(CHECKPOINTS)
            case ["GET", "system_stats"]:
                system = {"os": "linux", "comfyui_version": "0.8.0", "python_version": "3.11.2", "argv": []}
                return Response.json({"system": system, "devices": [{"name": "cpu", "type": "cpu"}]})
        return Response(404)

    def _authorization(self) -> str:
        if ":" in self.key:
            return f"Basic {base64.b64encode(self.key.encode()).decode()}"
        return f"Bearer {self.key}"

    def _prompt(self, request: Request) -> Response:
        try:
            asked = request.json
        except json.JSONDecodeError:
            body = b"500 Internal Server Error\n\nServer got itself in trouble"
            return Response(500, body, {"content-type": "text/plain; charset=utf-8"})
        with self._changed:
            number: float = self._number
            if "number" in asked:
                number = float(asked["number"])
            else:
                self._number += 1
        if "prompt" not in asked:
            return _refused("no_prompt", "No prompt provided", "No prompt provided")
        graph = asked["prompt"]
        for id, node in graph.items():
            if not isinstance(node, dict) or "class_type" not in node:
                message = "Cannot execute because a node is missing the class_type property."
                return _refused("invalid_prompt", message, f"Node ID '#{id}'")
            if node["class_type"] not in NODES:
                message = f"Cannot execute because node {node['class_type']} does not exist."
                return _refused("invalid_prompt", message, f"Node ID '#{id}'")
        if not any(NODES[node["class_type"]].output for node in graph.values()):
            return _refused("prompt_no_outputs", "Prompt has no outputs")
        good, errors = validate(graph, lambda name: self._input(name) is not None)
        if not good:
            return _refused(
                "prompt_outputs_failed_validation", "Prompt outputs failed validation", errors=errors
            )
        id = str(uuid.uuid4()) if self.old else asked.get("prompt_id") or str(uuid.uuid4())
        extra = {**asked.get("extra_data", {}), "create_time": int(time.time() * 1000)}
        if "client_id" in asked:
            extra["client_id"] = asked["client_id"]
        with self._changed:
            self.pending.append(Prompt(number, id, graph, extra, good))
            self.pending.sort(key=lambda prompt: prompt.number)
            self.most_at_once = max(self.most_at_once, self.queued)
            self._changed.notify_all()
        return Response.json({"prompt_id": id, "number": number, "node_errors": errors})

    def _queue(self) -> Response:
        with self._changed:
            running = [self.running.item] if self.running else []
            pending = [prompt.item for prompt in self.pending]
        return Response.json({"queue_running": running, "queue_pending": pending})

    def _change_queue(self, asked: dict[str, Any]) -> Response:
        with self._changed:
            gone = [prompt.id for prompt in self.pending] if asked.get("clear") else asked.get("delete", [])
            self.pending = [prompt for prompt in self.pending if prompt.id not in gone]
        return OK

    def _interrupt(self, asked: dict[str, Any]) -> Response:
        id = None if self.old else asked.get("prompt_id")
        with self._changed:
            if self.running and id in (None, self.running.id):
                self.running.interrupted.set()
        return OK

    def _input(self, name: str) -> bytes | None:
        subfolder, _, filename = name.rpartition("/")
        return self.files.get(("input", subfolder, filename))

    def _upload(self, request: Request) -> Response:
        form = parts(request)
        if "image" not in form:
            return Response(400)
        name, data = form["image"]
        fields = {key: value.decode() for key, (_, value) in form.items() if key != "image"}
        subfolder, type = fields.get("subfolder", ""), fields.get("type", "input")
        if ".." in f"{subfolder}/{name}":
            return Response(400)
        stem, dot, suffix = name.rpartition(".")
        k = 0
        while fields.get("overwrite") != "true" and self.files.get((type, subfolder, name), data) != data:
            k += 1
            name = f"{stem} ({k}){dot}{suffix}"
        self.files[type, subfolder, name] = data
        return Response.json({"name": name, "subfolder": subfolder, "type": type})

    def _view(self, asked: dict[str, str]) -> Response:
        filename, subfolder, type = (
            asked.get("filename", ""),
            asked.get("subfolder", ""),
            asked.get("type", "output"),
        )
        if not filename:
            return Response(404)
        if ".." in filename or type not in ("output", "temp", "input"):
            return Response(400)
        if ".." in subfolder:
            return Response(403)
        data = self.files.get((type, subfolder, filename))
        if data is None:
            return Response(404)
        return Response(
            200, data, {"content-type": "image/png", "content-disposition": f'filename="{filename}"'}
        )

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.pending or self._stopping.is_set())
                if self._stopping.is_set():
                    return
                self.running = self.pending.pop(0)
            entry = _Run(self, self.running).entry()
            with self._changed:
                self.history[self.running.id] = entry
                self.running = None
                self._changed.notify_all()

    def save(self, prefix: str, images: list[Any], type: str) -> list[dict[str, str]]:
        """Keep pictures as SaveImage does, numbered for each prefix."""
        subfolder, _, stem = prefix.rpartition("/")
        files = []
        for image in images:
            self._saved[prefix] = number = self._saved.get(prefix, 0) + 1
            filename = f"{stem}_{number:05}_.png"
            buffer = io.BytesIO()
            image.save(buffer, "PNG")
            self.files[type, subfolder, filename] = buffer.getvalue()
            files.append({"filename": filename, "subfolder": subfolder, "type": type})
        return files


class _Run:
    """One prompt being run."""

    def __init__(self, server: ComfyUI, prompt: Prompt) -> None:
        self.server, self.prompt = server, prompt
        self.kitchen = Kitchen(lambda name: server._input(name) or b"", self._step)
        self.before, self.cache = server._cache, dict[str, Any]()
        self.outputs: dict[str, Any] = {}
        self.executed: list[str] = []
        self.at = ""

    def entry(self) -> dict[str, Any]:
        messages: list[list[Any]] = [["execution_start", self._said()]]
        cached = [id for id in self._needed(self.prompt.outputs) if self._sign(id) in self.before]
        messages.append(["execution_cached", {"nodes": cached, **self._said()}])
        status, end = "success", ["execution_success", self._said()]
        try:
            # Not in the order of the ids: nor does the real one keep it.
            for id in reversed(self.prompt.outputs):
                self._value(id)
        except Interrupted:
            status, end = "error", ["execution_interrupted", {**self._said(), **self._where()}]
        except Exception as error:  # noqa: BLE001 - a node may fail in any way
            kind = type(error)
            module = {"OutOfMemoryError": "torch", "UnidentifiedImageError": "PIL"}.get(
                kind.__name__, kind.__module__
            )
            said = {"exception_message": f"{error}\n", "exception_type": f"{module}.{kind.__name__}"}
            status, end = "error", ["execution_error", {**self._said(), **self._where(), **said}]
        self.server._cache = self.cache
        done = status == "success"
        return {
            "prompt": self.prompt.item,
            "outputs": self.outputs if done else {},
            "status": {"status_str": status, "completed": done, "messages": [*messages, end]},
            "meta": {},
        }

    def _needed(self, ids: list[str]) -> list[str]:
        """These nodes and all that they depend on."""
        found = dict.fromkeys(ids)
        for id in ids:
            links = [v[0] for v in self.prompt.graph[id]["inputs"].values() if isinstance(v, list)]
            found |= dict.fromkeys(self._needed(links))
        return list(found)

    def _said(self) -> dict[str, Any]:
        return {"prompt_id": self.prompt.id, "timestamp": int(time.time() * 1000)}

    def _where(self) -> dict[str, Any]:
        kind = self.prompt.graph[self.at]["class_type"]
        return {"node_id": self.at, "node_type": kind, "executed": self.executed}

    def _step(self) -> None:
        if self.prompt.interrupted.wait(self.server.step_seconds):
            raise Interrupted

    def _sign(self, id: str) -> str:
        """What a node's result depends on."""
        node = self.prompt.graph[id]
        inputs = {
            name: [self._sign(value[0]), value[1]] if isinstance(value, list) else value
            for name, value in node["inputs"].items()
        }
        if node["class_type"].startswith("LoadImage"):
            inputs["content"] = hash(self.server._input(inputs["image"]))
        return json.dumps([node["class_type"], inputs, id], sort_keys=True)

    def _value(self, id: str) -> tuple[Any, ...]:
        sign = self._sign(id)
        kind = self.prompt.graph[id]["class_type"]
        if sign in self.before or sign in self.cache:
            self.cache[sign] = result = self.cache.get(sign, self.before.get(sign))
            if NODES[kind].output and "client_id" in self.prompt.extra:
                self.outputs[id] = {"images": result[0]}
            for value in self.prompt.graph[id]["inputs"].values():
                if isinstance(value, list):
                    self._value(value[0])
            return result
        inputs = {
            name: self._value(value[0])[value[1]] if isinstance(value, list) else value
            for name, value in self.prompt.graph[id]["inputs"].items()
        }
        self.at = id
        if self.prompt.interrupted.is_set():
            raise Interrupted
        if kind == "SaveImage":
            result = (self.server.save(inputs["filename_prefix"], inputs["images"], "output"),)
        elif kind == "PreviewImage":
            prefix = f"ComfyUI_temp_{uuid.uuid4().hex[:5]}"
            result = (self.server.save(prefix, inputs["images"], "temp"),)
        else:
            result = NODES[kind].run(self.kitchen, **inputs)
        self.cache[sign] = result
        self.executed.append(id)
        if NODES[kind].output:
            self.outputs[id] = {"images": result[0]}
        return result


def parts(request: Request) -> dict[str, tuple[str, bytes]]:
    """A multipart form: field -> (file name or empty, content)."""
    boundary = request.headers.get("content-type", "").partition("boundary=")[2].encode()
    found = {}
    for part in request.body.split(b"--" + boundary)[1:-1] if boundary else ():
        head, _, content = part.strip(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]*)"', head)
        filename = re.search(rb'filename="([^"]*)"', head)
        content = part.partition(b"\r\n\r\n")[2][:-2]
        if name:
            found[name[1].decode()] = (filename[1].decode() if filename else "", content)
    return found


def _refused(type: str, message: str, details: str = "", errors: dict[str, Any] | None = None) -> Response:
    error = {"type": type, "message": message, "details": details, "extra_info": {}}
    return Response.json({"error": error, "node_errors": errors or {}}, 400)
