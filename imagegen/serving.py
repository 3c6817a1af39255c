"""A stored picture over HTTP: validators, one range, and headers that keep a browser from guessing.

RFC 9110 for conditions and ranges. The permission check is the caller's, and comes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    StreamingHttpResponse,
)
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header

from imagegen.models import ImageFile

FOREVER = 365 * 24 * 3600
PIECE = 64 * 1024
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


def serve(request: HttpRequest, file: ImageFile, *, download: bool = False) -> HttpResponseBase:
    """200, 206, 304 or 416. Raises Http404 where the bytes are gone."""
    etag = f'"{file.sha256}"'
    unchanged = get_conditional_response(request, etag=etag)
    response = unchanged if unchanged is not None else _answer(request, file, etag)
    headers = response.headers
    headers["ETag"] = etag
    headers["Cache-Control"] = f"private, max-age={_max_age(file)}, immutable"
    if response.status_code in (200, 206):
        headers["Content-Type"] = file.content_type
        headers["Content-Disposition"] = content_disposition_header(download, file.name) or "inline"
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
        headers["Accept-Ranges"] = "bytes"
    return response


def _answer(request: HttpRequest, file: ImageFile, etag: str) -> HttpResponseBase:
    wanted = _wanted_range(request, file.size, etag)
    if wanted == ():
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{file.size}"})
    first, last = wanted or (0, file.size - 1)
    response: HttpResponseBase
    if request.method == "HEAD":
        response = HttpResponse()
    elif wanted:
        response = StreamingHttpResponse(_pieces(_open(file), first, last))
    else:
        response = FileResponse(_open(file))
    response.headers["Content-Length"] = str(last - first + 1)
    if wanted:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {first}-{last}/{file.size}"
    return response


def _open(file: ImageFile) -> IO[bytes]:
    try:
        return file.file.open("rb")  # type: ignore[no-any-return]
    except FileNotFoundError:
        raise Http404 from None


def _wanted_range(request: HttpRequest, size: int, etag: str) -> tuple[int, int] | tuple[()] | None:
    """First and last byte; () for a range beyond the end; None for the whole.

    Several ranges, another unit, or an `If-Range` that no longer holds: the whole, as RFC 9110 allows.
    """
    match = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if match is None or match.group(0) == "bytes=-" or request.headers.get("If-Range", etag) != etag:
        return None
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        return (size - length, size - 1) if length else ()
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        return ()
    return int(first), min(int(last or size), size - 1)


def _pieces(source: IO[bytes], first: int, last: int) -> Iterator[bytes]:
    with source:
        source.seek(first)
        left = last - first + 1
        while left > 0 and (piece := source.read(min(PIECE, left))):
            left -= len(piece)
            yield piece


def _max_age(file: ImageFile) -> int:
    if file.expires_at is None:
        return FOREVER
    return max(0, int((file.expires_at - timezone.now()).total_seconds()))
