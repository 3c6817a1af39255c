"""The gate: every API view stands behind it.

In this order, so that nobody learns or costs more than they must: the rate of the address, who you
are, what you may do, your own rate, the size of the body. Only then is the body read.

A family with errors of its own sets `exception_handler` (see `errors.make_handler`), a view with a lower
limit `max_body_bytes`. An open view sets `authentication_classes = []` and `permission_classes = [AllowAny]`;
the rate of the address and the size of the body stay limited. GatedAPIView has no docstring: the API's
description would show it as its subclasses'.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, ClassVar

from django.conf import settings
from django.views import View
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from imagegen.access import errors, rates
from imagegen.access.addresses import client_address
from imagegen.access.authentication import BearerAuthentication, SessionCookieAuthentication
from imagegen.access.strict import StrictJSONParser


class OneAnswer(DefaultContentNegotiation):
    """A view has one kind of answer, whatever `Accept` says; an `<img>` is refused nothing by it."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class GatedAPIView(APIView):
    authentication_classes = [BearerAuthentication, SessionCookieAuthentication]
    permission_classes = [IsAuthenticated]
    parser_classes = [StrictJSONParser]
    renderer_classes = [JSONRenderer]
    content_negotiation_class = OneAnswer
    metadata_class = None
    http_method_names = [name for name in View.http_method_names if name not in ("options", "trace")]

    max_body_bytes: ClassVar[int | None] = None
    exception_handler: ClassVar[errors.ExceptionHandler] = staticmethod(errors.exception_handler)

    def get_exception_handler(self) -> errors.ExceptionHandler:
        return type(self).exception_handler

    def get_authenticate_header(self, request: Request) -> str:
        return errors.AUTHENTICATE

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        rates.check(key=f"address:{client_address(request._request)}", per_second=settings.EASEL_RATE_ADDRESS)
        super().initial(request, *args, **kwargs)
        _check_body(request, self.max_body_bytes or settings.EASEL_MAX_BODY_BYTES)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        """What one caller is told is no cache's to keep, unless the view says otherwise."""
        answer: Response = super().finalize_response(request, response, *args, **kwargs)
        answer.headers.setdefault("Cache-Control", "private, no-store")
        return answer

    def perform_authentication(self, request: Request) -> None:
        super().perform_authentication(request)
        request._request.authenticated_user = request.user  # type: ignore[attr-defined]  # for the log

    def check_throttles(self, request: Request) -> None:
        if request.user.is_authenticated:
            rates.check(key=f"user:{request.user.pk}", per_second=settings.EASEL_RATE_USER)


def _check_body(request: Request, limit: int) -> None:
    """Refuse a body that says it is too large. One that does not say how large it is is read here."""
    meta = request.META
    length = meta.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()):
        raise ParseError("Content-Length must be a number.")
    if int(length) > limit:
        raise _too_large(limit)
    if (
        "HTTP_TRANSFER_ENCODING" in meta
        and "CONTENT_LENGTH" not in meta
        and meta.get("wsgi.input_terminated")
    ):
        try:
            body = meta["wsgi.input"].read(limit + 1)
        except OSError:
            raise ParseError("The body broke off, or its chunks are malformed.") from None
        if len(body) > limit:
            raise _too_large(limit)
        meta["CONTENT_LENGTH"] = str(len(body))
        request._request._stream = BytesIO(body)


def _too_large(limit: int) -> errors.BodyTooLarge:
    most = f"{limit // 1024**2} MB" if limit >= 1024**2 else f"{limit // 1024} KB"
    return errors.BodyTooLarge(f"The request body is larger than {most}.")
