"""What ComfyUI says of a prompt: refused, failed, interrupted or finished, and the files that it made.

Sources: the answers recorded in tests/fakes/recordings/comfyui-0.8.0.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from imagegen.engines.comfyui.workflows import in_order
from imagegen.engines.errors import (
    BadEngineResponse,
    EngineError,
    EngineMisconfigured,
    EngineUnavailable,
)
from imagegen.engines.replies import Reply, Scrub

OUT_OF_MEMORY = "The image engine ran out of memory. Please try a smaller size or fewer pictures."
FAILED = "The image engine failed while it made the picture. If it happens again, tell an administrator."
INTERRUPTED = "The image was interrupted at the image engine. Please try again."
DEQUEUED = "The image was taken out of the image engine's queue. Please try again."
RESTARTED = "The image engine was restarted while it made the picture. Please try again."


class File(NamedTuple):
    """A picture that a node made, by its names on the server. `type` is `output` or `temp`."""

    node: str
    filename: str
    subfolder: str
    type: str


def explain(reply: Reply, scrub: Scrub) -> EngineError | None:
    """A refused prompt, with what is wrong in which node; other refusals need no explaining."""
    if reply.status != 400:
        return None
    try:
        body = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(body, dict) or not isinstance(body.get("error"), dict):
        return None
    said = (_text(body["error"]), *node_errors(body.get("node_errors")))
    return EngineMisconfigured(detail=scrub("; ".join(filter(None, said))))


def explain_missing(reply: Reply, scrub: Scrub) -> EngineError | None:
    """A file that the server itself had named is not there, or cannot be had: not the settings' fault."""
    if reply.status in (400, 403, 404):
        return BadEngineResponse(detail=f"HTTP {reply.status} for a picture that it had named")
    return None


def node_errors(errors: object) -> Iterator[str]:
    """`node 4 (CheckpointLoaderSimple): Value not in list: ckpt_name: …`, one for each fault."""
    for id, node in errors.items() if isinstance(errors, dict) else ():
        if isinstance(node, dict):
            faults = node.get("errors")
            for fault in faults if isinstance(faults, list) else ():
                yield f"node {id} ({node.get('class_type')}): {_text(fault)}"


def broken_outputs(errors: object) -> set[str]:
    """Ids of the output nodes that the faults of a prompt keep from running."""
    nodes = errors.values() if isinstance(errors, dict) else ()
    return {str(id) for node in nodes if isinstance(node, dict) for id in node.get("dependent_outputs") or ()}


def failure(entry: Mapping[str, Any]) -> EngineError | None:
    """Why a prompt in the history did not succeed. `status_str` is `error` for a failure and for an
    interruption alike: only the messages tell."""
    status = entry.get("status")
    if not isinstance(status, dict) or status.get("status_str") != "error":
        return None
    messages = {name: data for name, data in _messages(status) if isinstance(data, dict)}
    if "execution_interrupted" in messages:
        where = _node(messages["execution_interrupted"])
        return EngineUnavailable(INTERRUPTED, detail=f"interrupted at {where}", may_have_charged=True)
    data = messages.get("execution_error", {})
    kind = str(data.get("exception_type"))
    detail = f"failed at {_node(data)}: {kind}: {data.get('exception_message')}"
    if "OutOfMemory" in kind:
        return EngineUnavailable(OUT_OF_MEMORY, detail=detail, may_have_charged=True)
    return BadEngineResponse(FAILED, detail=detail, may_have_charged=True)


def files(entry: Mapping[str, Any], outputs: Sequence[str]) -> list[File]:
    """The pictures of a finished prompt: those of the nodes in `outputs`; where that is empty, all that
    were saved; where none was, the previews. In the order of `outputs`, else of the node ids.

    Raises BadEngineResponse when there is none.
    """
    said = entry.get("outputs")
    made = said if isinstance(said, dict) else {}
    found = [file for id in outputs or in_order(made) for file in _files_of(id, made.get(id))]
    if not outputs:
        saved = [file for file in found if file.type == "output"]
        found = saved or [file for file in found if file.type == "temp"]
    if found:
        return found
    status = entry.get("status")
    cached = dict(_messages(status if isinstance(status, dict) else {})).get("execution_cached")
    all_cached = isinstance(cached, dict) and bool(cached.get("nodes")) and not made
    detail = f"finished, but the wanted nodes ({', '.join(outputs) or 'any'}) made no picture"
    if all_cached:
        detail += ": everything came from the cache; map a seed, so that each prompt differs"
    elif made:
        detail += f"; pictures came from the nodes {', '.join(in_order(made))}"
    raise BadEngineResponse(detail=detail, may_have_charged=True)


def _files_of(id: str, output: object) -> Iterator[File]:
    images = output.get("images") if isinstance(output, dict) else None
    for image in images if isinstance(images, list) else ():
        if isinstance(image, dict) and isinstance(image.get("filename"), str):
            subfolder, type = image.get("subfolder"), image.get("type")
            yield File(id, image["filename"], str(subfolder or ""), str(type or "output"))


def _messages(status: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    messages = status.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, list) and len(message) == 2 and isinstance(message[0], str):
            yield message[0], message[1]


def _node(data: Mapping[str, Any]) -> str:
    return f"node {data.get('node_id')} ({data.get('node_type')})"


def _text(error: object) -> str:
    """`message: details` of an error, whichever there is."""
    parts: Iterable[object] = (error.get("message"), error.get("details")) if isinstance(error, dict) else ()
    return ": ".join(str(part).strip() for part in parts if part)
