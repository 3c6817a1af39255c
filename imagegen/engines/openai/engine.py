"""OpenAI's image API, and all that speak it: LiteLLM, Azure, xAI.

`POST …/images/generations` with JSON and `POST …/images/edits` with a form (JSON at xAI) are answered by
`{"data": [{"b64_json" or "url", "revised_prompt"}]}`. LiteLLM sends both keys, one of them null, and hands
through its provider's URLs. `POST …/chat/completions` polishes prompts.
Sources: the openai package's type definitions, and the answers recorded in tests/fakes/recordings.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any

from imagegen.engines.addresses import Target
from imagegen.engines.base import (
    Call,
    Capabilities,
    EditRequest,
    Engine,
    EngineImage,
    ImageRequest,
    Model,
)
from imagegen.engines.errors import (
    BadEngineResponse,
    EngineError,
    PromptRejected,
)
from imagegen.engines.http import Body, Client
from imagegen.engines.openai.answers import blocked, day, inline, items, link, number, refused, said
from imagegen.engines.openai.dialects import AZURE, XAI, Dialect, dialect
from imagegen.engines.openai.models import SHUTDOWN, names_an_image_model
from imagegen.engines.openai.payloads import Rules, build, build_edit
from imagegen.engines.openai.refusals import dollars, explain
from imagegen.engines.replies import Reply, load, load_decoded
from imagegen.engines.spool import Answer

logger = logging.getLogger(__name__)

INLINE = 1024 * 1024
"""Bytes: a larger answer holds its pictures inline, so no URL is looked for in it."""

KEPT_HEADERS = {"x-request-id": "request_id", "x-litellm-call-id": "litellm_call_id"}
KEPT_FIELDS = ("background", "output_format", "quality", "size")


class OpenAI(Engine):
    """OpenAI Images and compatible servers."""

    name = "openai"
    label = "OpenAI, LiteLLM, Azure OpenAI, xAI"
    has_chat = True
    default_base_url = "https://api.openai.com/v1"
    default_model = "gpt-image-2"

    def capabilities(self, model: str) -> Capabilities:
        return self._rules(model).capabilities

    def build_payload(self, request: ImageRequest) -> dict[str, Any]:
        return build(request, self._rules(request.model))

    def build_edit(self, request: EditRequest) -> Body:
        return build_edit(request, self._rules(request.model))

    def _generate(self, request: ImageRequest, call: Call) -> Answer:
        path = dialect(self.config).generations(self._model(request.model))
        return self._ask(path, Body.json(self.build_payload(request)), call)

    def _edit(self, request: EditRequest, call: Call) -> Answer:
        path = dialect(self.config).edits(self._model(request.model))
        with call.gate():
            body = self.build_edit(request)
        return self._ask(path, body, call)

    def _complete(self, instruction: str, text: str, *, deadline: float) -> str:
        """No temperature and no limit go along: some models refuse them."""
        spoken, model = dialect(self.config), self._model("")
        messages = [{"role": "system", "content": instruction}, {"role": "user", "content": text}]
        payload = {"messages": messages} | ({"model": model} if spoken.deployment is None else {})
        reply = self._client(spoken).exchange(
            "POST", spoken.chat(model), body=Body.json(payload), deadline_at=time.monotonic() + deadline
        )
        return said(reply.json())

    def _ask(self, path: str, body: Body, call: Call) -> Answer:
        spoken = dialect(self.config)
        client = self._client(spoken)
        reply = client.receive("POST", path, call.spool, body=body, deadline_at=call.deadline_at)
        try:
            return self._collect(reply, client, call, cost_in_body=spoken.name == XAI)
        except EngineError:
            call.spool.clear()
            raise

    def _collect(self, reply: Reply, client: Client, call: Call, *, cost_in_body: bool) -> Answer:
        """The answer, with those pictures fetched to which it only has URLs."""
        answer = Answer(
            body=call.spool.body,
            meta={name: reply.headers[key] for key, name in KEPT_HEADERS.items() if key in reply.headers},
            cost=number(reply.headers.get("x-litellm-response-cost")),
        )
        if answer.size() > INLINE and not cost_in_body:
            return answer
        with call.gate():
            whole = load(call.spool.body)
            links = _links(whole)
            here = bool(links) and any(inline(item) for item in items(whole))
            answer.cost = dollars(whole) if answer.cost is None else answer.cost
            del whole
        failure = self._fetch(links, answer, client, call)
        if failure and not answer.pictures and not here:
            failure.cost = answer.cost
            raise failure
        return answer

    def _fetch(self, links: dict[int, str], answer: Answer, client: Client, call: Call) -> EngineError | None:
        """Add the linked pictures to the answer; return the last failure, if there was one."""
        failure = None
        for k, url in links.items():
            try:
                client.fetch_picture(url, call.spool.picture(k), deadline_at=call.deadline_at)
            except EngineError as error:
                logger.warning("%s: picture %d was not fetched: %s", self.config.name, k, error.detail)
                failure = error
            else:
                answer.pictures.append(call.spool.picture(k))
        if failure:
            answer.meta["pictures_failed"] = len(links) - len(answer.pictures)
        return failure

    def _recover(self, call: Call) -> Answer:
        answer = super()._recover(call)
        if answer.body is not None:
            links = _links(load(answer.body))
            missing = {k: url for k, url in links.items() if not call.spool.picture(k).exists()}
            if missing:
                self._fetch(missing, answer, self._client(dialect(self.config)), call)
        return answer

    def _parse(self, answer: Answer) -> list[EngineImage]:
        if answer.body is None:
            raise BadEngineResponse(detail="there is no answer to read", may_have_charged=True)
        whole = load_decoded(answer.body)
        meta = {name: whole[name] for name in KEPT_FIELDS if isinstance(whole.get(name), str)}
        fetched = {int(path.name.split(".")[-2]): path for path in answer.pictures}
        images = []
        for k, item in enumerate(items(whole)):
            data = fetched[k].read_bytes() if k in fetched else inline(item)
            if data and not blocked(item):
                revised = item.get("revised_prompt")
                revised = revised if isinstance(revised, str) else ""
                images.append(EngineImage(data, revised_prompt=revised, meta=meta))
        if images:
            return images
        if refused(whole):
            detail = "content policy: a 200 without a picture"
            raise PromptRejected(detail=detail, may_have_charged=True, cost=answer.cost)
        detail = f"no picture in an answer with {sorted(whole)}"
        raise BadEngineResponse(detail=detail[:200], may_have_charged=True, cost=answer.cost)

    def _check(self) -> str:
        spoken = dialect(self.config)
        listed = self._listed(spoken)
        if spoken.name == AZURE:
            return "Azure accepts the key. It does not list its deployments: name them in the connection."
        found = f"{len(listed)} models, {len(self._image_models(listed))} of them known to make pictures."
        wanted = self.config.model
        if wanted and wanted not in {entry["id"] for entry in listed}:
            return f"{found} {wanted!r} is not among them."
        return found

    def _models(self) -> list[Model]:
        """Live, where there is a list of image models; the connection's own model is always among them.

        Raises EngineError where the server cannot be asked. Azure lists models and not deployments, and
        is never asked.
        """
        spoken = dialect(self.config)
        if spoken.name == AZURE:
            return super()._models()
        live = self._image_models(self._listed(spoken))
        if not live:
            return super()._models()
        own = self.config.model
        return live if not own or own in {model.id for model in live} else [Model(own), *live]

    def _listed(self, spoken: Dialect) -> list[dict[str, Any]]:
        """`GET …/models`: entries with an id. LiteLLM's `/health` would make paid pictures; this is free."""
        whole = self._client(spoken).exchange("GET", spoken.models).json()
        entries = whole.get("data") if isinstance(whole, dict) else None
        if not isinstance(entries, list):
            raise BadEngineResponse(detail="the list of models has another shape than OpenAI's")
        return [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)]

    def _image_models(self, listed: list[dict[str, Any]]) -> list[Model]:
        """Those that make pictures, by LiteLLM's `mode` or by their id; at its maker, those still on."""
        ends = SHUTDOWN.get(Target.parse(self.config.base_url).host)
        today = datetime.now(UTC).date().isoformat()
        found = []
        for entry in listed:
            id, mode = entry["id"], entry.get("mode")
            if not (mode == "image_generation" if mode else names_an_image_model(id)):
                continue
            shutdown = "" if ends is None else day(entry.get("shutdown_date")) or ends.get(id, "")
            if not shutdown or shutdown > today or id == self.config.model:
                found.append(Model(id, shutdown=shutdown))
        return found

    def _client(self, spoken: Dialect) -> Client:
        return Client(
            self.config,
            base_url=spoken.base_url,
            credentials=spoken.credentials(self.config.key),
            explain=explain,
        )

    def _model(self, asked: str) -> str:
        return asked or self.config.model or self.default_model

    @cached_property
    def _rules(self) -> Callable[[str], Rules]:
        """Those of a model, worked out once: a request asks for them again and again."""
        config, default = self.config, self._model("")
        return cache(lambda model: Rules(config, model or default))


def _links(whole: dict[str, Any]) -> dict[int, str]:
    """Of the pictures that lie elsewhere: their place in the answer, and their URL."""
    return {k: item["url"] for k, item in enumerate(items(whole)) if link(item.get("url"))}
