import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework_simplejwt.exceptions import InvalidToken

from imagegen.access.errors import INTERNAL, Problem, TooManyRequests, describe, make_handler, render


@pytest.mark.parametrize(
    ("exc", "status", "code"),
    [
        (exceptions.ValidationError("No."), 400, "invalid"),
        (exceptions.ParseError(), 400, "parse_error"),
        (exceptions.NotAuthenticated(), 401, "not_authenticated"),
        (exceptions.AuthenticationFailed(), 401, "authentication_failed"),
        (InvalidToken("No."), 401, "token_not_valid"),
        (exceptions.PermissionDenied(), 403, "permission_denied"),
        (PermissionDenied("inner detail"), 403, "permission_denied"),
        (exceptions.NotFound(), 404, "not_found"),
        (Http404("inner detail"), 404, "not_found"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed"),
        (RequestDataTooBig("inner detail"), 413, "too_large"),
        (exceptions.UnsupportedMediaType("text/plain"), 415, "unsupported_media_type"),
        (exceptions.Throttled(wait=2.2), 429, "throttled"),
        (SuspiciousOperation("inner detail"), 400, "bad_request"),
        (UnreadablePostError("inner detail"), 400, "bad_request"),
        (KeyError("inner detail"), 500, "internal_error"),
    ],
)
def test_every_exception_has_its_problem(exc, status, code):
    response = render(describe(exc))
    assert (response.status_code, response.data["code"]) == (status, code)
    assert response.data["detail"] and "inner detail" not in str(response.data)
    assert ("WWW-Authenticate" in response.headers) == (status == 401)
    assert ("Retry-After" in response.headers) == (status == 429)


@pytest.mark.parametrize(("wait", "header"), [(0.01, "1"), (1, "1"), (1.2, "2"), (300, "300")])
def test_retry_after_is_a_whole_number_of_seconds(wait, header):
    assert render(describe(TooManyRequests(wait))).headers["Retry-After"] == header


def test_a_family_puts_its_own_words_first():
    class Refused(Exception):
        pass

    def describe_mine(exc: Exception) -> Problem:
        return Problem(422, "Mine.", "mine") if isinstance(exc, Refused) else describe(exc)

    def render_mine(problem: Problem) -> Response:
        return Response({"error": problem.detail}, status=problem.status)

    handle = make_handler(describe_mine, render_mine)
    assert handle(Refused(), {}).data == {"error": "Mine."}
    assert handle(exceptions.NotFound("Gone."), {}).data == {"error": "Gone."}


@pytest.mark.django_db
def test_what_nobody_foresaw_reaches_a_family_as_internal():
    handle = make_handler(render=lambda problem: Response(problem is INTERNAL))
    assert handle(RuntimeError(), {}).data is True
