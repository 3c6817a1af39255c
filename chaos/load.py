"""Steady load: clients that want portraits, pictures and edits, some again and again, some not for long."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count

import requests

from chaos.asking import EDIT, GENERATE, PORTRAIT, Wish

ATTEMPTS = 6
LONGEST_PAUSE = 5.0
AGAIN = {0, 409, 429, 500, 503}
"""Statuses after which a careful client asks again with its key. 0: the connection broke."""

EDGES = (128, 256, 256, 384)


@dataclass
class Load:
    """Clients, each a thread of its own, that ask one thing after the other.

    `tokens` are the users' access tokens, `sources` for each user a file id that edits start from.
    """

    url: str
    tokens: Sequence[str]
    sources: Sequence[str]
    seed: str
    clients: int = 24
    wishes: list[Wish] = field(default_factory=list)
    thumbnails: int = 0
    strange: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ended, self._lock, self._numbers = threading.Event(), threading.Lock(), count(1)

    @contextmanager
    def running(self) -> Iterator[None]:
        """At the end every client has had its last answer."""
        threads = [
            threading.Thread(target=self._client, args=[k], name=f"client {k}") for k in range(self.clients)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()

    def warm_up(self) -> None:
        """Everybody at once, so that every thread and connection is there that will be needed."""
        threads = [
            threading.Thread(target=self.carry_out, args=[self._wish(random.Random(k), patient=True)])
            for k in range(self.clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _client(self, k: int) -> None:
        chance = random.Random(f"client {k} {self.seed}")
        while not self._ended.wait(chance.uniform(0, 1.5)):
            wish = self._wish(chance)
            self.carry_out(wish)
            self._look_around(wish, chance)

    def _wish(self, chance: random.Random, *, patient: bool = False) -> Wish:
        with self._lock:
            number = next(self._numbers)
        user = number % len(self.tokens)
        operation = chance.choices((GENERATE, PORTRAIT, EDIT), (6, 3, 2))[0]
        edge = 512 if operation == PORTRAIT else chance.choice(EDGES)
        wish = Wish(f"r{number}", user, operation, edge=edge)
        if operation != PORTRAIT:
            wish.n = chance.choice((1, 1, 2, 3, 4))
        if operation == EDIT:
            wish.source, wish.n = self.sources[user], chance.choice((1, 2))
        if chance.random() < 0.5:
            wish.key = f"chaos-{number}"
        if not patient and chance.random() < 0.12:
            wish.patience = chance.choice((0.05, 0.3, 1.0, 2.0))
        with self._lock:
            self.wishes.append(wish)
        return wish

    def carry_out(self, wish: Wish) -> None:
        """Ask; with a key, ask again where that makes sense. Whoever went away comes back once, with it."""
        for _ in range(ATTEMPTS):
            answer = wish.ask(self.url, self.tokens[wish.user])
            if not wish.key or answer.status not in AGAIN or self._ended.is_set():
                return
            wish.patience = None
            time.sleep(min(answer.retry_after or 1, LONGEST_PAUSE))

    def _look_around(self, wish: Wish, chance: random.Random) -> None:
        """Now and then a thumbnail; now and then a picture is deleted that no key speaks of."""
        pictures = wish.answers[-1].pictures
        if wish.operation == PORTRAIT or not pictures or chance.random() < 0.6:
            return
        headers = {"Authorization": f"Bearer {self.tokens[wish.user]}"}
        file = self.url + pictures[0].url.removesuffix("/content")
        with suppress(requests.RequestException):
            answer = requests.get(f"{file}/thumbnail", headers=headers, timeout=60)
            self._judge(answer, {200})
            self.thumbnails += answer.ok
        if not wish.key and chance.random() < 0.2:
            wish.deleted[pictures[0].url] = False
            with suppress(requests.RequestException):
                answer = requests.delete(file, headers=headers, timeout=60)
                self._judge(answer, {204})
                wish.deleted[pictures[0].url] = answer.status_code == 204

    def _judge(self, answer: requests.Response, right: set[int]) -> None:
        if answer.status_code not in right | {500, 503}:
            self.strange.append(f"{answer.request.method} {answer.status_code}: {answer.text[:200]}")
