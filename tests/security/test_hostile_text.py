"""Text that makes a regular expression or a loop work for ever. The bounds are generous: what is meant
takes minutes."""

from __future__ import annotations

import time

import pytest

from imagegen.engines.replies import Scrub
from portraits.prompt import SELECTIONS, SelectionError, build, validate

SEEDS = [
    "a ",
    " ",
    "\n",
    "\0",
    "a,",
    "a.",
    "A ",
    "the the ",
    "and ",
    "with ",
    "a of a ",
    "-",
    "1-",
    "!?",
    "'",
]


@pytest.mark.parametrize("seed", SEEDS)
def test_selections(seed):
    started = time.monotonic()
    for name in SELECTIONS:
        for length in (300, 1_000_000):
            try:
                build(validate({"subject": "a cat", name: seed * (length // len(seed))}))
            except SelectionError:
                continue
    assert time.monotonic() - started < 20


def test_white_space_around_a_selection_costs_nothing():
    started = time.monotonic()
    assert validate({"subject": " " * 50_000_000 + "a cat"}) == {"subject": "a cat"}
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("seed", ["!?", "?=", "://", "a:b@", "sk-", "AAAA", "http://a:b@", "?a=b ", "\n"])
def test_what_a_server_says(seed):
    started = time.monotonic()
    Scrub("sk-0123456789")(seed * (500_000 // len(seed)))
    assert time.monotonic() - started < 5
