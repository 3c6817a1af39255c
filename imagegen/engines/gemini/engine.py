"""Google's Gemini API, and servers that speak it.

`POST …/models/<id>:generateContent` makes one picture a call, from words and from pictures.
`POST …/models/<id>:predict` made those of Imagen, which Google has retired and compatible servers have
not. Sources: the google-genai package (3.4.0) and Google's pages on image generation.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pybase64

from imagegen.engines.addresses import Forbidden, Target
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
from imagegen.engines.errors import BadEngineResponse, EngineMisconfigured, Unsupported
from imagegen.engines.gemini.answers import meta, pictures, why_no_picture
from imagegen.engines.gemini.models import (
    GENERATE_CONTENT,
    MAKER,
    METHODS,
    PREDICT,
    Family,
    bare,
    family,
    is_model_id,
    method_for,
    names_an_image_model,
    shutdown,
)
from imagegen.engines.gemini.refusals import explain
from imagegen.engines.http import QUICK, Body, Client
from imagegen.engines.replies import Scrub, load
from imagegen.engines.sizes import OWN_SIZE, AspectRatios
from imagegen.engines.spool import Answer

logger = logging.getLogger(__name__)

VERSION = "/v1beta"
SEEDS = 2**31
"""A seed is a signed 32-bit number on the wire; larger ones wrap around."""

PAGES = 10
"""How much of the list of models is read: a thousand of them a page."""

OWN_PARAMETERS = {"method"}
SENT = {
    GENERATE_CONTENT: {"generationConfig", "safetySettings", "systemInstruction", "tools"},
    PREDICT: {"parameters"},
}
"""Parameters that are sent: the fields of a request beside what Easel itself fills in."""


class Gemini(Engine):
    """Gemini's image models, and Imagen where it still lives."""

    name = "gemini"
    label = "Google Gemini, Imagen"
    default_base_url = f"https://{MAKER}{VERSION}"
    default_model = "gemini-3.1-flash-image"

    def capabilities(self, model: str) -> Capabilities:
        row = self._row(self._model(model))
        return Capabilities(
            operations=frozenset({GENERATE, EDIT} if row.sources else {GENERATE}),
            sizes=AspectRatios(tuple(row.shapes)) if row.shapes else OWN_SIZE,
            auto_size=row.method == GENERATE_CONTENT,
            per_call=row.per_call,
            edit_sources=row.sources,
            seed=row.seed,
        )

    def build_payload(self, request: ImageRequest) -> dict[str, Any]:
        """The JSON that asks for pictures. There is no mask, no negative prompt and no steps here.

        What staff set wins over what follows from the asked size.
        """
        row = self._row(self._model(request.model))
        ratio, image_size = row.nearest(request.size) if request.size else ("", "")
        given = self._parameters(row.method)
        if row.method == PREDICT:
            shape = _filled(aspectRatio=ratio, sampleImageSize=image_size)
            staff = _object(given, "parameters")
            parameters = {**shape, **staff, "sampleCount": request.n}
            return {"instances": [{"prompt": request.prompt}], "parameters": parameters}
        staff = _object(given, "generationConfig")
        config: dict[str, Any] = {"responseModalities": list(row.modalities), **staff}
        shape = _filled(aspectRatio=ratio, imageSize=image_size) | _object(staff, "imageConfig")
        if shape:
            config["imageConfig"] = shape
        seed = _seed(request, row)
        if seed is not None:
            config["seed"] = seed
        parts = [{"text": request.prompt}, *_sources(request)]
        return {**given, "contents": [{"role": "user", "parts": parts}], "generationConfig": config}

    def _generate(self, request: ImageRequest, call: Call) -> Answer:
        model = self._model(request.model)
        if not is_model_id(model):
            raise Unsupported("There is no model of this name.", detail="the model's name is no model id")
        row = self._row(model)
        self._client().receive(
            "POST",
            f"/models/{quote(bare(model), safe='')}:{row.method}",
            call.spool,
            body=Body.json(self.build_payload(request)),
            deadline_at=call.deadline_at,
        )
        seed = _seed(request, row)
        return Answer(body=call.spool.body, meta={} if seed is None else {"seed": seed})

    def _edit(self, request: EditRequest, call: Call) -> Answer:
        if request.background == "transparent":
            raise Unsupported("This model makes no transparent background.")
        return self._generate(request, call)

    def _parse(self, answer: Answer) -> list[EngineImage]:
        if answer.body is None:
            raise BadEngineResponse(detail="there is no answer to read", may_have_charged=True)
        whole = load(answer.body)
        known = meta(whole)
        images = [
            EngineImage(
                picture.data,
                seed=answer.meta.get("seed"),
                revised_prompt=picture.revised_prompt,
                meta=known,
            )
            for picture in pictures(whole)
            if picture.data
        ]
        if not images:
            raise why_no_picture(whole, Scrub(self.config.key))
        return images

    def _check(self) -> str:
        listed = self._listed()
        found = f"{len(listed)} models, {len(self._image_models(listed))} of them known to make pictures."
        wanted = self.config.model
        if wanted and bare(wanted) not in {bare(entry["name"]) for entry in listed}:
            return f"{found} {wanted!r} is not among them."
        return found

    def _models(self) -> list[Model]:
        """Live, where there is a list of image models; the connection's own model is always among them.

        Raises EngineError where the server cannot be asked.
        """
        live = self._image_models(self._listed())
        if not live:
            return super()._models()
        own = self.config.model
        return live if not own or bare(own) in {model.id for model in live} else [Model(own), *live]

    def _listed(self) -> list[dict[str, Any]]:
        """`GET …/models`: entries with a name, of all pages up to `PAGES`, under one deadline."""
        client, entries, token = self._client(), [], ""
        deadline_at = time.monotonic() + QUICK
        for _ in range(PAGES):
            page = f"&pageToken={quote(token, safe='')}" if token else ""
            whole = client.exchange("GET", f"/models?pageSize=1000{page}", deadline_at=deadline_at).json()
            found = whole.get("models") if isinstance(whole, dict) else None
            if not isinstance(found, list):
                raise BadEngineResponse(detail="the list of models has another shape than Gemini's")
            entries += [
                item for item in found if isinstance(item, dict) and isinstance(item.get("name"), str)
            ]
            token = whole.get("nextPageToken")
            if not token or not isinstance(token, str):
                break
        return entries

    def _image_models(self, listed: list[dict[str, Any]]) -> list[Model]:
        """Those that make pictures by the method that we would use; at Google itself, those still on."""
        at_maker = Target.parse(self._base_url()).host == MAKER
        today = datetime.now(UTC).date().isoformat()
        found = []
        for entry in listed:
            id, methods = bare(entry["name"]), entry.get("supportedGenerationMethods")
            methods = methods if isinstance(methods, list) else None
            makes_pictures = names_an_image_model(id) or PREDICT in (methods or ())
            usable = is_model_id(id) and (methods is None or self._method(id) in methods)
            ends = shutdown(id) if at_maker else ""
            if makes_pictures and usable and (not ends or ends > today or id == bare(self.config.model)):
                name = entry.get("displayName")
                found.append(Model(id, name if isinstance(name, str) else "", shutdown=ends))
        return found

    def _client(self) -> Client:
        method = self.config.parameters.get("method")
        if method and method not in METHODS:
            raise EngineMisconfigured(detail=f"parameters: method is one of {', '.join(METHODS)}")
        return Client(
            self.config,
            base_url=self._base_url(),
            credentials={"x-goog-api-key": self.config.key} if self.config.key else {},
            explain=explain,
        )

    def _base_url(self) -> str:
        """The connection's, with Google's version where it names no path. Raises EngineMisconfigured."""
        try:
            target = Target.parse(self.config.base_url)
        except Forbidden as error:
            raise EngineMisconfigured(detail=f"base URL: {error}") from error
        path, question, _ = target.uri.partition("?")
        if question:
            raise EngineMisconfigured(detail="base URL: leave out the query; the key has its own field")
        return f"{target.origin}{path.rstrip('/') or VERSION}"

    def _model(self, asked: str) -> str:
        return asked or self.config.model or self.default_model

    def _method(self, model: str) -> str:
        """The connection's method, else the one that goes with the model."""
        method = self.config.parameters.get("method")
        return method if method in METHODS else method_for(model)

    def _row(self, model: str) -> Family:
        return family(model, self._method(model))

    def _parameters(self, method: str) -> dict[str, Any]:
        """What staff set, as far as this method knows it."""
        given = self.config.parameters
        if strange := sorted(given.keys() - OWN_PARAMETERS.union(*SENT.values())):
            logger.info("%s: parameters not sent: %s", self.config.name, ", ".join(strange))
        return {name: value for name, value in given.items() if name in SENT[method]}


def _object(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = given.get(name) or {}
    if not isinstance(value, dict):
        raise EngineMisconfigured(detail=f"parameters: {name} is a JSON object")
    return value


def _filled(**fields: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _seed(request: ImageRequest, row: Family) -> int | None:
    return request.seed % SEEDS if row.seed and request.seed is not None else None


def _sources(request: ImageRequest) -> list[dict[str, Any]]:
    images = request.images if isinstance(request, EditRequest) else ()
    return [
        {"inlineData": {"mimeType": _mime_type(image), "data": pybase64.b64encode(image).decode()}}
        for image in images
    ]


def _mime_type(image: bytes) -> str:
    """From the first bytes. Raises Unsupported for what Gemini does not read."""
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if image.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        return "image/webp"
    raise Unsupported("This model takes PNG, JPEG and WebP pictures.")
