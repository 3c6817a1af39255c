"""What a run did: said as it happens, and counted for the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable


class Report:
    """Counts by what was done, in words. In a dry run: what would be done.

    Args:
        say: takes one line.
        dry_run: whoever holds the report changes nothing.
    """

    def __init__(self, say: Callable[[str], None], *, dry_run: bool = False) -> None:
        self.dry_run = dry_run
        self.counts: Counter[str] = Counter()
        self.faults = 0
        self._say = say

    def count(self, what: str, number: int = 1) -> None:
        if number:
            self.counts[what] += number

    def tell(self, what: str, subject: object) -> None:
        """Count one, and say which."""
        self.counts[what] += 1
        self._say(f"{what}: {subject}")

    def fault(self, what: str, subject: object) -> None:
        """As `tell`, for what somebody must look at."""
        self.faults += 1
        self.tell(what, subject)

    def summary(self) -> str:
        done = "; ".join(f"{what}: {number}" for what, number in sorted(self.counts.items()))
        return f"{'Dry run. ' if self.dry_run else ''}{done or 'Nothing to do.'}"
