"""What must hold when all is over. Each check names the cases it looked at and every one that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import TypeVar

from chaos.asking import PORTRAIT, Answer, Wish
from chaos.evidence import Evidence, File, Generation, read_number, sha256
from chaos.journal import Call

Case = TypeVar("Case")

FAULTS_SHOWN = 20
STATUSES = {
    "portrait": {200, 400, 403, 404, 409, 413, 422, 429, 500, 503},
    "generate": {200, 400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503},
    "edit": {200, 400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503},
}
CODES_OF_500 = {"internal_error", "interrupted", "not_stored"}
CODES = {
    *("engine_unavailable", "engine_timeout", "engine_rate_limited", "engine_misconfigured"),
    *("bad_engine_response", "prompt_rejected", "not_stored", "internal_error", "interrupted"),
}


@dataclass
class Check:
    """One sentence, how often it was looked at, and where it does not hold."""

    name: str
    cases: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.faults and self.cases > 0

    def of(self, found: Iterator[str]) -> None:
        """Count one case, with what is wrong in it."""
        self.cases += 1
        self.faults += found


def check_rows(evidence: Evidence) -> list[Check]:
    """All that rows, files and the engine's journal tell."""
    checks = []

    def over(name: str, cases: Iterable[Case], look: Callable[[Evidence, Case], Iterator[str]]) -> None:
        check = Check(name)
        for case in cases:
            check.of(look(evidence, case))
        checks.append(check)

    calls = evidence.calls.values()
    over("a picture whose last byte was on our disk is in storage", (c for c in calls if c.is_proof), _stored)
    over("a call that may cost has its picture in storage or a row that says so", calls, _accounted_for)
    over("a generation is closed, and truthfully", evidence.all_generations(), _closed)
    over("a generation costs what its pictures cost", evidence.all_generations(), _cost)
    over("a row has its bytes, and a thumbnail of the same picture", evidence.files, _bytes)
    over("bytes have a row", sorted(evidence.stored), _row)
    over("an engine is asked once for each picture that may cost", evidence.wishes.values(), _once)
    over("what stays in incoming is an answer without a picture", evidence.incoming, _explained)
    checks[-1].cases += 1  # that there is nothing is a case too
    return checks


def _stored(evidence: Evidence, call: Call) -> Iterator[str]:
    wish = evidence.wishes.get(call.tag)
    missing = [number for number in call.pictures if number not in evidence.numbers]
    if wish is not None and len(missing) > len(wish.deleted):
        yield f"{call.tag}: call {call.number} ({call.mood}) lacks {missing}; {_told(evidence, call.tag)}"


def _accounted_for(evidence: Evidence, call: Call) -> Iterator[str]:
    rows = evidence.generations.get(call.tag, [])
    if not rows:
        yield f"{call.tag}: call {call.number} has no row at all"
    wish = evidence.wishes.get(call.tag)
    missing = [number for number in call.pictures if number not in evidence.numbers]
    if not call.costs or wish is None or len(missing) <= len(wish.deleted):
        return
    if not any(row.may_have_charged for row in rows):
        told = _told(evidence, call.tag)
        yield f"{call.tag}: call {call.number} ({call.mood}, {call.end}) may cost; {told}"


def _closed(evidence: Evidence, row: Generation) -> Iterator[str]:
    wish = evidence.wishes[row.tag]
    number, gone = len(row.files), sum(wish.deleted.values())
    unsure = len(wish.deleted) - gone
    made = range(number + gone, number + gone + unsure + 1)
    asked = row.pictures_asked
    if not row.is_closed or row.status not in ("succeeded", "partial", "failed"):
        yield f"{row.tag}: {row.status}, not closed"
    elif asked - row.pictures_failed not in made:
        yield f"{row.tag}: {row.status}, {row.pictures_failed} of {asked} failed, but {number} files"
    elif row.status != {0: "succeeded", asked: "failed"}.get(row.pictures_failed, "partial"):
        yield f"{row.tag}: {row.status} with {row.pictures_failed} of {asked} failed"
    if row.status == "failed" and (row.error_code not in CODES or not _is_sentence(row.error_message)):
        yield f"{row.tag}: failed with {row.error_code!r}, {row.error_message!r}"
    own = {number for call in evidence.calls_of(row.tag) for number in call.pictures}
    for file in row.files:
        if file.number not in own:
            yield f"{row.tag}: picture {file.position} is {file.number}, which was made for somebody else"
        if (file.width, file.height) != (wish.edge, wish.edge):
            yield f"{row.tag}: picture {file.position} is {file.width}x{file.height}, not {wish.edge}"
    if len({file.number for file in row.files}) != number:
        yield f"{row.tag}: the same picture twice"


def _cost(evidence: Evidence, row: Generation) -> Iterator[str]:
    """A recovered row has the pictures of its recoveries alone: those of the steps before had no rows."""
    path = [step for step in row.path if "recovered" in step or not row.was_recovered]
    steps = [(evidence.prices[step["connection"]], step["pictures"]) for step in path]
    right = sum((price * pictures for price, pictures in steps), Decimal(0))
    if (row.cost or 0) != right:
        yield f"{row.tag}: {row.status}, cost {row.cost}, its path says {right}: {row.path}"


def _bytes(evidence: Evidence, file: File) -> Iterator[str]:
    if sha256(evidence.storage / file.file) != file.sha256:
        yield f"{file.file}: missing, or not what its row says"
    elif file.thumbnail and read_number(evidence.storage / file.thumbnail) != file.number:
        yield f"{file.thumbnail}: missing, or of another picture"


def _row(evidence: Evidence, name: str) -> Iterator[str]:
    if not any(name in (file.file, file.thumbnail) for file in evidence.files):
        yield name


def _once(evidence: Evidence, wish: Wish) -> Iterator[str]:
    rows = evidence.generations.get(wish.tag, [])
    if len(rows) > 1:
        yield f"{wish.tag}: {len(rows)} generations for {len(wish.answers)} attempts, key {wish.key!r}"
    calls = [call for call in evidence.calls_of(wish.tag) if call.costs]
    if sum(len(call.pictures) for call in calls) > wish.n:
        yield f"{wish.tag}: {wish.n} wanted, but {[(c.connection, c.mood, len(c.pictures)) for c in calls]}"


def _explained(evidence: Evidence, name: str) -> Iterator[str]:
    tags = [row.tag for row in evidence.all_generations() if name.startswith(row.id)]
    calls = [call for tag in tags for call in evidence.calls_of(tag)]
    if not any(call.landed and not call.is_proof for call in calls):
        yield f"{name}: of {tags}, whose calls were {[call.mood for call in calls]}"


def _told(evidence: Evidence, tag: str) -> str:
    return "; ".join(
        f"{row.status} {row.error_code} of {row.pictures_asked}, {len(row.files)} files, path {row.path}"
        for row in evidence.generations.get(tag, [])
    )


def check_answers(evidence: Evidence, *, longest: float) -> list[Check]:
    """What clients were told. `longest`: seconds that anybody may wait."""
    statuses, waits, same = (
        Check("an answer has a documented status, and its error is a sentence"),
        Check(f"nobody waits longer than {longest:.0f} seconds"),
        Check("the same key gives the same answer"),
    )
    for wish in evidence.wishes.values():
        for answer in wish.answers:
            if answer.status:
                statuses.of(_status(wish, answer))
            if answer.lost != "went away":
                waits.of(iter([f"{wish.tag}: {answer.seconds:.1f} s"] if answer.seconds > longest else []))
        if wish.key:
            same.of(_same(wish, evidence.generations.get(wish.tag, [])))
    return [statuses, waits, same]


def _status(wish: Wish, answer: Answer) -> Iterator[str]:
    documented = answer.status in STATUSES[wish.operation] and answer.is_json
    if not documented or (answer.status != 200 and not _is_sentence(answer.message)):
        yield f"{wish.tag}: {answer.status} {answer.message!r}"
    elif answer.status == 500 and wish.operation != PORTRAIT and answer.code not in CODES_OF_500:
        yield f"{wish.tag}: 500 {answer.code!r}"


def _is_sentence(text: str) -> bool:
    words = text.split()
    clean = not any(sign in text for sign in ("Traceback", "127.0.0.1", "Error:", "/", "\n"))
    return len(words) > 2 and text[0].isupper() and text.endswith(".") and clean


def _same(wish: Wish, rows: list[Generation]) -> Iterator[str]:
    recovered = any(row.was_recovered for row in rows)
    definite = [answer for answer in wish.answers if answer.status in (200, 400)]
    for one, other in pairwise(definite):
        if one.status == 400 and other.status == 200 and recovered:
            continue
        if (one.status, one.code, one.content) != (other.status, other.code, other.content):
            yield f"{wish.tag}: first {_short(one)}, then {_short(other)}"
    if definite and definite[0].status == 200 and wish.answers[-1].status not in (200, 0, 429, 503):
        yield f"{wish.tag}: 200, and at last {_short(wish.answers[-1])}"


def _short(answer: Answer) -> str:
    return f"{answer.status} {answer.code} {answer.message} {[picture.url for picture in answer.pictures]}"
