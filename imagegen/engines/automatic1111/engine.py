"""AUTOMATIC1111's web UI and its relatives, over `/sdapi/v1`.

One request makes the pictures and is answered when they are done. Forge speaks the same API;
stable-diffusion.cpp speaks a part of it: no `n_iter`, no progress, no interrupt, one model.
"""

from __future__ import annotations

import base64
import logging
import time
from contextlib import nullcontext, suppress
from functools import cached_property
from typing import Any

from imagegen.engines.automatic1111 import answers, jobs, payloads, sampling
from imagegen.engines.automatic1111.jobs import API, PROGRESS
from imagegen.engines.automatic1111.refusals import NoSuchAddress, explain
from imagegen.engines.base import (
    EDIT,
    GENERATE,
    Call,
    Capabilities,
    EditRequest,
    Engine,
    EngineImage,
    ImageRequest,
    Model,
)
from imagegen.engines.errors import BadEngineResponse, EngineError, EngineTimeout
from imagegen.engines.http import QUICK, Body, Client
from imagegen.engines.spool import Answer

logger = logging.getLogger(__name__)

PER_CALL = 4
"""Pictures per job. What one deadline and one answer in memory should hold; more come from further jobs."""

ASIDE = 2.0
"""Seconds, of a call's own, that are kept for stopping a job that takes too long."""

NO_PROGRESS = "stable-diffusion.cpp"


class Automatic1111(Engine):
    """AUTOMATIC1111, Forge and stable-diffusion.cpp.

    The key is `user:password`, as the server's `--api-auth` has it; one without a colon goes out as a
    Bearer token, for a proxy in front.
    """

    name = "automatic1111"
    label = "AUTOMATIC1111, Forge, stable-diffusion.cpp"

    _known: tuple[sampling.Entries | None, sampling.Entries | None] | None = None

    def capabilities(self, model: str) -> Capabilities:
        return Capabilities(
            operations=frozenset({GENERATE, EDIT}),
            sizes=payloads.SIZES,
            per_call=PER_CALL,
            edit_sources=1,
            mask=True,
            negative_prompt=True,
            steps=True,
            seed=True,
            progress=True,
        )

    def build_payload(self, request: ImageRequest, *, iterates: bool = True) -> dict[str, Any]:
        """The JSON that asks for pictures; sampler and scheduler as staff spelt them."""
        return payloads.build(request, self.config, iterates=iterates)

    def _generate(self, request: ImageRequest, call: Call) -> Answer:
        return self._make(f"{API}/txt2img", request, call)

    def _edit(self, request: EditRequest, call: Call) -> Answer:
        return self._make(f"{API}/img2img", request, call)

    def _make(self, path: str, request: ImageRequest, call: Call) -> Answer:
        task = _task(call)
        try:
            iterates = request.n == 1 or self._iterates(call.deadline_at)
            chosen = self._sampling(call.deadline_at)
        except EngineError as error:
            error.may_have_charged = False  # nothing was asked for yet
            raise
        with call.gate() if isinstance(request, EditRequest) else nullcontext():
            payload = self.build_payload(request, iterates=iterates) | chosen | {"force_task_id": task}
            body = Body.json(payload)
            del payload
        until = call.deadline_at - min(ASIDE, call.remaining() / 5)
        try:
            self._client.receive("POST", path, call.spool, body=body, deadline_at=until)
        except EngineTimeout as error:
            if error.may_have_charged:
                self._stop(task, call.deadline_at)
            raise
        return Answer(body=call.spool.body, meta=self._interrupted(call.deadline_at))

    def _iterates(self, deadline_at: float) -> bool:
        """Whether the server knows `n_iter`. stable-diffusion.cpp makes `batch_size` pictures one after
        the other and passes over `n_iter`; it is told by its lack of a progress address."""
        return jobs.ask(self._client, PROGRESS, deadline_at=deadline_at) is not None

    def _sampling(self, deadline_at: float) -> dict[str, str]:
        """Sampler and scheduler in the server's own spelling. Raises EngineMisconfigured."""
        asked = sampling.wanted(self.config.parameters)
        if not asked:
            return {}
        return sampling.choose(asked, *self._lists(deadline_at))

    def _lists(self, deadline_at: float) -> tuple[sampling.Entries | None, sampling.Entries | None]:
        """Samplers and schedulers, asked for once: a request of many pictures is several calls."""
        if self._known is None:
            samplers = self._list("samplers", "name", deadline_at)
            self._known = samplers, self._list("schedulers", "name", deadline_at)
        return self._known

    def _list(self, what: str, key: str, deadline_at: float) -> sampling.Entries | None:
        """`GET /sdapi/v1/<what>`: the entries that have a `key`; None where the server has no such list."""
        listed = jobs.ask(self._client, f"{API}/{what}", deadline_at=deadline_at)
        if listed is None:
            return None
        if not isinstance(listed, list):
            raise BadEngineResponse(detail=f"the list of {what} is no list")
        return [entry for entry in listed if isinstance(entry, dict) and _text(entry.get(key))]

    def _stop(self, task: str, deadline_at: float) -> None:
        """Interrupt our job, which runs on although we have hung up.

        `/interrupt` stops whatever runs. So the server is asked whether that is our job; where it cannot
        tell jobs apart, what runs is taken for ours unless staff set `interrupt_on_timeout` to false.
        """
        if self.config.parameters.get("interrupt_on_timeout") is False:
            return
        by = min(deadline_at, time.monotonic() + ASIDE)
        try:
            job = jobs.look(self._client, task, deadline_at=by)
            if job and job.running:
                self._client.exchange("POST", f"{API}/interrupt", deadline_at=by)
                logger.warning("%s: interrupted a job at its deadline (%s)", self.config.name, task)
        except EngineError as error:
            logger.warning("%s: a job past its deadline was not stopped: %s", self.config.name, error.detail)

    def _interrupted(self, deadline_at: float) -> dict[str, Any]:
        """A job that someone else interrupts is answered like any other, with unfinished pictures. Only
        the server's state says so, until the next job starts."""
        state = None
        with suppress(EngineError):
            by = min(deadline_at, time.monotonic() + ASIDE)
            state = jobs.state_of(jobs.ask(self._client, PROGRESS, deadline_at=by))
        return {"interrupted": True} if state and state.get("interrupted") is True else {}

    def progress(self, call: Call) -> float | None:
        """How far the job of `call` is, 0 to 1; None where the server does not tell.

        A server without its web UI tells of whatever runs. Raises EngineError.
        """
        job = jobs.look(self._client, _task(call), deadline_at=time.monotonic() + QUICK)
        return job.progress if job else None

    def _parse(self, answer: Answer) -> list[EngineImage]:
        if answer.body is None:
            raise BadEngineResponse(detail="there is no answer to read", may_have_charged=True)
        reading = answers.read(answer.body)
        facts = reading.facts()
        if len(reading.made) < reading.expected:
            facts["interrupted"] = True
        if facts.get("interrupted") or answer.meta.get("interrupted"):
            count = f"{len(reading.made)} of {reading.expected} pictures"
            logger.warning("%s: the job was interrupted, with %s", self.config.name, count)
        images = []
        for picture in reading.made:
            meta = dict(facts)
            if substituted := reading.substituted(picture.data):
                meta["substituted"] = substituted
                told = self.redact.within(substituted)
                logger.warning("%s: the server ran something else: %s", self.config.name, told)
            images.append(EngineImage(picture.data, seed=picture.seed, meta=meta))
        return images

    def _check(self) -> str:
        deadline_at = time.monotonic() + QUICK
        names = [entry["title"] for entry in self._checkpoints(deadline_at)]
        self._sampling(deadline_at)
        loaded = self._loaded(deadline_at)
        found = f"{self._kind(deadline_at)}. Models: {len(names)}. Loaded: {loaded or 'none'}."
        wanted = self.config.model
        if wanted and answers.plain_name(wanted) not in map(answers.plain_name, names):
            return f"{found} {wanted!r} is not among the models."
        return found

    def _models(self) -> list[Model]:
        """The server's checkpoints: `title` is the id, as in its own settings, `model_name` the name.

        Raises EngineError.
        """
        listed = self._checkpoints(time.monotonic() + QUICK)
        return [
            Model(entry["title"], _text(entry.get("model_name"))) for entry in listed
        ] or super()._models()

    def _checkpoints(self, deadline_at: float) -> sampling.Entries:
        listed = self._list("sd-models", "title", deadline_at)
        if listed is None:
            raise NoSuchAddress(detail="the server has no /sdapi/v1/sd-models: start it with --api")
        return listed

    def _loaded(self, deadline_at: float) -> str:
        options = jobs.ask(self._client, f"{API}/options", deadline_at=deadline_at)
        return _text(options.get("sd_model_checkpoint")) if isinstance(options, dict) else ""

    def _kind(self, deadline_at: float) -> str:
        """Which of the three this is, by what the others lack: none of them says."""
        if not self._iterates(deadline_at):
            return NO_PROGRESS
        modules = jobs.ask(self._client, f"{API}/sd-modules", deadline_at=deadline_at)
        return "AUTOMATIC1111" if modules is None else "Forge"

    @cached_property
    def _client(self) -> Client:
        key, credentials = self.config.key, {}
        if ":" in key:
            credentials["Authorization"] = "Basic " + base64.b64encode(key.encode()).decode()
        elif key:
            credentials["Authorization"] = f"Bearer {key}"
        return Client(self.config, credentials=credentials, explain=explain)


def _task(call: Call) -> str:
    """The id under which the server knows a call's job; the web UI writes its own in this form."""
    return f"task({call.spool.name})"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
