"""The id that ties a response, its log lines and its rows together."""

from __future__ import annotations

from opentelemetry import trace


def current_trace_id() -> str:
    """32 hex digits, or empty outside of any span."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""
