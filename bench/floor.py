"""The floor: the least that a Python service under gunicorn can do for a picture.

Asks the engine at BENCH_ENGINE over a fresh connection, takes the answer in pieces, reads its JSON, decodes
the picture, makes sure that it is a whole one, and answers with its type and size. No framework, no users, no
database, no file. Served as Easel is: `gunicorn -c python:bench.floor_gunicorn bench.floor:application`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

import orjson
import pybase64
from PIL import Image
from urllib3 import HTTPConnectionPool
from urllib3.util import parse_url

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PIECE = 64 * 1024
ENGINE = parse_url(os.environ["BENCH_ENGINE"])


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    asked = orjson.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    order = orjson.dumps({"model": "mock", "prompt": asked["prompt"], "size": asked["size"], "n": 1})
    picture = pybase64.b64decode(orjson.loads(ask(order))["data"][0]["b64_json"], validate=True)
    body = orjson.dumps([look_at(picture)])
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def look_at(picture: bytes) -> dict[str, str | int]:
    """Raises where it is no picture, or its checksums are wrong."""
    image = Image.open(BytesIO(picture), formats=["PNG", "JPEG", "WEBP"])
    image.verify()
    kind = Image.MIME[image.format or ""]
    return {"content_type": kind, "width": image.width, "height": image.height, "size": len(picture)}


def ask(order: bytes) -> bytes:
    """The engine's whole answer."""
    headers = {"Content-Type": "application/json"}
    with HTTPConnectionPool(ENGINE.host, ENGINE.port, retries=False) as pool:
        answer = pool.request(
            "POST", "/images/generations", body=order, headers=headers, preload_content=False
        )
        return b"".join(answer.stream(PIECE))
