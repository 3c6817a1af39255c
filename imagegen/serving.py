"""A stored picture over HTTP: validators, one range, and headers that keep a browser from guessing.

RFC 9110 for conditions and ranges. The permission check is the caller's, and comes first. Where nginx or
S3 may send the bytes, they are told which; what is said of the bytes is decided here all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO
from urllib.parse import quote

from django.conf import settings
from django.db.models.fields.files import FieldFile
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

from imagegen import metrics, thumbnails
from imagegen.access.addresses import comes_from_trusted_proxy
from imagegen.database import release_connections
from imagegen.folder_storage import FolderStorage
from imagegen.models import ImageFile
from imagegen.pictures import THUMBNAIL_EDGE

FOREVER = 365 * 24 * 3600
PIECE = 64 * 1024
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII | re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class _Said:
    """What is said of the bytes."""

    etag: str
    content_type: str
    disposition: str
    max_age: int
    may_redirect: bool


def serve(
    request: HttpRequest, file: ImageFile, *, download: bool = False, may_redirect: bool = True
) -> HttpResponseBase:
    """200, 206, 304 or 416, or 302 to S3. Raises Http404 where the bytes are gone.

    `may_redirect` off is for pages whose Content Security Policy lets pictures come from here alone.
    """
    disposition = _disposition(file.name, download)
    said = _Said(f'"{file.sha256}"', file.content_type, disposition, _max_age(file), may_redirect)
    return _respond(request, said, lambda: _answer(request, file, said))


def serve_thumbnail(request: HttpRequest, file: ImageFile, *, may_redirect: bool = True) -> HttpResponseBase:
    """The same for its thumbnail, which has no ranges. Raises Http404."""
    disposition = _disposition(f"{PurePosixPath(file.name).stem}-{THUMBNAIL_EDGE}.webp", False)
    said = _Said(f'"{file.sha256}-{THUMBNAIL_EDGE}"', "image/webp", disposition, _max_age(file), may_redirect)
    return _respond(request, said, lambda: _answer_whole(request, thumbnails.find_or_make(file), said))


def _respond(request: HttpRequest, said: _Said, answer: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    unchanged = get_conditional_response(request, etag=said.etag)
    response = unchanged if unchanged is not None else answer()
    if response.status_code == 302:
        return response
    headers = response.headers
    headers["ETag"] = said.etag
    headers["Cache-Control"] = f"private, max-age={said.max_age}, immutable"
    if response.status_code in (200, 206):
        headers["Content-Type"] = said.content_type
        headers["Content-Disposition"] = said.disposition
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def _answer(request: HttpRequest, file: ImageFile, said: _Said) -> HttpResponseBase:
    wanted = _wanted_range(request, file.size, said.etag)
    if wanted == ():
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{file.size}"})
    response: HttpResponseBase | None = _hand_over(request, file.file, said)
    if response is not None:
        return response
    first, last = wanted or (0, file.size - 1)
    source = _open(file.file)
    if request.method == "HEAD":
        source.close()
        response = HttpResponse()
    elif wanted:
        response = StreamingHttpResponse(_pieces(source, first, last))
    else:
        response = FileResponse(source)
        response.block_size = PIECE
    response.headers["Content-Length"] = str(last - first + 1)
    response.headers["Accept-Ranges"] = "bytes"
    if wanted:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {first}-{last}/{file.size}"
    return response


def _answer_whole(request: HttpRequest, stored: FieldFile | bytes, said: _Said) -> HttpResponseBase:
    if isinstance(stored, bytes):
        data = stored
    elif (handed_over := _hand_over(request, stored, said)) is not None:
        return handed_over
    else:
        with _open(stored) as source:
            data = source.read()
    length = {"Content-Length": str(len(data))}
    return HttpResponse(b"" if request.method == "HEAD" else data, headers=length)


def _hand_over(request: HttpRequest, stored: FieldFile, said: _Said) -> HttpResponse | None:
    """Leave the sending to nginx or to S3, where that is set up; else None."""
    if isinstance(stored.storage, FolderStorage) and _nginx_asks(request):
        where = quote(f"{settings.EASEL_ACCEL_REDIRECT}{stored.name}")
        return HttpResponse(headers={"X-Accel-Redirect": where, "Accept-Ranges": "bytes"})
    presign = getattr(stored.storage, "presign", None)
    seconds = min(settings.EASEL_S3_PRESIGNED, said.max_age)
    if presign is None or not said.may_redirect or seconds <= 0 or request.method != "GET":
        return None
    url = presign(stored.name, seconds=seconds, content_type=said.content_type, disposition=said.disposition)
    return HttpResponse(status=302, headers={"Location": url, "Cache-Control": "private, no-store"})


def _nginx_asks(request: HttpRequest) -> bool:
    """Whether this came through the nginx of deploy/nginx.conf, which names its internal location. Anybody
    else would be shown a path, and no picture."""
    location = settings.EASEL_ACCEL_REDIRECT
    named = request.headers.get("X-Accel-Location")
    return bool(location) and named == location and comes_from_trusted_proxy(request)


def _open(stored: FieldFile) -> IO[bytes]:
    release_connections()
    try:
        return stored.open("rb")
    except Exception as error:
        metrics.storage_failures("read").inc()
        if isinstance(error, FileNotFoundError):
            raise Http404 from None
        raise


def _wanted_range(request: HttpRequest, size: int, etag: str) -> tuple[int, int] | tuple[()] | None:
    """First and last byte; () for a range beyond the end; None for the whole.

    Several ranges, another unit, or an `If-Range` that no longer holds: the whole, as RFC 9110 allows;
    and it knows ranges for GET alone.
    """
    if request.method != "GET":
        return None
    match = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if match is None or not any(match.groups()) or request.headers.get("If-Range", etag) != etag:
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


def _disposition(name: str, download: bool) -> str:
    return content_disposition_header(download, _CONTROLS.sub("", name)) or "inline"


def _max_age(file: ImageFile) -> int:
    if file.expires_at is None:
        return FOREVER
    return max(0, int((file.expires_at - timezone.now()).total_seconds()))
