"""What an engine is: what it is given, what it can do, what it returns.

An engine is one class in one file. It declares `Capabilities`, builds a request, waits for the answer
with its bytes on disk, and parses that answer. It reads no settings and no database.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, final

from imagegen.engines.errors import EngineMisconfigured, EngineTimeout, Unsupported
from imagegen.engines.redaction import Redaction
from imagegen.engines.sizes import OWN_SIZE, Size, Sizes
from imagegen.engines.spool import Answer, Spool

GENERATE, EDIT = "generate", "edit"


@dataclass(frozen=True)
class Workflow:
    """A graph that an engine runs, and where a request's values go into it.

    `graph` is ComfyUI's API format: node id -> {class_type, inputs}. `nodes` is the map as Open WebUI
    stores it: `{"type": "prompt" | "width" | …, "key": input name, "node_ids": [id, …]}`.
    """

    graph: Mapping[str, Any]
    nodes: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class EngineConfig:
    """A connection, as its engine sees it.

    Attributes:
        name: what staff call this connection.
        base_url: without a trailing slash; empty for engines that need none.
        key: the credential; hidden from `repr`, so it reaches no log by accident.
        key_is_lost: there is one, but it cannot be decrypted: nothing is sent to the server without it.
        model: the model used when a request names none; may be empty.
        models: what staff listed by hand, for engines that cannot list their own.
        parameters: what staff set for every request, in the engine's own words.
        deadline: seconds that one call may take in all.
        max_answer_bytes: an answer or a downloaded picture larger than this is refused.
        trusted_origins: `scheme://host:port` of further hosts, inside the address guard, from which
            this engine's answers may have their pictures fetched.
        workflows: operation (`generate`, `edit`) -> the graph for it, for engines that run graphs.
    """

    name: str
    base_url: str = ""
    key: str = field(default="", repr=False)
    key_is_lost: bool = False
    model: str = ""
    models: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    deadline: float = 120.0
    max_answer_bytes: int = 128 * 1024 * 1024
    trusted_origins: tuple[str, ...] = ()
    workflows: Mapping[str, Workflow] = field(default_factory=dict)


@dataclass(frozen=True)
class Capabilities:
    """What a model can do. The feature matrix in docs/engines.md is made from these.

    Attributes:
        operations: of `generate`, `edit`.
        sizes: which sizes it makes.
        auto_size: takes `auto`, that is, chooses the size itself when asked to.
        per_call: pictures that one call makes at most; more are made by further calls.
        edit_sources: pictures that an edit takes at most.
        mask: an edit takes a mask.
        negative_prompt, steps, seed: whether these mean anything to it.
        progress: it can tell how far it is.
        max_prompt: characters that a prompt may have; None where no limit is known.
    """

    operations: frozenset[str] = frozenset({GENERATE})
    sizes: Sizes = OWN_SIZE
    auto_size: bool = False
    per_call: int = 1
    edit_sources: int = 0
    mask: bool = False
    negative_prompt: bool = False
    steps: bool = False
    seed: bool = False
    progress: bool = False
    max_prompt: int | None = None


@dataclass(frozen=True)
class ImageRequest:
    """One call for pictures.

    `size` None means that the engine chooses. `n` is at most `Capabilities.per_call`. `seed` is that
    of the first picture; picture k of a call has `seed + k`.
    """

    prompt: str
    model: str = ""
    size: Size | None = None
    n: int = 1
    steps: int | None = None
    negative_prompt: str = ""
    seed: int | None = None


@dataclass(frozen=True)
class EditRequest(ImageRequest):
    """One call that starts from pictures. `images` and `mask` are encoded PNG, JPEG or WebP bytes."""

    images: Sequence[bytes] = ()
    mask: bytes | None = None
    background: str = ""


@dataclass(frozen=True)
class EngineImage:
    """One picture as the engine made it: encoded bytes, unchecked, and what is known of it."""

    data: bytes = field(repr=False)
    seed: int | None = None
    revised_prompt: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """What surrounds one call of an engine.

    Attributes:
        spool: where the answer's bytes go.
        deadline_at: `time.monotonic()` at which the call must have ended.
        gate: held while something picture-sized is in memory, so that only a few are at a time.
    """

    spool: Spool
    deadline_at: float
    gate: Callable[[], AbstractContextManager[Any]]

    def remaining(self) -> float:
        """Seconds left; raises EngineTimeout when there are none."""
        left = self.deadline_at - time.monotonic()
        if left <= 0:
            raise EngineTimeout(detail="the deadline passed before the next request")
        return left


@dataclass(frozen=True)
class Model:
    """A model that can be asked for. `shutdown` is an ISO date, where its maker has set one."""

    id: str
    name: str = ""
    shutdown: str = ""


class Engine(ABC):
    """One kind of image server.

    Subclasses set the class attributes and implement `_generate`, `_parse` and `_check`; those that can,
    `_edit`, `_models`, `_complete`. What these return and raise reaches people, logs and the database through
    the methods below alone, without the connection's key, whatever the server repeats of it.
    """

    name: ClassVar[str]
    """One word, the same everywhere: file, registry, admin, docs, tests."""

    label: ClassVar[str]
    """What staff read."""

    has_chat: ClassVar[bool] = False
    """Whether `complete` is implemented, so that it can polish prompts."""

    needs_base_url: ClassVar[bool] = True
    default_base_url: ClassVar[str] = ""
    default_model: ClassVar[str] = ""

    def __init__(self, config: EngineConfig) -> None:
        self.config = config

    @cached_property
    def redact(self) -> Redaction:
        return Redaction(self.config.key)

    @abstractmethod
    def capabilities(self, model: str) -> Capabilities:
        """What `model` can do, from what is known without asking the server."""

    @classmethod  # noqa: B027 - most engines run no workflow
    def check_workflow(cls, workflow: Workflow) -> None:
        """Look a workflow over before it is stored. Raises ValueError with a sentence for staff."""

    @final
    def generate(self, request: ImageRequest, call: Call) -> Answer:
        """Make `request.n` pictures; return when the whole answer is on disk.

        Raises EngineError. Never repeats a request that may have reached the engine.
        """
        self._check_call(request)
        with self.redact.faults():
            return self._told(self._generate(request, call))

    @final
    def edit(self, request: EditRequest, call: Call) -> Answer:
        """As `generate`, from the pictures in the request."""
        self._check_call(request)
        with self.redact.faults():
            return self._told(self._edit(request, call))

    def _told(self, answer: Answer) -> Answer:
        answer.meta = self.redact.within(answer.meta)
        return answer

    @abstractmethod
    def _generate(self, request: ImageRequest, call: Call) -> Answer: ...

    def _edit(self, request: EditRequest, call: Call) -> Answer:
        raise Unsupported("This engine cannot edit pictures.")

    @final
    def parse(self, answer: Answer) -> list[EngineImage]:
        """The pictures in an answer. Pure: no network, the same for a live answer and a recovered one.

        Raises PromptRejected or BadEngineResponse when there is none.
        """
        redact = self.redact
        with redact.faults():
            return [
                replace(image, revised_prompt=redact(image.revised_prompt), meta=redact.within(image.meta))
                for image in self._parse(answer)
            ]

    @abstractmethod
    def _parse(self, answer: Answer) -> list[EngineImage]: ...

    @final
    def recover(self, call: Call) -> Answer:
        """The answer that a crash left in the spool, completed where it only links to its pictures.

        Raises EngineError.
        """
        with self.redact.faults():
            return self._told(self._recover(call))

    def _recover(self, call: Call) -> Answer:
        return call.spool.found()

    @final
    def check(self) -> str:
        """Reach the engine with these credentials, at no cost; return a line that says what was found.

        Raises EngineError, with what to mend in `detail`.
        """
        with self.redact.faults():
            return self.redact(self._check())

    @abstractmethod
    def _check(self) -> str: ...

    @final
    def complete(self, instruction: str, text: str, *, deadline: float) -> str:
        """A chat model's answer to `text`, within `deadline` seconds, for engines that have one.

        Raises EngineError.
        """
        with self.redact.faults():
            return self.redact(self._complete(instruction, text, deadline=deadline))

    def _complete(self, instruction: str, text: str, *, deadline: float) -> str:
        raise Unsupported("This engine has no chat model.")

    @final
    def models(self) -> list[Model]:
        """Models for generation, live where the engine can tell, else those listed by staff.

        Raises EngineError where the server cannot be asked.
        """
        redact = self.redact
        with redact.faults():
            return [replace(model, id=redact(model.id), name=redact(model.name)) for model in self._models()]

    def _models(self) -> list[Model]:
        listed = dict.fromkeys(filter(None, (self.config.model, *self.config.models)))
        return [Model(id) for id in listed]

    @final
    def check_request(self, request: ImageRequest) -> Capabilities:
        """Refuse what the model cannot do, whatever the number of calls. Raises Unsupported.

        `steps`, `negative_prompt` and a seed are ignored where they mean nothing: the contract says so.
        """
        operation = EDIT if isinstance(request, EditRequest) else GENERATE
        capabilities = self.capabilities(request.model or self.config.model)
        if operation not in capabilities.operations:
            raise Unsupported(f"This model cannot {operation} pictures.")
        if self.needs_base_url and not self.config.base_url:
            raise EngineMisconfigured(detail=f"connection {self.config.name!r} has no base URL")
        if capabilities.max_prompt is not None and len(request.prompt) > capabilities.max_prompt:
            raise Unsupported(f"This model takes prompts of at most {capabilities.max_prompt} characters.")
        if isinstance(request, EditRequest):
            _check_sources(request, capabilities)
        return capabilities

    def _check_call(self, request: ImageRequest) -> None:
        per_call = self.check_request(request).per_call
        if request.n > per_call:
            raise Unsupported(f"This model makes at most {per_call} pictures per call.")


def _check_sources(request: EditRequest, capabilities: Capabilities) -> None:
    if not request.images:
        raise Unsupported("An edit needs a source picture.")
    if len(request.images) > capabilities.edit_sources:
        raise Unsupported(f"This model takes at most {capabilities.edit_sources} source pictures.")
    if request.mask is not None and not capabilities.mask:
        raise Unsupported("This model takes no mask.")
