"""One thing that a client wants, and every answer that it got."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

PORTRAIT, GENERATE, EDIT = "portrait", "generate", "edit"
PATHS = {
    PORTRAIT: "/api/mind/profile/generatePortrait",
    GENERATE: "/api/images/generations",
    EDIT: "/api/images/edit",
}
PATIENCE = 180.0
"""Seconds after which a client of ours hangs up: more than anybody may wait."""


@dataclass
class Picture:
    """As an answer named it. `sha256` is known where the answer had the bytes in it."""

    url: str
    edge: int
    sha256: str = ""


@dataclass
class Answer:
    """What came of one attempt. `status` 0: none, and `lost` says why."""

    began: float
    seconds: float
    status: int = 0
    lost: str = ""
    code: str = ""
    message: str = ""
    retry_after: float | None = None
    pictures: list[Picture] = field(default_factory=list)
    trace_id: str = ""
    is_json: bool = True

    @property
    def content(self) -> list[tuple[str, int, str]]:
        """What must be the same whenever a key is used again."""
        return [(picture.url, picture.edge, picture.sha256) for picture in self.pictures]


@dataclass
class Wish:
    """A request, with the key it is repeated under, if any.

    `patience`: seconds until its client goes. `deleted`: URLs of pictures that the client wanted gone, and
    whether it was told that they are.
    """

    tag: str
    user: int
    operation: str
    n: int = 1
    edge: int = 256
    key: str = ""
    source: str = ""
    patience: float | None = None
    answers: list[Answer] = field(default_factory=list)
    deleted: dict[str, bool] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        prompt = f"A lake at dawn, seen from above [{self.tag}]"
        if self.operation == PORTRAIT:
            return {"prompt": prompt}
        body = {"prompt": prompt, "n": self.n, "size": f"{self.edge}x{self.edge}"}
        return body | ({"image": self.source} if self.operation == EDIT else {})

    def ask(self, url: str, token: str) -> Answer:
        """One attempt; its answer is kept."""
        answer = self._go_away(url, token) if self.patience is not None else self._wait(url, token)
        self.answers.append(answer)
        return answer

    def _headers(self, token: str) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return headers | ({"Idempotency-Key": self.key} if self.key else {})

    def _wait(self, url: str, token: str) -> Answer:
        began = time.time()
        try:
            response = requests.post(
                url + PATHS[self.operation], json=self.body, headers=self._headers(token), timeout=PATIENCE
            )
        except requests.RequestException as error:
            return Answer(began, time.time() - began, lost=type(error).__name__)
        return self._read(response, began)

    def _read(self, response: requests.Response, began: float) -> Answer:
        answer = Answer(began, time.time() - began, response.status_code)
        answer.trace_id = response.headers.get("X-Trace-Id", "")
        answer.retry_after = float(response.headers.get("Retry-After", 0)) or None
        try:
            body = response.json()
        except ValueError:
            answer.is_json, answer.message = False, response.text[:500]
            return answer
        if response.ok:
            answer.pictures = _pictures(body)
        else:
            answer.code = str(body.get("code", ""))
            answer.message = str(body.get("detail", body.get("error", "")))
        return answer

    def _go_away(self, url: str, token: str) -> Answer:
        """Send all of it, wait a little, hang up."""
        began, parts, body = time.time(), urlsplit(url), json.dumps(self.body).encode()
        headers = self._headers(token) | {"Host": parts.netloc, "Content-Length": str(len(body))}
        lines = [f"POST {PATHS[self.operation]} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        try:
            with socket.create_connection((parts.hostname or "", parts.port or 80), 10) as sock:
                sock.sendall("\r\n".join([*lines, "", ""]).encode() + body)
                time.sleep(self.patience or 0)
        except OSError as error:
            return Answer(began, time.time() - began, lost=type(error).__name__)
        return Answer(began, time.time() - began, lost="went away")


def _pictures(body: Any) -> list[Picture]:
    if isinstance(body, list):
        return [Picture(item["url"], item["width"]) for item in body]
    portrait = body["portrait"]
    data = base64.b64decode(portrait["imageBase64"])
    return [Picture(portrait["imageUrl"], 512, hashlib.sha256(data).hexdigest())]
