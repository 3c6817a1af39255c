"""Numbers as people read them."""

from __future__ import annotations

from decimal import Decimal
from math import floor, log10

NONE = "–"  # noqa: RUF001


def integer(number: float | None) -> str:
    return NONE if number is None else f"{number:,.0f}"


def money(dollars: Decimal | float | None) -> str:
    """Cents, and of less than a cent what there is."""
    if dollars is None:
        return NONE
    if 0 < dollars < Decimal("0.01"):
        return f"${dollars:.6f}".rstrip("0")
    return f"${dollars:,.2f}"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 99.5:
        return f"{_short(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{seconds / 3600:.1f} h"


def share(part: float | None) -> str:
    if part is None:
        return NONE
    return f"{part * 100:.1f} %"


def _short(number: float) -> str:
    """Two digits that count: 1.2, 12."""
    return f"{number:.1f}" if floor(log10(number)) < 1 else f"{number:.0f}"
