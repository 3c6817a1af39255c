"""The deployment whose doors are tried, and what somebody could see of it."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from config import telemetry
from imagegen import generation
from imagegen.engines import wire
from tests.conftest import use_storage
from tests.security import world as worlds
from tests.security.leaks import Seen, look_at_what_is_kept


@pytest.fixture
def world(db: None) -> worlds.World:
    return worlds.build()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def folders(settings: Any, tmp_path: Path) -> tuple[Path, ...]:
    settings.EASEL_INCOMING_DIR = tmp_path / "incoming"
    use_storage(settings, f"file://{tmp_path}/pictures")
    return tmp_path / "incoming", tmp_path / "pictures"


@pytest.fixture
def logs() -> Iterator[dict[str, io.StringIO]]:
    """All that is logged, from DEBUG on, in both forms that the product writes."""
    root, structured = logging.getLogger(), structlog.get_config()
    before, streams = (root.handlers[:], root.level), {"json": io.StringIO(), "console": io.StringIO()}
    handlers = []
    for form, stream in streams.items():
        telemetry.configure(level="DEBUG", log_format=form, endpoint="", stream=stream)
        handlers += root.handlers
    root.handlers[:] = [*before[0], *dict.fromkeys(handlers)]
    yield streams
    root.handlers[:], root.level = before
    structlog.configure(**structured)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for module in (telemetry, generation, wire):
        monkeypatch.setattr(module, "tracer", provider.get_tracer("test"))
    return exporter


@pytest.fixture
def look_behind(
    seen: Seen,
    logs: dict[str, io.StringIO],
    spans: InMemorySpanExporter,
    folders: tuple[Path, ...],
) -> Callable[[], None]:
    """Adds what nobody was answered: tables, files, spans and logs."""

    def look() -> None:
        look_at_what_is_kept(seen, *folders)
        seen.add("spans", *(span.to_json() for span in spans.get_finished_spans()))
        for form, stream in logs.items():
            seen.add(f"log as {form}", stream.getvalue())

    return look
