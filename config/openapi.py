"""The API's description: what no single view can say, and how the page shows it.

Views describe themselves with `extend_schema`. Here stands what is true of all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

Endpoint = tuple[str, str, str, Callable[..., Any]]

ALIAS = "/api/v1/images/"
"""Served as /api/images is, and described once, there."""

DESCRIPTION = """\
Ask for pictures, get links to files that stay.

**Portraits** make one 512x512 portrait from a prompt, and the prompt from a few selections.
**Images** make any number of pictures with any configured engine; all of it is also at `/api/v1/images`.
**Files** are what was made.

To try it here: log in with `POST /api/auth/session`, and this page is you from then on. Or press
*Authorize* and paste an access token from `POST /api/auth/token`, or an API key from
[/account/keys](/account/keys).

* Making pictures needs the permission `features.image_generation`.
* Every answer carries `X-Trace-Id`. Tell it to whoever looks into a fault: logs and records hold it too.
* Types are strict: a number is no string, a string no number. `null` means absent for an optional field.
  Unknown fields are ignored. Text must not hold NUL or unpaired surrogates.
* `/healthz` and `/readyz` say whether the service lives, and whether it can work.
"""

TAGS = [
    {
        "name": "portraits",
        "description": "One portrait from a prompt. Errors are `{error, details, txId}`; what is wrong "
        "with your credentials is 403, what is wrong with the engine 500.",
    },
    {
        "name": "images",
        "description": "Pictures from prompts and from pictures. Errors are `{detail, code, errors?}`; "
        "an engine that did not deliver is 400, and `code` says why.",
    },
    {"name": "files", "description": "Your own pictures: lists, metadata, bytes."},
    {"name": "usage", "description": "What your quotas are, and what is left of them."},
    {"name": "auth", "description": "Tokens, browser sessions and API keys."},
]

# A login on the page itself changes the CSRF cookie, so it is read anew for every request.
PAGE_SETTINGS = """{
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  deepLinking: true,
  requestInterceptor: (request) => {
    const csrf = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
    if (csrf && !["GET", "HEAD"].includes(request.method)) request.headers["X-CSRFToken"] = csrf[1];
    return request;
  },
}"""

_HEADERS = {
    "TraceId": {
        "description": "The OpenTelemetry trace id of the request.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    },
    "RetryAfter": {
        "description": "Seconds after which trying again makes sense.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWWAuthenticate": {"description": "`Bearer`.", "schema": {"type": "string"}},
}
_HEADERS_OF = {
    401: {"WWW-Authenticate": "WWWAuthenticate"},
    409: {"Retry-After": "RetryAfter"},
    429: {"Retry-After": "RetryAfter"},
    503: {"Retry-After": "RetryAfter"},
}


def bases() -> list[type]:
    """Classes whose docstrings are for their subclasses' authors and not for the API's readers."""
    from drf_spectacular.plumbing import get_lib_doc_excludes

    from imagegen.access.gate import GatedAPIView
    from imagegen.access.strict import StrictSerializer

    excluded: list[type] = get_lib_doc_excludes()  # type: ignore[no-untyped-call]
    return [*excluded, GatedAPIView, StrictSerializer]


def leave_out_aliases(endpoints: list[Endpoint], **_: Any) -> list[Endpoint]:
    return [endpoint for endpoint in endpoints if not endpoint[0].startswith(ALIAS)]


def complete_responses(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Every response in order of its status, with words for it and the headers that it carries."""
    result["components"]["headers"] = _HEADERS
    for path in result["paths"].values():
        for operation in path.values():
            operation["responses"] = dict(sorted(operation["responses"].items()))
            for status, response in operation["responses"].items():
                _complete(int(status), response)
    return result


def _complete(status: int, response: dict[str, Any]) -> None:
    response["description"] = response.get("description") or HTTPStatus(status).phrase
    headers = {"X-Trace-Id": "TraceId", **_HEADERS_OF.get(status, {})}
    references = {name: {"$ref": f"#/components/headers/{component}"} for name, component in headers.items()}
    response["headers"] = {**references, **response.get("headers", {})}
