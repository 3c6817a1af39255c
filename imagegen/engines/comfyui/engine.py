"""ComfyUI, run by oneself: the connection brings a workflow, each request is written into a copy of it.

`POST /prompt` with the graph, polls of `/history` and `/queue` until it is done, `GET /view` for each
picture. A connection without any workflow runs the starters for plain checkpoints.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from functools import cached_property
from typing import Any

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
    Workflow,
)
from imagegen.engines.comfyui import job, sources
from imagegen.engines.comfyui.server import Server, choices
from imagegen.engines.comfyui.sources import NOTHING, Sources
from imagegen.engines.comfyui.starters import IMG2IMG, INPAINT, TXT2IMG, starter
from imagegen.engines.comfyui.workflows import Template, check_nodes, check_workflow
from imagegen.engines.errors import BadEngineResponse, EngineError, EngineMisconfigured, Unsupported
from imagegen.engines.sizes import OWN_SIZE, AnySize, Size
from imagegen.engines.spool import Answer

logger = logging.getLogger(__name__)

SIZES = AnySize(multiple=8)
"""What a latent can have: it is an eighth as wide and as high as its picture."""

COMFORTABLE = AnySize(multiple=8, max_pixels=1024 * 1024)
"""What the starter scales a source to when no size is asked: checkpoints were trained on no more."""

HIGHEST_SEED = 2**64 - 1
BATCH = 4
"""Pictures of one batch at most, unless the connection's parameters say otherwise: more need memory."""

CHECK_SECONDS = 20.0


class ComfyUI(Engine):
    """One ComfyUI server and the workflows that run on it."""

    name = "comfyui"
    label = "ComfyUI"

    def capabilities(self, model: str) -> Capabilities:
        templates = self._templates
        generate, edit = templates.get(GENERATE), templates.get(EDIT)
        first = generate or edit
        return Capabilities(
            operations=frozenset(templates),
            sizes=SIZES if first and first.takes("width", "height") else OWN_SIZE,
            auto_size=True,
            per_call=self._batch if any(t.takes("n") for t in templates.values()) else 1,
            edit_sources=len(edit.slots("image")) if edit else 0,
            mask=bool(edit and edit.takes("mask")),
            negative_prompt=any(t.takes("negative_prompt") for t in templates.values()),
            steps=any(t.takes("steps") for t in templates.values()),
            seed=any(t.takes("seed") for t in templates.values()),
        )

    @classmethod
    def check_workflow(cls, workflow: Workflow) -> None:
        check_workflow(workflow.graph)
        check_nodes(workflow.graph, workflow.nodes)

    def build_payload(self, request: ImageRequest, *, id: str, uploaded: Sources = NOTHING) -> dict[str, Any]:
        """The JSON that queues one prompt under this id. A seed that the request lacks is the graph's.

        Without a `client_id`, a prompt that is served from the cache has no outputs.
        """
        template = self._template(request)
        values: dict[str, Any] = {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt or None,
            "model": request.model or self.config.model or None,
            "steps": request.steps,
            "seed": request.seed,
            "n": request.n,
            "image": uploaded.images or None,
            "mask": uploaded.mask or None,
        }
        if size := self._size(request, template):
            values |= {"width": size.width, "height": size.height}
        graph = template.fill({type: value for type, value in values.items() if value is not None})
        return {"prompt": graph, "client_id": id.replace("-", ""), "prompt_id": id}

    def _generate(self, request: ImageRequest, call: Call) -> Answer:
        return self._run(request, call)

    def _edit(self, request: EditRequest, call: Call) -> Answer:
        return self._run(request, call)

    def _run(self, request: ImageRequest, call: Call) -> Answer:
        """As many pictures as are asked for; fewer, and the reason in the log, where the later ones fail."""
        template = self._template(request)
        self._check_asked(request, template)
        server = Server(self.config)
        uploaded = self._upload(server, request, template, call)
        working = job.Job(server, template, call)
        for prompt in job.prompts(request, template):
            try:
                working.run(prompt, self.build_payload(prompt, id=str(uuid.uuid4()), uploaded=uploaded))
            except EngineError as error:
                error.detail = server.scrub(error.detail)
                made = len(working.answer.pictures)
                if not made:
                    call.spool.clear()
                    raise
                working.answer.meta["pictures_failed"] = request.n - made
                logger.warning("%s: not all pictures were made: %s", self.config.name, error.detail)
                break
        return working.answer

    def _parse(self, answer: Answer) -> list[EngineImage]:
        """One image for each file; the body, a list in the same order, says which seed it has."""
        known = job.load(answer)
        images = []
        for k, path in sorted((int(path.name.split(".")[-2]), path) for path in answer.pictures):
            record = known[k] if k < len(known) and isinstance(known[k], dict) else {}
            meta = {name: value for name, value in record.items() if name != "seed"}
            images.append(EngineImage(path.read_bytes(), seed=record.get("seed"), meta=meta))
        if not images:
            raise BadEngineResponse(detail="no picture was downloaded", may_have_charged=True)
        return images

    def _check(self) -> str:
        """Version, device and models; that the workflows can be read, and that the server has their nodes."""
        deadline_at = time.monotonic() + CHECK_SECONDS
        server = Server(self.config)
        stats = server.system(deadline_at)
        system, devices = stats.get("system"), stats.get("devices")
        if not isinstance(system, dict) or "comfyui_version" not in system:
            raise EngineMisconfigured(detail="the server answers, but it is not ComfyUI")
        for operation, template in self._templates.items():
            _check_template(operation, template)
            kinds = {node["class_type"] for node in template.graph.values()}
            if lacking := [kind for kind in sorted(kinds) if server.node(kind, deadline_at) is None]:
                raise EngineMisconfigured(
                    detail=f"the server lacks nodes that the workflow for {operation} needs:"
                    f" {', '.join(lacking)}"
                )
        names = [str(device.get("name")) for device in devices or () if isinstance(device, dict)]
        found = f"ComfyUI {system['comfyui_version']} on {', '.join(names) or 'an unknown device'}."
        models = self._live_models(server, deadline_at)
        if not models:
            return f"{found} The workflow decides the model."
        found = f"{found} {len(models)} models."
        wanted = self.config.model
        return f"{found} {wanted!r} is not among them." if wanted and wanted not in models else found

    def _models(self) -> list[Model]:
        """What the node that loads the model can load, the connection's own always among them; where no
        node is mapped for it, what staff listed."""
        live = self._live_models(Server(self.config), time.monotonic() + CHECK_SECONDS)
        if not live:
            return super()._models()
        own = self.config.model
        return [Model(id) for id in dict.fromkeys(filter(None, (*live, own)))]

    def _live_models(self, server: Server, deadline_at: float) -> list[str]:
        for template in self._templates.values():
            for slot in template.slots("model"):
                node = template.graph.get(slot.node)
                kind = node.get("class_type") if isinstance(node, Mapping) else None
                if isinstance(kind, str) and (info := server.node(kind, deadline_at)):
                    return choices(info, slot.key)
        return []

    @cached_property
    def _templates(self) -> dict[str, Template]:
        """Operation -> its workflow. The starters are there only for a connection that has none at all:
        beside a workflow for another kind of model they would fail."""
        if self.config.workflows:
            return {name: Template(workflow) for name, workflow in self.config.workflows.items()}
        return {GENERATE: starter(TXT2IMG), EDIT: starter(INPAINT)}

    @property
    def _batch(self) -> int:
        batch = self.config.parameters.get("batch", BATCH)
        return batch if isinstance(batch, int) and batch > 0 else BATCH

    def _template(self, request: ImageRequest) -> Template:
        if not isinstance(request, EditRequest):
            return self._templates[GENERATE]
        without_mask = not self.config.workflows and request.mask is None
        return starter(IMG2IMG) if without_mask else self._templates[EDIT]

    def _check_asked(self, request: ImageRequest, template: Template) -> None:
        """What could only fail at the server, or would be dropped in silence there."""
        _check_template(EDIT if isinstance(request, EditRequest) else GENERATE, template)
        if not self.config.workflows and not (request.model or self.config.model):
            raise EngineMisconfigured(
                detail="the connection has neither a workflow nor a default model, so the starter workflow"
                " has no checkpoint to load"
            )
        if request.model not in ("", self.config.model) and not template.takes("model"):
            raise EngineMisconfigured(
                detail=f"model {request.model!r} was asked for, but no node of the workflow is mapped for it"
            )
        if request.seed is not None and request.seed + request.n - 1 > HIGHEST_SEED:
            raise Unsupported(f"A seed of this engine is at most {HIGHEST_SEED}.")

    def _size(self, request: ImageRequest, template: Template) -> Size | None:
        """None where the workflow is to decide."""
        if not template.takes("width", "height"):
            return None
        if request.size:
            return SIZES.nearest(request.size)
        if isinstance(request, EditRequest) and request.images and not self.config.workflows:
            return COMFORTABLE.nearest(sources.size_of(request.images[0]))
        return None

    def _upload(self, server: Server, request: ImageRequest, template: Template, call: Call) -> Sources:
        """Nothing has run yet when this fails, so nothing can have been charged."""
        if not isinstance(request, EditRequest):
            return Sources()
        try:
            images = [server.upload(sources.upload(data), call.deadline_at) for data in request.images]
            return Sources(tuple(images), self._upload_mask(server, request, template, call))
        except EngineError as error:
            error.may_have_charged = False
            raise

    def _upload_mask(self, server: Server, request: EditRequest, template: Template, call: Call) -> str:
        """A workflow with a mask always gets one: without one asked, all of the picture may change."""
        if not template.takes("mask") or not request.images:
            return ""
        with call.gate():
            if request.mask is not None:
                mask = sources.mask(request.mask)
            else:
                mask = sources.whole(sources.size_of(request.images[0]))
        return server.upload(mask, call.deadline_at)


def _check_template(operation: str, template: Template) -> None:
    try:
        template.check()
    except ValueError as error:
        raise EngineMisconfigured(detail=f"the workflow for {operation}: {error}") from error
