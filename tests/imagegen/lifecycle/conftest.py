"""A lab of its own for each module, with a real engine's server beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.litellm import LiteLLM
from tests.imagegen.lifecycle.lab import Lab


@pytest.fixture(scope="module")
def server() -> Iterator[LiteLLM]:
    with LiteLLM() as server:
        yield server


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        lab.value("prepare")
        yield lab
