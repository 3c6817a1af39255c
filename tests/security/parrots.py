"""The fakes of engines, turned hostile: each repeats the key that it is shown, wherever it says something."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image, PngImagePlugin

from tests.fakes import automatic1111, comfyui, gemini, hosted, litellm
from tests.fakes.server import FakeServer, Fault, Response, Wire
from tests.security.leaks import spellings

TOLD = {
    *("revised_prompt", "quality", "background", "modelVersion", "responseId", "prompt", "version"),
    *("sd_model_name", "sampler_name", "comfyui_version", "text", "content", "sd_model_checkpoint"),
}
"""Fields of answers that Easel keeps, shows or compares."""


@dataclass(frozen=True)
class Parrot:
    """An engine as staff set it up, its key, and its fake."""

    engine: str
    key: str
    server: Callable[[str], FakeServer]
    model: str
    module: Any = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @contextmanager
    def running(self, monkeypatch: Any) -> Iterator[FakeServer]:
        if self.module:
            monkeypatch.setattr(self.module, "KEY", self.key)
        with self.server(self.key) as server:
            server.faulty = lambda request: True  # type: ignore[method-assign]
            yield server


OF_OURS = "Vb7-a-password-of-Easel-itself"
TAIL = '-Qz7/Xw9+LkRt<Vb&Jd"PfHm3YcNs5Gg'  # what URLs, HTML and JSON spell in other ways
PARROTS = {
    "openai": Parrot("openai", f"oai{TAIL}", lambda key: hosted.OpenAIAPI(), "gpt-image-2", hosted),
    "azure": Parrot(
        "openai", f"azu{TAIL}", lambda key: hosted.AzureAPI(), "our pictures", hosted, {"dialect": "azure"}
    ),
    "xai": Parrot(
        "openai", f"xai{TAIL}", lambda key: hosted.XaiAPI(), "grok-imagine-image", hosted, {"dialect": "xai"}
    ),
    "litellm": Parrot("openai", f"lit{TAIL}", lambda key: litellm.LiteLLM(), "gpt-image-1", litellm),
    "gemini": Parrot(
        "gemini", f"gem{TAIL}", lambda key: gemini.GeminiAPI(page=99), "gemini-3.1-flash-image", gemini
    ),
    "automatic1111": Parrot(
        "automatic1111", f"staff:{TAIL}", lambda key: automatic1111.Automatic1111(auth=key), ""
    ),
    "comfyui": Parrot(
        "comfyui", f"com{TAIL}", lambda key: comfyui.ComfyUI(key=key), "sd15-random.safetensors"
    ),
    "comfyui behind a proxy": Parrot(
        "comfyui", f"staff:{TAIL}", lambda key: comfyui.ComfyUI(key=key), "sd15-random.safetensors"
    ),
}


def hostilities(key: str) -> dict[str, Fault]:
    """What the server says instead, or beside what it would say."""
    echoes = [*spellings(key).values(), *spellings(key.partition(":")[2]).values()]
    said = f"Incorrect API key provided: {' '.join(dict.fromkeys(filter(None, echoes)))}"
    headers = {
        name: said
        for name in ("x-request-id", "x-litellm-call-id", "www-authenticate", "retry-after", "set-cookie")
    }

    def refuse(status: int, body: Any) -> Fault:
        whole = body if isinstance(body, bytes) else json.dumps(body).encode()
        return lambda wire, response: wire.send(Response(status, whole, headers))

    error = {"message": said, "code": said, "type": said, "status": said, "details": [{"reason": said}]}
    everywhere = {"error": error, "detail": said, "errors": said, "message": said, "node_errors": {said: {}}}
    return {
        "it is friendly": lambda wire, response: wire.send(_beside(response, echoes, said, headers)),
        **{f"HTTP {status}": refuse(status, everywhere) for status in (400, 401, 403, 404, 429, 500, 503)},
        "flat 401": refuse(401, {"code": said, "error": said}),
        "FastAPI's 422": refuse(422, {"detail": [{"loc": [said], "msg": said}]}),
        "a page": refuse(500, f"<html>{said}</html>".encode()),
        "no JSON": refuse(200, said.encode()),
        "another shape": refuse(200, {said: said, "data": {said: said}, "models": said, "images": said}),
        "pictures that are none": refuse(
            200, {said: said, "data": [{"url": said, "b64_json": said}], "images": [said], "candidates": []}
        ),
        "pictures elsewhere": refuse(200, {"data": [{"url": f"http://{_host(url)}"} for url in echoes]}),
        "a redirect": lambda wire, response: wire.send(
            Response(302, b"", {"location": f"http://{_host(key)}/?key={echoes[0]}"})
        ),
        "no HTTP": lambda wire, response: wire.write(f"{said}\r\n\r\n".encode()),
        "a broken chunk": lambda wire, response: wire.write(
            f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{said}\r\n".encode()
        ),
        "cut": lambda wire, response: wire.write(wire.head(Response(200, said.encode() * 9)) + said.encode()),
    }


def too_late(wire: Wire, response: Response) -> None:
    """Says all of it, and does not come to an end."""
    wire.write(wire.head(replace(response, body=response.body + b" " * 999)) + response.body)
    wire.stopping.wait(30)


def _host(text: str) -> str:
    return text.replace("/", "%2f")


def _beside(response: Response, echoes: list[str], said: str, headers: Mapping[str, str]) -> Response:
    """The right answer, with the key in every text, list of names, header and picture that may have it."""
    kept = {name: value for name, value in headers.items() if name != "retry-after"} | dict(response.headers)
    try:
        body = json.dumps(_told(json.loads(response.body), echoes, said)).encode()
    except ValueError:
        body = _signed(response.body, said)
    return replace(response, body=body, headers={**kept, "x-request-id": said})


def _told(value: Any, echoes: list[str], said: str, name: str = "") -> Any:
    match value:
        case {"b64_json": _} | {"bytesBase64Encoded": _}:
            value = {"revised_prompt": "", **value}
        case [{"id": _} | {"title": _} | {"displayName": _}, *_]:
            value = [*value, *(_named(value[0], echo, k) for k, echo in enumerate(echoes))]
        case [str(text), *_] if len(text) < 200:
            return [*value, *echoes]
    match value:
        case dict():
            return {key: _told(item, echoes, said, key) for key, item in value.items()}
        case list():
            return [_told(item, echoes, said, name) for item in value]
        case str() if name == "info":
            return json.dumps(_told(json.loads(value), echoes, said))
        case str() if name in TOLD:
            return f"{value} {said}"
        case str() if len(value) > 1000:
            return base64.b64encode(_signed(base64.b64decode(value), said)).decode()
    return value


def _named(entry: Mapping[str, Any], echo: str, k: int) -> dict[str, Any]:
    """One more model of a list, called as the key is."""
    names = {"id": echo, "title": echo, "model_name": echo, "displayName": echo, "mode": "image_generation"}
    return {**entry, **{key: names[key] for key in names if key in {**entry, "mode": ""}}, "name": (
        f"models/gemini-image-{echo if echo.isalnum() else k}"
    )}  # fmt: skip


def _signed(data: bytes, said: str) -> bytes:
    """The picture, if it is one, with the key in its metadata and behind its end."""
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except OSError:
        return data
    out, note = io.BytesIO(), PngImagePlugin.PngInfo()
    note.add_text("parameters", said)
    options = {"pnginfo": note} if image.format == "PNG" else {"comment": said.encode()}
    image.save(out, image.format, **options)
    return out.getvalue() + said.encode()
