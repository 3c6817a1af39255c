"""Each invariant of the chaos run notices what it is there for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from chaos.asking import Answer, Picture, Wish
from chaos.evidence import Evidence, File, Generation
from chaos.invariants import Check, check_answers, check_rows
from chaos.journal import PER_CALL, Call
from chaos.marks import Unmarked, decode, encode

NUMBER = 7 * PER_CALL


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    """One wish, one call, one picture, all of it right."""
    data = encode(NUMBER, 128)
    (tmp_path / "a.png").write_bytes(data)
    file = File("f", "g", 0, "a.png", "", hashlib.sha256(data).hexdigest(), len(data), 128, 128, NUMBER)
    path = [{"connection": "up", "pictures": 1}]
    row = Generation(
        "g", "[r1]", "generate", path, 1, 0, "succeeded", "", "", False, Decimal("0.04"), "k", True, [file]
    )
    wish = Wish("r1", 0, "generate", edge=128, key="k")
    wish.answers = [Answer(0, 1.0, 200, pictures=[Picture("/a", 128)]) for _ in range(2)]
    call = Call(7, "r1", "up", "good", 0, [NUMBER], "whole", landed=True)
    return Evidence(
        {"r1": wish}, {7: call}, {"r1": [row]}, [file], tmp_path, {"a.png"}, [], {"up": Decimal("0.04")}, 0
    )


def broken(evidence: Evidence) -> list[str]:
    checks: list[Check] = [*check_rows(evidence), *check_answers(evidence, longest=68)]
    return [check.name for check in checks if not check.holds]


def test_all_is_well(evidence: Evidence) -> None:
    assert broken(evidence) == []


def test_what_was_made_recorded_in_vain_and_recovered_costs_once(evidence: Evidence) -> None:
    row = evidence.generations["r1"][0]
    row.path.append({"connection": "up", "pictures": 1, "recovered": [0], "after": "not_stored"})
    assert broken(evidence) == []
    row.cost = Decimal("0.08")
    assert any("costs what" in name for name in broken(evidence))


def lose_picture(evidence: Evidence) -> None:
    evidence.numbers.clear()


def lose_answer(evidence: Evidence) -> None:
    evidence.numbers.clear()
    evidence.calls[7].landed = False


def leave_running(evidence: Evidence) -> None:
    evidence.generations["r1"][0].is_closed = False


def count_wrongly(evidence: Evidence) -> None:
    evidence.generations["r1"][0].pictures_failed = 1


def mix_up(evidence: Evidence) -> None:
    evidence.files[0].number = 8 * PER_CALL


def cost_nothing(evidence: Evidence) -> None:
    evidence.generations["r1"][0].cost = None


def change_bytes(evidence: Evidence) -> None:
    (evidence.storage / "a.png").write_bytes(b"x")


def leave_bytes(evidence: Evidence) -> None:
    evidence.stored.add("b.png")


def ask_twice(evidence: Evidence) -> None:
    evidence.calls_of("r1").append(Call(8, "r1", "up", "stall", 0, [8 * PER_CALL]))


def leave_answer(evidence: Evidence) -> None:
    evidence.incoming.append("g-0-1-0.answer")


def answer_strangely(evidence: Evidence) -> None:
    evidence.wishes["r1"].answers[0].status = 502


def answer_late(evidence: Evidence) -> None:
    evidence.wishes["r1"].answers[0].seconds = 69


def answer_otherwise(evidence: Evidence) -> None:
    evidence.wishes["r1"].answers[1].pictures = [Picture("/b", 128)]


@pytest.mark.parametrize(
    ("spoil", "noticed_by"),
    [
        (lose_picture, "last byte"),
        (lose_answer, "may cost has its picture"),
        (leave_running, "closed, and truthfully"),
        (count_wrongly, "closed, and truthfully"),
        (mix_up, "closed, and truthfully"),
        (cost_nothing, "costs what"),
        (change_bytes, "has its bytes"),
        (leave_bytes, "bytes have a row"),
        (ask_twice, "asked once"),
        (leave_answer, "stays in incoming"),
        (answer_strangely, "documented status"),
        (answer_late, "nobody waits longer"),
        (answer_otherwise, "same key"),
    ],
)
def test_what_is_wrong_is_noticed(
    evidence: Evidence, spoil: Callable[[Evidence], None], noticed_by: str
) -> None:
    spoil(evidence)
    assert any(noticed_by in name for name in broken(evidence))


@pytest.mark.parametrize("number", [0, NUMBER, 2**40 - 1])
def test_a_number_survives_another_size_and_encoding(number: int) -> None:
    out = BytesIO()
    Image.open(BytesIO(encode(number, 256))).resize((320, 320)).save(out, "WEBP", quality=80)
    assert decode(out.getvalue()) == number


def test_another_picture_has_no_number() -> None:
    out = BytesIO()
    Image.linear_gradient("L").save(out, "PNG")
    with pytest.raises(Unmarked):
        decode(out.getvalue())
