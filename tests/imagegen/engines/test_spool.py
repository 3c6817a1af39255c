"""What becomes of an answer that landed in memory, or failed to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from imagegen import landing
from imagegen.engines.errors import EngineUnavailable
from imagegen.engines.spool import Answer, Spool

TEXT = b'{"data": []}'


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> landing.Slots:
    slots = landing.Slots(1)
    monkeypatch.setattr(landing, "slots", slots)
    return slots


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path, "call")


def cut() -> Iterator[bytes]:
    yield TEXT
    raise EngineUnavailable


@pytest.mark.usefixtures("slots")
def test_in_memory_while_there_is_a_place(spool: Spool, tmp_path: Path) -> None:
    other = Spool(tmp_path, "other")
    for each in (spool, other):
        each.catch([TEXT], len(TEXT))
        answer = Answer(body=each.body)
        assert (each.body.read_bytes(), answer.size()) == (TEXT, len(TEXT))
    assert [path.name for path in tmp_path.iterdir()] == ["other.answer"]


@pytest.mark.usefixtures("slots")
def test_in_a_file_where_its_length_is_not_known(spool: Spool) -> None:
    spool.catch([TEXT], None)
    assert spool.body == spool.answer and spool.answer.read_bytes() == TEXT


def test_one_that_was_cut_holds_no_place(slots: landing.Slots, spool: Spool, tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable):
        spool.catch(cut(), 100)
    assert slots.are_free
    spool.keep()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("clear", [Spool.clear, Spool.clear_named])
def test_one_that_is_cleared_holds_no_place(slots: landing.Slots, spool: Spool, clear: object) -> None:
    spool.catch([TEXT], len(TEXT))
    assert not slots.are_free
    clear(spool)  # type: ignore[operator]
    assert slots.are_free


def test_one_that_is_kept_is_a_file(slots: landing.Slots, spool: Spool) -> None:
    spool.catch([TEXT], len(TEXT))
    spool.keep()
    assert slots.are_free
    assert spool.found() == Answer(body=spool.answer) and spool.answer.read_bytes() == TEXT


def test_one_that_cannot_be_kept_stays_in_memory(slots: landing.Slots, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "no such folder", "call")
    spool.catch([TEXT], len(TEXT))
    with pytest.raises(FileNotFoundError):
        spool.keep()
    assert [slot.name for slot in slots.left()] == ["call.answer"]


def test_a_second_one_takes_the_place_of_the_first(slots: landing.Slots, spool: Spool) -> None:
    for text in (b"{}", TEXT):
        spool.catch([text], len(text))
    assert spool.body.read_bytes() == TEXT
    spool.clear()
    assert slots.are_free
