"""What is counted for Prometheus while it happens. docs/metrics.md says what each means.

No label holds what a client chose: no path, model, prompt or person. Those that hold what staff chose, the
names of connections, are bounded by MOST_CHILDREN. What is looked up at a scrape is in config/gauges.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics import MetricWrapperBase

disable_created_metrics()  # type: ignore[no-untyped-call]

MOST_CHILDREN = 200
OTHER = "other"
OK = "ok"

SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LONG = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)

REGISTRY = CollectorRegistry()
"""Holds the numbers of this process alone; those of all are in files, where config/gunicorn.py says so."""

Metric = TypeVar("Metric", bound=MetricWrapperBase)


class Children(Generic[Metric]):
    """A metric's children by the values of their labels, found without the library's lock.

    Past MOST_CHILDREN all further ones share a child whose labels are OTHER.
    """

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._known: dict[tuple[str, ...], Metric] = {}

    def __call__(self, *values: str) -> Metric:
        return self._known.get(values) or self._add(values)

    def _add(self, values: tuple[str, ...]) -> Metric:
        if len(self._known) >= MOST_CHILDREN:
            return self._metric.labels(*[OTHER] * len(values))
        child = self._known[values] = self._metric.labels(*values)
        return child


def _count(name: str, help: str, *labels: str) -> Children[Counter]:
    return Children(_total(name, help, *labels))


def _total(name: str, help: str, *labels: str) -> Counter:
    return Counter(f"easel_{name}_total", help, labels, registry=REGISTRY)


def _time(name: str, help: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
    return Histogram(f"easel_{name}_seconds", help, labels, buckets=buckets, registry=REGISTRY)


def _level(name: str, help: str, *labels: str) -> Gauge:
    """Summed over the processes that live."""
    return Gauge(f"easel_{name}", help, labels, registry=REGISTRY, multiprocess_mode="livesum")


requests = _count("http_requests", "Requests answered.", "route", "method", "status")
request_seconds = Children(
    _time("http_request_duration", "From a request to its answer's headers.", "route", buckets=LONG)
)
requests_in_flight = _level("http_requests_in_flight", "Requests that have no answer yet.")

generations = _count(
    "generations",
    "Generations ended, by how: succeeded, partial, or the code of the failure.",
    *("connection", "engine", "operation", "outcome"),
)
pictures = _count("pictures", "Pictures made and stored.", "connection", "engine", "operation")
calls = _count("engine_calls", "Calls of engines, by how they ended.", "connection", "engine", "outcome")
call_seconds = Children(
    _time("engine_call_duration", "Waiting for an engine.", "connection", "engine", buckets=LONG)
)
calls_in_flight = Children(
    _level("engine_calls_in_flight", "Calls that wait for an engine.", "connection", "engine")
)
turn_seconds = Children(
    _time("turn_wait", "In line for a connection with a limit.", "connection", "engine", buckets=LONG)
)
gate_seconds = _time("gate_wait", "In line for one of the places for pictures in memory.", buckets=SHORT)
received = _count("engine_received_bytes", "Answers of engines.", "connection", "engine")
written = _total("storage_written_bytes", "Pictures and thumbnails written to the storage.")
storage_failures = _count("storage_failures", "What the storage did not do.", "operation")
quota_refusals = _count("quota_refusals", "Generations refused by a quota.", "quota")
rate_refusals = _count("rate_refusals", "Requests refused by a rate.", "rate")
busy_refusals = _count(
    "busy_refusals", "Generations refused: no room to wait or to store, or stopping.", "reason"
)
closed_overdue = _total("generations_closed_overdue", "Left running by a crash, closed by this service.")

# Known from the start, so that the first one is seen as an increase.
for _child, _values in (
    (storage_failures, ("write", "read", "delete")),
    (quota_refusals, ("pictures_per_day", "pictures_per_month", "money_per_month", "generations_at_once")),
    (rate_refusals, ("address", "user", "login")),
    (busy_refusals, ("full", "stopping", "no_space")),
):
    for _value in _values:
        _child(_value)


@contextmanager
def engine_call(connection: str, engine: str) -> Iterator[None]:
    """Time one call of an engine; it is in flight meanwhile."""
    in_flight = calls_in_flight(connection, engine)
    in_flight.inc()
    started = time.perf_counter()
    try:
        yield
    finally:
        call_seconds(connection, engine).observe(time.perf_counter() - started)
        in_flight.dec()
