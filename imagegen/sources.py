"""Edit sources: what a person points at -> pictures that are safe to send on.

A source is a `data:` URI, an http(s) URL, the content path of a stored file (also as an absolute URL of
this server), or a bare file id. What it claims to be does not count: its bytes must decode.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import UUID

import pybase64
import structlog
from django.conf import settings
from rest_framework.exceptions import NotFound

from imagegen import pictures
from imagegen.calls import gate
from imagegen.database import release_connections
from imagegen.engines.addresses import Forbidden, Target
from imagegen.engines.errors import EngineError, EngineTimeout
from imagegen.engines.http import fetch
from imagegen.errors import InvalidRequest
from imagegen.models import ImageFile

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = structlog.stdlib.get_logger(__name__)

MEGABYTE = 1024**2
MAX_SOURCES = 16
MAX_BYTES = 20 * MEGABYTE
MAX_BYTES_TOGETHER = 50 * MEGABYTE
MAX_PIXELS = 40_000_000
FETCH_SECONDS = 20.0
"""For all URLs of a request together."""

NO_PICTURE = (
    "This URL gave no picture. It must be http(s), plainly written and open to everyone on the internet; "
    f"the picture at most {MAX_BYTES // MEGABYTE} MB."
)
"""For whatever a URL is refused, or not found: nobody learns from it what our network holds."""

_LONGEST_DATA_HEADER = 200
_MARKS_OF_A_URL = (":", "//", "\\")
_CONTENT_PATH = re.compile(r"/api/v1/files/([^/?#]+)/content(?:[?#].*)?")


class Unusable(ValueError):
    """A source that is refused; the message says why, for people."""


class NoSuchFile(LookupError):
    """A file that is not there, or not for this caller."""


@dataclass(frozen=True)
class Sources:
    """Checked, upright pictures without metadata, as encoded PNG, JPEG or WebP."""

    images: list[bytes] = field(repr=False)
    mask: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Inline:
    """A `data:` URI (RFC 2397) in base64, which begins at `start`."""

    text: str = field(repr=False)
    start: int

    @classmethod
    def parse(cls, text: str) -> Inline:
        head, comma, _ = text[:_LONGEST_DATA_HEADER].partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise Unusable("A data: URI must hold base64, as in data:image/png;base64,iVBORw0….")
        inline = cls(text, len(head) + 1)
        _refuse_large(inline.size)
        return inline

    @property
    def size(self) -> int:
        """Bytes that it decodes to, before it is decoded."""
        return (len(self.text) - self.start) // 4 * 3 - self.text[-2:].count("=")

    def read(self) -> bytes:
        try:
            return pybase64.b64decode(self.text[self.start :], validate=True)
        except ValueError:
            raise Unusable("This data: URI is not valid base64.") from None


@dataclass(frozen=True)
class Link:
    """A URL of somewhere else."""

    url: str

    def read(self, deadline_at: float) -> bytes:
        """Fetched behind the address guard. A URL that is refused, out of reach or not found gives one
        and the same reason, so that nobody learns what our network holds."""
        with TemporaryDirectory(prefix="easel-source-") as folder:
            path = Path(folder, "picture")
            try:
                fetch(self.url, path, limit=MAX_BYTES, deadline_at=deadline_at)
            except EngineTimeout:
                raise Unusable("This URL took too long to answer.") from None
            except EngineError as error:
                logger.info("source not fetched", code=error.code, detail=error.detail)
                raise Unusable(NO_PICTURE) from None
            return path.read_bytes()


@dataclass(frozen=True)
class Stored:
    """One of our files."""

    pk: UUID

    def read(self, files: Mapping[UUID, ImageFile]) -> bytes:
        file = files.get(self.pk)
        if file is None:
            raise NoSuchFile
        _refuse_large(file.size)
        try:
            with file.file.open("rb") as content:
                data: bytes = content.read()
        except FileNotFoundError:
            raise NoSuchFile from None
        return data


Source = Inline | Link | Stored


@dataclass(frozen=True)
class _Place:
    """Where a source stands in the request."""

    field: str
    label: str = ""

    @contextmanager
    def named(self) -> Iterator[None]:
        """Faults of this source, told so that the caller knows which one it is."""
        try:
            yield
        except (Unusable, pictures.NotAPicture) as error:
            raise InvalidRequest(self.field, f"{self.label}{error}") from error
        except NoSuchFile:
            raise NotFound(f"{self.field}: {self.label}There is no such file.") from None


def read_sources(*, images: Sequence[str], mask: str | None, user: User) -> Sources:
    """Parse all sources, look up the files among them, then read and check one after the other.

    Raises InvalidRequest (field `image` or `mask`), and NotFound for a file that this user may not see.
    """
    asked = [
        (_Place("image", f"picture {k}: " if len(images) > 1 else ""), text)
        for k, text in enumerate(images, start=1)
    ]
    if mask is not None:
        asked.append((_Place("mask"), mask))
    sources = [(place, _parse_at(place, text)) for place, text in asked]
    files = _find(sources, user)
    release_connections()
    checked = _read_all(sources, files)
    if mask is None:
        return Sources([picture.data for picture in checked])
    *pixels, masking = checked
    if masking.size != pixels[0].size:
        raise InvalidRequest(
            "mask", f"Must have the size of the first picture, {pixels[0].size}; it has {masking.size}."
        )
    return Sources([picture.data for picture in pixels], masking.data)


def parse(text: str) -> Source:
    """What kind of source this is. Raises Unusable and NoSuchFile; looks nothing up."""
    scheme = text[:8].lower()
    if scheme.startswith("data:"):
        return Inline.parse(text)
    if scheme.startswith(("http://", "https://")):
        path = _path_on_this_server(text)
        if path is None:
            return Link(text)
        text = path
    content = _CONTENT_PATH.fullmatch(text)
    try:
        return Stored(UUID(content[1] if content else text))
    except ValueError:
        if content:
            raise NoSuchFile from None
        if any(mark in text for mark in _MARKS_OF_A_URL):
            raise Unusable(NO_PICTURE) from None
        raise Unusable("Must be a data: URI, an http(s) URL, or the id or content path of a file.") from None


def _path_on_this_server(url: str) -> str | None:
    """Path and query; None for a URL that leads elsewhere. Raises Unusable."""
    try:
        target, ours = Target.parse(url), Target.parse(settings.EASEL_PUBLIC_URL)
    except Forbidden as error:
        logger.info("source not followed", detail=str(error))
        raise Unusable(NO_PICTURE) from None
    mounted_at = ours.uri.rstrip("/")
    if target.origin != ours.origin or not target.uri.startswith(f"{mounted_at}/"):
        return None
    return target.uri.removeprefix(mounted_at)


def _parse_at(place: _Place, text: str) -> Source:
    with place.named():
        return parse(text)


def _find(sources: Sequence[tuple[_Place, Source]], user: User) -> Mapping[UUID, ImageFile]:
    """Those of the files that the user may see, in one query. Raises NotFound when that is not all."""
    places = {source.pk: place for place, source in sources if isinstance(source, Stored)}
    files = ImageFile.objects.visible_to(user).in_bulk(places) if places else {}
    for pk, place in places.items():
        with place.named():
            if pk not in files:
                raise NoSuchFile
    return files


def _read_all(
    sources: Sequence[tuple[_Place, Source]], files: Mapping[UUID, ImageFile]
) -> list[pictures.Picture]:
    deadline_at = time.monotonic() + FETCH_SECONDS
    total, checked = 0, []
    for place, source in sources:
        with place.named():
            data = _read(source, files, deadline_at)
            total += len(data)
            if total > MAX_BYTES_TOGETHER:
                raise Unusable(f"The pictures are more than {MAX_BYTES_TOGETHER // MEGABYTE} MB together.")
            with gate:
                checked.append(pictures.prepare(data, max_pixels=MAX_PIXELS, thorough=True))
    return checked


def _read(source: Source, files: Mapping[UUID, ImageFile], deadline_at: float) -> bytes:
    match source:
        case Inline():
            return source.read()
        case Link():
            return source.read(deadline_at)
        case Stored():
            return source.read(files)


def _refuse_large(size: int) -> None:
    if size > MAX_BYTES:
        raise Unusable(f"The picture is larger than {MAX_BYTES // MEGABYTE} MB.")
