from __future__ import annotations

import pytest
from django.utils import timezone

from tests.imagegen.rollup.making import NOW


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)
