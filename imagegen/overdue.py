"""Generations whose process died: closed past their deadline, by whoever comes first.

Each worker watches for them, so that no row says `running` for long, whichever machine died and whether
there is a timer or not.
"""

from __future__ import annotations

import threading
from random import SystemRandom

import structlog
from django.db import Error, connection, connections, transaction
from django.db.models import F
from django.utils import timezone

from imagegen import metrics
from imagegen.database import release_connections
from imagegen.models import Generation, UsagePeriod

logger = structlog.stdlib.get_logger(__name__)

CUT_OFF = "interrupted"
BATCH = 500
"""Rows that one transaction closes."""

SOON, PERIOD = 5.0, 60.0
"""Seconds: the first look is within SOON of a worker's start, as after a crash; then every PERIOD or so."""


def close_overdue() -> int:
    """Close what a crash left running past its deadline; return how many. Safe from any machine.

    Nobody knows how far its process had come, so each may have been charged.
    """
    closed = 0
    while Generation.objects.overdue().exists() and (number := _close_some()):
        closed += number
    metrics.closed_overdue.inc(closed)
    return closed


def _close_some() -> int:
    """What another machine has in hand is left to it."""
    skip = connection.features.has_select_for_update_skip_locked
    overdue = Generation.objects.overdue().order_by().select_for_update(skip_locked=skip)
    with transaction.atomic():
        begun = dict(overdue.values_list("pk", "created_at")[:BATCH])
        closed = Generation.objects.filter(pk__in=begun, finished_at=None).update(
            status=Generation.Status.FAILED,
            pictures_failed=F("pictures_asked"),
            error_code=CUT_OFF,
            error_message="The service was interrupted while the picture was being made.",
            may_have_charged=True,
            finished_at=timezone.now(),
        )
        UsagePeriod.objects.mark_stale(begun.values())
    return closed


class Watch(threading.Thread):
    """Looks now and then, each worker at moments of its own, until it is stopped."""

    def __init__(self) -> None:
        super().__init__(name="overdue", daemon=True)
        self._stopped = threading.Event()

    def run(self) -> None:
        moment = SystemRandom()
        pause = moment.uniform(0, SOON)
        try:
            while not self._stopped.wait(pause):
                look()
                pause = moment.uniform(0.75, 1.25) * PERIOD
        finally:
            connections.close_all()

    def stop(self) -> None:
        """Returns when it has ended, or soon: what it has begun is one short transaction."""
        self._stopped.set()
        self.join(2)


def look() -> None:
    """Close what is overdue. Where the database is away, the next look will do."""
    try:
        closed = close_overdue()
    except Error as error:
        logger.warning("overdue generations not looked for", error=type(error).__name__)
    else:
        if closed:
            logger.warning("overdue generations closed", closed=closed)
    finally:
        release_connections()
