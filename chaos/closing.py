"""After the storm: what ops would do, and what clients would look at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import requests

from chaos.asking import Picture, Wish
from chaos.evidence import Evidence
from chaos.invariants import Check
from chaos.marks import Unmarked, decode
from chaos.service import Service
from chaos.watch import Size

AT_ONCE = 8
COMMANDS: Sequence[tuple[str, ...]] = (("purge_expired",), ("reconcile_files",))
"""Those of docs/lifecycle.md that the timers run."""


def run_commands(service: Service) -> str:
    """What they said. Raises CalledProcessError."""
    return "".join(f"$ {' '.join(command)}\n{service.manage(*command)}" for command in COMMANDS)


def ask_again(service: Service, evidence: Evidence, tokens: Sequence[str]) -> None:
    """Every key once more; only those that got so far as to have a row."""
    wishes = [wish for wish in evidence.wishes.values() if wish.key and evidence.generations.get(wish.tag)]
    for wish in wishes:
        wish.patience = None
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda wish: wish.ask(service.url, tokens[wish.user]), wishes))


def check_pictures(service: Service, evidence: Evidence, tokens: Sequence[str]) -> Check:
    """Fetch each picture that anybody was given."""
    check = Check("who was given a picture can fetch it, with the right pixels")
    given = [
        (wish, picture)
        for wish in evidence.wishes.values()
        for picture in {p.url: p for answer in wish.answers for p in answer.pictures}.values()
        if picture.url not in wish.deleted
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for faults in pool.map(lambda both: list(_fetch(service, evidence, both[0], both[1], tokens)), given):
            check.of(iter(faults))
    return check


def _fetch(
    service: Service, evidence: Evidence, wish: Wish, picture: Picture, tokens: Sequence[str]
) -> Iterator[str]:
    headers = {"Authorization": f"Bearer {tokens[wish.user]}"}
    answer = requests.get(service.url + picture.url, headers=headers, timeout=60)
    own = {number for call in evidence.calls_of(wish.tag) for number in call.pictures}
    try:
        right = decode(answer.content) in own
    except Unmarked:
        right = False
    if answer.status_code != 200 or not right:
        pixels = "right" if right else "wrong"
        yield f"{wish.tag}: {picture.url} answers {answer.status_code}, pixels {pixels}"
    elif picture.sha256 and hashlib.sha256(answer.content).hexdigest() != picture.sha256:
        yield f"{wish.tag}: {picture.url} has other bytes than its answer"


def check_size(before: Size, after: Size, clients: int) -> Check:
    """Back near where it began: a quarter and 40 MB for memory; a thread, and three descriptors, for each
    client, since chance decides which process has how many of them."""
    check = Check("memory, descriptors, threads and processes are back near where they began")
    for name, most in {
        "memory": before.memory * 1.25 + 40 * 1024**2,
        "descriptors": before.descriptors + 3 * clients,
        "threads": before.threads + clients,
        "processes": before.processes,
    }.items():
        was, now = getattr(before, name), getattr(after, name)
        check.of(iter([f"{name}: {was}, now {now}"] if now > most else []))
    return check


def check_leftovers(numbers: Mapping[str, tuple[float, float]]) -> Check:
    """Name -> how much there is, and how much there may be."""
    check = Check("no turn, no idle transaction, no answer is left behind")
    for name, (found, most) in numbers.items():
        check.of(iter([f"{name}: {found:g}, at most {most:g}"] if found > most else []))
    return check
