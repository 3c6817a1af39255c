"""The one way out to an engine.

A fresh connection for each request: a kept one that went stale loses a POST that costs money. No
redirects, no proxies, no credentials from the environment, no repeats. One deadline for everything, and
an answer that is too large is refused before it fills the disk. Faults come out as `EngineError`.

`urllib3` is used below its pools, and not through `requests`: what those would add is all switched off
here, and it would stand between us and the socket that must end on time.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

from imagegen.engines.addresses import Forbidden, Target
from imagegen.engines.base import EngineConfig
from imagegen.engines.errors import BadEngineResponse, EngineError, EngineMisconfigured, KeyLost
from imagegen.engines.replies import Reply, Scrub, refusal
from imagegen.engines.spool import Spool
from imagegen.engines.wire import Body, Incoming, ask
from imagegen.landing import save

__all__ = ["Body", "Client", "Reply", "fetch"]

QUICK = 10.0
"""Seconds for an exchange that makes no picture, where the caller names no deadline."""

KEY_IS_LOST = (
    "the stored key cannot be decrypted: enter it again, or put the encryption key that it was stored with"
    " back into EASEL_ENCRYPTION_KEYS"
)
ERROR_BODY = 64 * 1024
IN_MEMORY = 4 * 1024 * 1024
REDIRECTS = 3

_ABSOLUTE = re.compile(r"[^/?#]*:")
"""A URL with a scheme is taken as it is written: urljoin would drop tabs from it, and mend `http:///x`."""

Explain = Callable[[Reply, Scrub], EngineError | None]
"""An engine's own reading of a refusal; None leaves it to `replies.refusal`."""


class Client:
    """HTTP to one connection's server.

    Args:
        config: the connection.
        base_url: what paths are appended to; the connection's own where none is given.
        credentials: headers that prove who we are; they go to this server and nowhere else.
        explain: reads a 4xx or 5xx first (at most 64 KB of its body).
    """

    def __init__(
        self,
        config: EngineConfig,
        *,
        base_url: str = "",
        credentials: Mapping[str, str] | None = None,
        explain: Explain = lambda reply, scrub: None,
    ) -> None:
        self.config = config
        self.base_url = (base_url or config.base_url).rstrip("/")
        self.credentials = dict(credentials or {})
        self.explain = explain
        self.scrub = Scrub(config.key, *(value.rpartition(" ")[2] for value in self.credentials.values()))

    def exchange(
        self,
        method: str,
        path: str,
        *,
        body: Body | None = None,
        deadline_at: float | None = None,
        limit: int = IN_MEMORY,
    ) -> Reply:
        """A small exchange, in memory. Raises EngineError for all but a 2xx of at most `limit` bytes."""
        with self._answer(method, path, body, _deadline(deadline_at)) as answer:
            whole = b"".join(map(bytes, answer.pieces(limit)))
            return Reply(answer.status, answer.headers, whole)

    def download(
        self, method: str, path: str, to: Path, *, body: Body | None = None, deadline_at: float | None = None
    ) -> Reply:
        """An answer of any size, copied to the file `to`, which is there when it is whole and only then.

        Raises EngineError for all but a 2xx of at most `config.max_answer_bytes`.
        """
        with self._answer(method, path, body, _deadline(deadline_at)) as answer:
            save(answer.pieces(self.config.max_answer_bytes), to)
            return Reply(answer.status, answer.headers)

    def receive(
        self, method: str, path: str, spool: Spool, *, body: Body | None = None, deadline_at: float
    ) -> Reply:
        """The engine's own answer, of any size, into the spool.

        Raises EngineError for all but a 2xx of at most `config.max_answer_bytes`.
        """
        with self._answer(method, path, body, deadline_at) as answer:
            spool.catch(answer.pieces(self.config.max_answer_bytes), answer.length)
            return Reply(answer.status, answer.headers)

    def fetch_picture(self, url: str, to: Path, *, deadline_at: float | None = None) -> None:
        """Copy what lies behind a URL that the engine answered with to the file `to`.

        No credentials go along. Only this server and the connection's trusted origins may be at an
        address that is not public. Raises EngineError with `may_have_charged`: the picture was made.
        """
        try:
            fetch(
                url,
                to,
                limit=self.config.max_answer_bytes,
                deadline_at=_deadline(deadline_at),
                trusted=self._trusted(),
                scrub=self.scrub,
                connection=self.config.name,
            )
        except EngineError as error:
            error.may_have_charged = True
            raise

    def _trusted(self) -> set[str]:
        try:
            return {Target.parse(url).origin for url in (self.base_url, *self.config.trusted_origins)}
        except Forbidden as error:
            raise EngineMisconfigured(detail=f"base URL or trusted origins: {error}") from error

    @contextmanager
    def _answer(self, method: str, path: str, body: Body | None, deadline_at: float) -> Iterator[Incoming]:
        if self.config.key_is_lost:
            raise KeyLost(detail=KEY_IS_LOST)
        if not all(value.isascii() and value.isprintable() for value in self.credentials.values()):
            raise EngineMisconfigured(detail="the key holds characters that no key has, such as a line break")
        try:
            target = Target.parse(self.base_url + path)
        except Forbidden as error:
            raise EngineMisconfigured(detail=f"base URL: {error}") from error
        headers = {"Accept": "application/json", **self.credentials}
        with ask(
            method,
            target,
            headers=headers,
            body=body,
            deadline_at=deadline_at,
            scrub=self.scrub,
            connection=self.config.name,
        ) as answer:
            if not 200 <= answer.status < 300:
                reply = Reply(answer.status, answer.headers, answer.beginning(ERROR_BODY))
                raise self.explain(reply, self.scrub) or refusal(reply, self.scrub)
            yield answer


def fetch(
    url: str,
    to: Path,
    *,
    limit: int,
    deadline_at: float,
    trusted: Collection[str] = (),
    scrub: Scrub | None = None,
    connection: str = "",
) -> None:
    """Copy what lies behind a URL from outside to the file `to`: at most `limit` bytes.

    At most three redirects are followed, each judged like the first URL. Origins in `trusted` may be at
    any address, all others at public ones only; once a redirect has led elsewhere, nothing is trusted any
    more, for then a stranger names the URL. Raises BadEngineResponse for a URL that is not followed
    and for what is no 200, EngineUnavailable and EngineTimeout.
    """
    scrub, here, trusting = scrub or Scrub(), "", True
    for _ in range(REDIRECTS + 1):
        try:
            target = Target.parse(url if _ABSOLUTE.match(url) else urljoin(here, url))
        except ValueError as error:
            raise BadEngineResponse(detail=scrub(f"a picture's URL is not followed: {error}")) from None
        trusting = trusting and target.origin in trusted
        with ask(
            "GET",
            target,
            headers={"Accept": "image/*, */*;q=0.1"},
            deadline_at=deadline_at,
            public_only=not trusting,
            scrub=scrub,
            connection=connection,
        ) as answer:
            if answer.status == 200:
                return save(answer.pieces(limit), to)
            if answer.status not in (301, 302, 303, 307, 308) or "location" not in answer.headers:
                raise BadEngineResponse(detail=f"a picture's URL answered HTTP {answer.status}")
            here, url = target.origin + target.uri, answer.headers["location"]
    raise BadEngineResponse(detail=f"a picture's URL redirects more than {REDIRECTS} times")


def _deadline(deadline_at: float | None) -> float:
    return time.monotonic() + QUICK if deadline_at is None else deadline_at
