"""Traces and logs: one id for a request, in its response, its log lines and its rows.

Spans follow OpenTelemetry, the incoming `traceparent` W3C Trace Context. Without an endpoint nothing is
exported; the id is made all the same.
"""

from __future__ import annotations

import io
import logging
import logging.config
import secrets
import time
from collections.abc import Callable, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TextIO

import structlog
from django.http import HttpRequest, HttpResponseBase
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

logger = structlog.stdlib.get_logger("easel.request")
tracer = trace.get_tracer("easel")
_propagator = TraceContextTextMapPropagator()
_TRACE_HEADERS = {"traceparent": "HTTP_TRACEPARENT", "tracestate": "HTTP_TRACESTATE"}

GetResponse = Callable[[HttpRequest], HttpResponseBase]


def configure(*, level: str, log_format: str, endpoint: str, stream: TextIO) -> None:
    """Set up structured logs, and a tracer that exports where an endpoint is given."""
    trace.set_tracer_provider(_exporting() if endpoint else _OnlyIds())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_trace_id,
    ]
    rendering: list[Any] = (
        [escape_controls, _for_people(stream)]
        if log_format == "console"
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.captureWarnings(True)
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "structured": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
                }
            },
            "filters": {"new": {"()": lambda: _says_something_new}},
            "handlers": {
                "stream": {
                    "class": "logging.StreamHandler",
                    "stream": stream,
                    "formatter": "structured",
                    "filters": ["new"],
                }
            },
            "root": {"handlers": ["stream"], "level": level},
            "loggers": {
                # At DEBUG, all that a page is given, and every value that goes to the database
                "django.template": {"level": "WARNING"},
                "django.db.backends": {"level": "WARNING"},
                "axes": {"level": "WARNING"},
                "pyvips": {"level": "WARNING"},
            },
        }
    )


def _exporting() -> trace.TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import DEFAULT_ON

    provider = TracerProvider(resource=Resource.create({"service.name": "easel"}), sampler=DEFAULT_ON)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class _OnlyIds(trace.NoOpTracerProvider):
    def get_tracer(self, *_: Any, **__: Any) -> trace.Tracer:
        return _OnlyId()


class _OnlyId(trace.NoOpTracer):
    """Where nobody collects spans, they are the id of their trace and nothing else: one serves it all."""

    def start_span(self, name: str, context: Context | None = None, *_: Any, **__: Any) -> trace.Span:
        span = trace.get_current_span(context)
        if span.get_span_context().is_valid:
            return span
        trace_id, span_id = secrets.randbits(128), secrets.randbits(64)
        return trace.NonRecordingSpan(trace.SpanContext(trace_id, span_id, is_remote=False))

    def start_as_current_span(  # type: ignore[override]  # no decorator, which nobody uses
        self, name: str, context: Context | None = None, *_: Any, **__: Any
    ) -> AbstractContextManager[trace.Span]:
        span = self.start_span(name, context)
        return nullcontext(span) if span is trace.get_current_span() else trace.use_span(span)


def _for_people(stream: TextIO) -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=_write_traceback)


def _write_traceback(stream: TextIO, exc_info: Any) -> None:
    """Plain: the pretty ones show local variables, and keys among them. Its lines are set in, for the
    message in it may be a stranger's, and no line of a stranger's may look like one of ours."""
    text = io.StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    stream.write("\n".join(f"  {line.translate(_ESCAPED)}" for line in text.getvalue().split("\n")))


_ESCAPED = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}


def escape_controls(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Nobody's text may begin a line of its own or steer the terminal."""
    return {
        name: value.translate(_ESCAPED) if isinstance(value, str) else value for name, value in event.items()
    }


def _says_something_new(record: logging.LogRecord) -> bool:
    """The line per request is ours: of Django's, only exceptions outside of our views are news. What a
    stranger sends, such as another Host, is worth a line and no traceback."""
    if record.name.startswith("django.security"):
        record.exc_info = None
    return record.name != "django.request" or bool(record.exc_info)


def add_trace_id(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
    return event


class TraceMiddleware:
    """Opens the request's span, sets `X-Trace-Id`, and writes one line per request."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        # Not from request.headers, which would be made for it of all of them
        given = {name: request.META[key] for name, key in _TRACE_HEADERS.items() if key in request.META}
        context = _propagator.extract(given)
        with tracer.start_as_current_span(
            f"{request.method} {request.path}", context=context, kind=trace.SpanKind.SERVER
        ) as span:
            response = self.get_response(request)
            match = request.resolver_match
            route = match.route if match else ""
            span.update_name(f"{request.method} {route}")
            span.set_attribute("http.request.method", request.method or "")
            span.set_attribute("http.route", route)
            span.set_attribute("http.response.status_code", response.status_code)
            response.headers["X-Trace-Id"] = trace.format_trace_id(span.get_span_context().trace_id)
            logger.info(
                "request",
                method=request.method,
                route=route,
                status=response.status_code,
                ms=round((time.perf_counter() - started) * 1000, 1),
                user=_user_id(request),
            )
        return response


def _user_id(request: HttpRequest) -> int | None:
    """Who asked, where that has been looked up already; never looked up for the log's sake."""
    user = getattr(request, "_cached_user", None) or getattr(request, "authenticated_user", None)
    return getattr(user, "pk", None)
