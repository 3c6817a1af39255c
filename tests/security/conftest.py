"""The deployment whose doors are tried."""

from __future__ import annotations

import pytest

from tests.security import world as worlds


@pytest.fixture
def world(db: None) -> worlds.World:
    return worlds.build()
