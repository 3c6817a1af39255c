"""Shared memory for answers: what a process leaves there when it dies, and what it does not."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imagegen.landing import ROOM, Slots, save

NAME = "7b0c0f0e-1111-4222-8333-444455556666-0-1-0.answer"


@pytest.fixture
def slots() -> Slots:
    return Slots(2)


def die(work: Callable[[], None]) -> None:
    """Do it in a process that ends by SIGKILL."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL


def test_the_answers_of_one_that_was_killed_are_written_to_files(slots: Slots, tmp_path: Path) -> None:
    def work() -> None:
        for k in range(2):
            slot = slots.take(6)
            assert slot is not None
            slot.fill(f"{k}-{NAME}", [b"abc", memoryview(b"def")])

    die(work)
    for left in slots.left():
        left.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        f"0-{NAME}": b"abcdef",
        f"1-{NAME}": b"abcdef",
    }


def test_half_an_answer_is_none(slots: Slots) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"abc"
        os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        slot = slots.take(6)
        assert slot is not None
        slot.fill(NAME, pieces())

    die(work)
    assert slots.left() == []


def test_half_an_answer_over_an_old_one_is_none(slots: Slots) -> None:
    slot = slots.take(3)
    assert slot is not None
    slot.fill(NAME, [b"old"])
    slots.give_back(slot)
    assert slots.take(3) is slot
    with pytest.raises(ZeroDivisionError):
        slot.fill(NAME, (b"%d" % (1 // k) for k in (1, 0)))
    assert slots.left() == []


def test_an_answer_given_back_is_forgotten(slots: Slots) -> None:
    slot = slots.take(3)
    assert slot is not None
    slot.fill(NAME, [b"abc"])
    assert slot.read_bytes() == b"abc"
    slots.give_back(slot)
    assert slots.left() == []


@pytest.mark.parametrize("length", [None, ROOM + 1])
def test_what_does_not_fit_or_may_not_gets_none(slots: Slots, length: int | None) -> None:
    assert slots.take(length) is None
    assert slots.take(ROOM) is not None


def test_as_many_as_there_are(slots: Slots) -> None:
    first, second = slots.take(1), slots.take(1)
    assert first is not None and second is not None and first is not second
    assert slots.take(1) is None
    slots.give_back(first)
    assert slots.take(1) is first


def test_one_that_is_full(slots: Slots, tmp_path: Path) -> None:
    slot = slots.take(ROOM)
    assert slot is not None
    slot.fill(NAME, [b"a" * (ROOM - 1), b"b"])
    assert (slot.length, slot.name, slots.left()) == (ROOM, NAME, [slot])
    slot.save(tmp_path)
    assert (tmp_path / NAME).read_bytes() == b"a" * (ROOM - 1) + b"b"


def test_a_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"abc"
        assert not (tmp_path / NAME).exists()
        raise OSError("cut")

    with pytest.raises(OSError, match="cut"):
        save(pieces(), tmp_path / NAME)
    assert list(tmp_path.iterdir()) == []
    save([b"abc", memoryview(b"def")], tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == b"abcdef"
