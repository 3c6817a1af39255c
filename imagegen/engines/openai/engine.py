"""OpenAI's image API, and all that speak it: LiteLLM, Azure, xAI.

`POST …/images/generations` with JSON, answered by `{"data": [{"b64_json" or "url", "revised_prompt"}]}`.
LiteLLM sends both keys, one of them null, and hands through its provider's URLs.
Sources: the openai package's type definitions, and the answers recorded in tests/fakes/recordings.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from imagegen.engines.addresses import Target
from imagegen.engines.base import Answer, Call, Capabilities, Engine, EngineImage, ImageRequest, Model
from imagegen.engines.errors import BadEngineResponse, EngineError, EngineMisconfigured, PromptRejected
from imagegen.engines.http import Body, Client
from imagegen.engines.openai.answers import blocked, day, inline, items, link, number, refused
from imagegen.engines.openai.dialects import AZURE, XAI, Dialect, dialect
from imagegen.engines.openai.models import SHUTDOWN, UNKNOWN, Family, family, names_an_image_model
from imagegen.engines.openai.refusals import dollars, explain
from imagegen.engines.replies import Reply, load
from imagegen.engines.sizes import AnySize, AspectRatios, ListedSizes, Sizes

logger = logging.getLogger(__name__)

INLINE = 1024 * 1024
"""Bytes: a larger answer holds its pictures inline, so no URL is looked for in it."""

NOT_SENT = frozenset({"api_version", "dialect", "sizes", "model", "prompt", "n", "stream", "partial_images"})
"""Parameters that are meant for this engine, that a request decides, or whose answer is no JSON."""

KEPT_HEADERS = {"x-request-id": "request_id", "x-litellm-call-id": "litellm_call_id"}
KEPT_FIELDS = ("background", "output_format", "quality", "size")


class OpenAI(Engine):
    """OpenAI Images and compatible servers."""

    name = "openai"
    label = "OpenAI, LiteLLM, Azure OpenAI, xAI"
    default_base_url = "https://api.openai.com/v1"
    default_model = "gpt-image-2"

    def capabilities(self, model: str) -> Capabilities:
        row = family(self._model(model))
        return Capabilities(
            sizes=self._sizes(row),
            auto_size=row.auto_size,
            per_call=row.per_call,
            max_prompt=row.max_prompt,
        )

    def build_payload(self, request: ImageRequest) -> dict[str, Any]:
        """The JSON that asks for pictures. Seed, steps and negative prompt are not in this API."""
        model = self._model(request.model)
        row, spoken = family(model), dialect(self.config)
        payload = self._parameters(model, row)
        if spoken.name == XAI:
            payload["response_format"] = "b64_json"  # what its URLs lead to is gone within minutes
        if spoken.deployment is None:
            payload["model"] = model
        payload |= {"prompt": request.prompt, "n": request.n}
        match self._sizes(row):
            case AnySize() | ListedSizes() as sizes if request.size:
                payload["size"] = str(sizes.nearest(request.size))
            case AspectRatios() as sizes if request.size:
                payload["aspect_ratio"] = sizes.nearest(request.size)
        return payload

    def _generate(self, request: ImageRequest, call: Call) -> Answer:
        spoken = dialect(self.config)
        client = self._client(spoken)
        reply = client.download(
            "POST",
            spoken.generations(self._model(request.model)),
            call.spool.answer,
            body=Body.json(self.build_payload(request)),
            deadline_at=call.deadline_at,
        )
        try:
            return self._complete(reply, client, call, cost_in_body=spoken.name == XAI)
        except EngineError:
            call.spool.clear()
            raise

    def _complete(self, reply: Reply, client: Client, call: Call, *, cost_in_body: bool) -> Answer:
        """The answer, with those pictures fetched to which it only has URLs."""
        answer = Answer(
            body=call.spool.answer,
            meta={name: reply.headers[key] for key, name in KEPT_HEADERS.items() if key in reply.headers},
            cost=number(reply.headers.get("x-litellm-response-cost")),
        )
        if call.spool.answer.stat().st_size > INLINE and not cost_in_body:
            return answer
        with call.gate():
            whole = load(call.spool.answer)
            links = {k: item["url"] for k, item in enumerate(items(whole)) if link(item.get("url"))}
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

    def parse(self, answer: Answer) -> list[EngineImage]:
        if answer.body is None:
            raise BadEngineResponse(detail="there is no answer to read", may_have_charged=True)
        whole = load(answer.body)
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

    def check(self) -> str:
        spoken = dialect(self.config)
        listed = self._listed(spoken)
        if spoken.name == AZURE:
            return "Azure accepts the key. It does not list its deployments: name them in the connection."
        found = f"{len(listed)} models, {len(self._image_models(listed))} of them known to make pictures."
        wanted = self.config.model
        if wanted and wanted not in {entry["id"] for entry in listed}:
            return f"{found} {wanted!r} is not among them."
        return found

    def models(self) -> list[Model]:
        """Live, where there is a list of image models; the connection's own model is always among them.

        Raises EngineError where the server cannot be asked. Azure lists models and not deployments, and
        is never asked.
        """
        spoken = dialect(self.config)
        if spoken.name == AZURE:
            return super().models()
        live = self._image_models(self._listed(spoken))
        if not live:
            return super().models()
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
        """Those that make pictures, by LiteLLM's `mode` or by their id; at OpenAI itself, those still on."""
        at_maker = Target.parse(self.config.base_url).host == "api.openai.com"
        today = datetime.now(UTC).date().isoformat()
        found = []
        for entry in listed:
            id, mode = entry["id"], entry.get("mode")
            if not (mode == "image_generation" if mode else names_an_image_model(id)):
                continue
            shutdown = (day(entry.get("shutdown_date")) or SHUTDOWN.get(id, "")) if at_maker else ""
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

    def _sizes(self, row: Family) -> Sizes:
        """A row's sizes, or for a model without one those that staff declare: `any`, or a list."""
        declared = self.config.parameters.get("sizes")
        if row is not UNKNOWN or not declared:
            return row.sizes
        if declared == "any":
            return AnySize()
        try:
            return ListedSizes.of(*declared)
        except (ValueError, TypeError, AttributeError):
            raise EngineMisconfigured(detail='parameters: sizes is "any" or a list of WIDTHxHEIGHT') from None

    def _parameters(self, model: str, row: Family) -> dict[str, Any]:
        """What staff set, as far as the model takes it."""
        given = {name: value for name, value in self.config.parameters.items() if name not in NOT_SENT}
        if row.parameters is None:
            return given
        if refused := sorted(given.keys() - row.parameters):
            logger.info("%s: not sent to %s: %s", self.config.name, model, ", ".join(refused))
        return {name: value for name, value in given.items() if name in row.parameters}
