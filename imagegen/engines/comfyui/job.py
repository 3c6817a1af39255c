"""One call: the prompts that it takes, and what is kept of each picture that they make."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from imagegen.engines.base import Call, ImageRequest
from imagegen.engines.comfyui import outcomes, waiting
from imagegen.engines.comfyui.outcomes import File
from imagegen.engines.comfyui.server import Server
from imagegen.engines.comfyui.workflows import Template
from imagegen.engines.errors import EngineError
from imagegen.engines.spool import Answer

RANDOM_SEEDS = 2**32


@dataclass
class Job:
    """One call at work. The body of its answer is `known`: what is known of each picture, in order."""

    server: Server
    template: Template
    call: Call
    answer: Answer = field(init=False)
    known: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.answer = Answer(body=self.call.spool.answer)

    def run(self, request: ImageRequest, payload: Mapping[str, Any]) -> None:
        """One prompt, from the queue to its pictures on disk. Raises EngineError."""
        id, entry = waiting.run(self.server, payload, self.template, self.call.deadline_at)
        if failure := outcomes.failure(entry):
            raise failure
        files = outcomes.files(entry, self.template.outputs)[: request.n]
        first = len(self.known)
        self.known += records(request, self.template, id, files)
        self.call.spool.answer.write_bytes(orjson.dumps(self.known))
        for k, file in enumerate(files, start=first):
            self._download(file, k)

    def _download(self, file: File, k: int) -> None:
        path = self.call.spool.picture(k)
        try:
            self.server.download(file, path, self.call.deadline_at)
        except EngineError as error:
            error.may_have_charged = True
            raise
        self.answer.pictures.append(path)


def prompts(request: ImageRequest, template: Template) -> Iterator[ImageRequest]:
    """The prompts that a request takes, each with a seed: what is asked twice is not run twice.

    A batch has one seed for all its pictures, so picture k has `seed + k` only when each is a prompt of
    its own. That is done where a seed is asked for; elsewhere a batch is quicker.
    """
    seed = secrets.randbelow(RANDOM_SEEDS) if request.seed is None else request.seed
    if request.n == 1 or (request.seed is None and template.takes("n")):
        yield replace(request, seed=seed)
    else:
        yield from (replace(request, n=1, seed=seed + k) for k in range(request.n))


def records(
    request: ImageRequest, template: Template, id: str, files: Iterable[File]
) -> Iterator[dict[str, Any]]:
    """What is known of each picture. In a batch the seed alone makes only the first one again."""
    for k, file in enumerate(files):
        record: dict[str, Any] = {"prompt_id": id, "node": file.node}
        if template.takes("seed"):
            if k == 0:
                record["seed"] = request.seed
            if request.n > 1:
                record |= {"batch_seed": request.seed, "batch_index": k}
        yield record


def load(answer: Answer) -> list[Any]:
    """The body's list; empty where a crash left none, since the pictures are there without it."""
    if answer.body is None:
        return []
    try:
        found = orjson.loads(answer.body.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return []
    return found if isinstance(found, list) else []
