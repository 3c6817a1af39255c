"""Family A's errors: `{"error", "details", "txId"}`. Source: Enneo's OpenAPI, component `Error`."""

from __future__ import annotations

from dataclasses import replace

from rest_framework.response import Response

from imagegen.access.errors import Problem, make_handler
from imagegen.engines.errors import EngineError
from imagegen.problems import describe as describe_problem
from imagegen.tracing import current_trace_id

_STATUS = {401: 403, 415: 400}
"""Enneo's clients know no 401, and take a wrong content type for a bad request."""


def describe(exc: Exception) -> Problem:
    problem = translate(describe_problem(exc))
    return replace(problem, status=500) if isinstance(exc, EngineError) else problem


def translate(problem: Problem) -> Problem:
    return replace(problem, status=_STATUS.get(problem.status, problem.status))


def render(problem: Problem) -> Response:
    """`error` is for people, `details` for developers, `txId` is the trace id."""
    fields = "; ".join(f"{field}: {' '.join(rules)}" for field, rules in problem.errors.items())
    body = {
        "error": problem.detail,
        "details": f"{problem.code}: {fields}" if fields else problem.code,
        "txId": current_trace_id(),
    }
    return Response(body, status=problem.status, headers=problem.headers)


exception_handler = make_handler(describe=describe, render=render)
