"""ComfyUI's HTTP API, as far as it is used here.

Every path is served under `/api` too, so a base URL that ends in `/api` works as it is.
Sources: server.py of ComfyUI 0.8.0, and tests/fakes/recordings/comfyui-0.8.0.json.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from imagegen.engines.base import EngineConfig
from imagegen.engines.comfyui.outcomes import File, explain, explain_missing
from imagegen.engines.comfyui.sources import Upload
from imagegen.engines.errors import BadEngineResponse
from imagegen.engines.http import Body, Client

ONE_LOOK = 15.0
"""Seconds for one look at history or queue: a server that loads a model answers late."""

LONG = 32 * 1024 * 1024
"""Bytes: `/queue` repeats every waiting graph, a history entry its own."""

FOLDER = "easel"
"""Of the server's input folder: where uploads go."""


class Server:
    """One ComfyUI. All methods raise EngineError."""

    def __init__(self, config: EngineConfig) -> None:
        sent = credentials(config.key)
        self._client = Client(config, credentials=sent, explain=explain)
        self._files = Client(config, credentials=sent, explain=explain_missing)
        self.scrub = self._client.scrub

    def submit(self, payload: Mapping[str, Any], deadline_at: float) -> tuple[str, dict[str, Any]]:
        """Queue a prompt; return its id and the faults of those parts of the graph that will not run.

        The id is the one in the payload, except on servers that are too old to take it.
        """
        body = self._json("POST", "/prompt", payload, deadline_at)
        id, errors = body.get("prompt_id"), body.get("node_errors")
        if not isinstance(id, str) or not id:
            raise BadEngineResponse(detail="/prompt answered without a prompt_id", may_have_charged=True)
        return id, errors if isinstance(errors, dict) else {}

    def history(self, id: str, deadline_at: float) -> dict[str, Any] | None:
        """What became of a prompt; None while it waits or runs, and for one that nobody knows."""
        known = self._json("GET", f"/history/{quote(id, safe='')}", None, _one_look(deadline_at))
        if known and not isinstance(known.get(id), dict):
            raise BadEngineResponse(detail="/history has another shape than ComfyUI's")
        return known.get(id)

    def place(self, id: str, deadline_at: float) -> str:
        """`running`, `pending`, or empty for a prompt that is not in the queue."""
        queue = self._json("GET", "/queue", None, _one_look(deadline_at))
        for place in ("running", "pending"):
            items = queue.get(f"queue_{place}")
            if not isinstance(items, list):
                raise BadEngineResponse(detail="/queue has another shape than ComfyUI's")
            if any(isinstance(item, list) and id in item[1:2] for item in items):
                return place
        return ""

    def withdraw(self, id: str, deadline_at: float) -> None:
        """Take a prompt out of the queue, or stop it where it runs; no other prompt is touched.

        Older servers ignore the id and stop whatever runs, so the queue is looked at first.
        """
        self._client.exchange(
            "POST", "/queue", body=Body.json({"delete": [id]}), deadline_at=_one_look(deadline_at)
        )
        if self.place(id, deadline_at) == "running":
            body = Body.json({"prompt_id": id})
            self._client.exchange("POST", "/interrupt", body=body, deadline_at=_one_look(deadline_at))

    def upload(self, picture: Upload, deadline_at: float) -> str:
        """Store a source; return the name by which a node loads it: the server may choose another."""
        name = f"{uuid.uuid4().hex}{picture.suffix}"
        form = Body.form(
            [
                ("image", (name, picture.data, picture.content_type)),
                ("type", "input"),
                ("subfolder", FOLDER),
            ]
        )
        stored = self._client.exchange("POST", "/upload/image", body=form, deadline_at=deadline_at).json()
        if not isinstance(stored, dict) or not isinstance(stored.get("name"), str):
            raise BadEngineResponse(detail="/upload/image answered without a name")
        subfolder = stored.get("subfolder")
        return f"{subfolder}/{stored['name']}" if subfolder else stored["name"]

    def download(self, file: File, to: Path, deadline_at: float) -> None:
        """Copy a picture to the file `to`."""
        asked = urlencode({"filename": file.filename, "subfolder": file.subfolder, "type": file.type})
        self._files.download("GET", f"/view?{asked}", to, deadline_at=deadline_at)

    def system(self, deadline_at: float) -> dict[str, Any]:
        """`{"system": {"comfyui_version", …}, "devices": [{"name", …}]}`."""
        return self._json("GET", "/system_stats", None, deadline_at)

    def node(self, kind: str, deadline_at: float) -> dict[str, Any] | None:
        """What a kind of node takes; None for a kind that the server does not have."""
        info = self._json("GET", f"/object_info/{quote(kind, safe='')}", None, deadline_at).get(kind)
        return info if isinstance(info, dict) else None

    def _json(self, method: str, path: str, sent: object, deadline_at: float) -> dict[str, Any]:
        body = None if sent is None else Body.json(sent)
        reply = self._client.exchange(method, path, body=body, deadline_at=deadline_at, limit=LONG)
        answer = reply.json()
        if not isinstance(answer, dict):
            raise BadEngineResponse(detail=f"{path.split('/')[1]} answered with JSON that is no object")
        return answer


def credentials(key: str) -> dict[str, str]:
    """`user:password` is for a proxy's basic auth, anything else a bearer token: ComfyUI itself has none."""
    if not key:
        return {}
    if ":" in key:
        return {"Authorization": f"Basic {base64.b64encode(key.encode()).decode()}"}
    return {"Authorization": f"Bearer {key}"}


def choices(info: Mapping[str, Any], key: str) -> list[str]:
    """The values that an input may have: `[[…], {…}]`, or `["COMBO", {"options": […]}]` on newer nodes."""
    inputs = info.get("input")
    for kind in ("required", "optional"):
        named = inputs.get(kind) if isinstance(inputs, dict) else None
        match named.get(key) if isinstance(named, dict) else None:
            case [list(values), *_] | ["COMBO", {"options": list(values)}, *_]:
                return [value for value in values if isinstance(value, str)]
    return []


def _one_look(deadline_at: float) -> float:
    return min(deadline_at, time.monotonic() + ONE_LOOK)
