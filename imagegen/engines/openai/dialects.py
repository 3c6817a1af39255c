"""How OpenAI's image API is spoken at different hosts: where it is, and how one shows who one is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, unquote

from imagegen.engines.addresses import Forbidden, Target
from imagegen.engines.base import EngineConfig
from imagegen.engines.errors import EngineMisconfigured

OPENAI, AZURE, XAI = "openai", "azure", "xai"

_AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
_UNDATED = ("v1", "latest", "preview")
_ENDPOINT = re.compile(r"/(?:images/(?:generations|edits)|chat/completions)$")
_AZURE_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)")


@dataclass(frozen=True)
class Dialect:
    """One host's way.

    Attributes:
        name: `openai` (LiteLLM too), `azure` or `xai`.
        base_url: what paths are appended to.
        query: appended to every path.
        deployment: Azure's dated API names the model in the path and not in the body: this is the name
            from the base URL, or "" for the model that is asked for; None everywhere else.
    """

    name: str
    base_url: str
    query: str = ""
    deployment: str | None = None

    @property
    def models(self) -> str:
        return f"/models{self.query}"

    def generations(self, model: str) -> str:
        return self._path("/images/generations", model)

    def edits(self, model: str) -> str:
        return self._path("/images/edits", model)

    def chat(self, model: str) -> str:
        return self._path("/chat/completions", model)

    def _path(self, endpoint: str, model: str) -> str:
        if self.deployment is None:
            return f"{endpoint}{self.query}"
        return f"/deployments/{quote(self.deployment or model, safe='')}{endpoint}{self.query}"

    def credentials(self, key: str) -> dict[str, str]:
        if not key:
            return {}
        return {"api-key": key} if self.name == AZURE else {"Authorization": f"Bearer {key}"}


def dialect(config: EngineConfig) -> Dialect:
    """The dialect that `config.parameters["dialect"]` names, else the one that goes with the host.

    A base URL without a path gets `/v1`; one with a path is taken as it is. Raises EngineMisconfigured.
    """
    try:
        target = Target.parse(config.base_url)
    except Forbidden as error:
        raise EngineMisconfigured(detail=f"base URL: {error}") from error
    name = dialect_name(config)
    if name == AZURE:
        return _azure(target, str(config.parameters.get("api_version") or ""))
    if name not in (OPENAI, XAI):
        raise EngineMisconfigured(detail=f"parameters: dialect is openai, azure or xai, not {name!r}")
    path = _ENDPOINT.sub("", target.uri.partition("?")[0].rstrip("/"))
    return Dialect(name, f"{target.origin}{path or '/v1'}")


def dialect_name(config: EngineConfig) -> str:
    """What `dialect()` goes by; a base URL that cannot be read counts as OpenAI's."""
    if named := config.parameters.get("dialect"):
        return str(named)
    try:
        host = Target.parse(config.base_url).host
    except Forbidden:
        return OPENAI
    if host.endswith(_AZURE_HOSTS):
        return AZURE
    return XAI if host == "api.x.ai" or host.endswith(".api.x.ai") else OPENAI


def _azure(target: Target, version: str) -> Dialect:
    """Azure's v1 API, or the dated one where the version is a date; it may stand in the base URL."""
    path, _, query = target.uri.partition("?")
    version = version or parse_qs(query).get("api-version", [""])[0]
    root = f"{target.origin}/openai"
    query = f"?api-version={quote(version, safe='')}" if version else ""
    if not version or version in _UNDATED:
        return Dialect(AZURE, f"{root}/v1", query)
    named = _AZURE_DEPLOYMENT.search(path)
    return Dialect(AZURE, root, query, deployment=unquote(named[1]) if named else "")
