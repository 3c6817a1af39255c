"""Family B: files. One's own pictures: sent, listed, described, shown, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError as InvalidCursor
from django.http import Http404, HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from imagegen.access.errors import BodyTooLarge
from imagegen.access.permissions import CanGenerateImages, signed_in
from imagegen.access.schema import errors
from imagegen.api import schema
from imagegen.api.serializers import FileMetadata, FileQuery, UploadBody
from imagegen.api.views import ImagesAPIView
from imagegen.database import release_connections
from imagegen.models import ImageFile
from imagegen.serving import serve, serve_thumbnail
from imagegen.storage import delete_files
from imagegen.uploads import MAX_BYTES, upload
from imagegen.waiting import room

FORM_BYTES = 64 * 1024
"""What a form may hold around its picture."""
FILE_ID = OpenApiParameter("file_id", UUID, OpenApiParameter.PATH)


class FilePages(CursorPagination):
    """By cursor, never by count: a page costs one indexed query however many files there are."""

    page_size = 50
    ordering = ("-created_at", "-id")

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (NotFound, InvalidCursor, ValueError, OverflowError):
            raise ValidationError({"cursor": ["Not a cursor of this list."]}) from None

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.get_next_link()})


FILTERS = [
    OpenApiParameter("chat_id", str, description="Only those of this chat."),
    OpenApiParameter("message_id", str, description="Only those of this message."),
]


class FilesView(ImagesAPIView):
    """Own files, newest first."""

    parser_classes = [MultiPartParser]
    max_body_bytes = MAX_BYTES + FORM_BYTES

    def get_permissions(self) -> Sequence[BasePermission]:
        return [CanGenerateImages()] if self.request.method == "POST" else [IsAuthenticated()]

    @extend_schema(
        operation_id="uploadFile",
        summary="Upload a picture",
        description=(
            "Stores a picture as a source for edits. What it is, is read from its bytes, not from its name. "
            "It is turned upright and its metadata is taken off; a GIF becomes a PNG of its first frame."
        ),
        tags=["files"],
        request={"multipart/form-data": UploadBody},
        responses=schema.merged({201: FileMetadata}, errors(400, 401, 403, 405, 413, 415, 429, 503)),
    )
    def post(self, request: Request) -> Response:
        body = UploadBody(data=request.data)
        body.is_valid(raise_exception=True)
        file = body.validated_data["file"]
        if len(request._request.FILES.getlist("file")) > 1:
            raise ValidationError({"file": ["Send one picture at a time."]})
        if file.size > MAX_BYTES:
            raise BodyTooLarge(f"The picture is larger than {MAX_BYTES // 1024**2} MB.")
        release_connections()
        with room.place():
            stored = upload(file, owner=signed_in(request))
        return Response(FileMetadata(stored).data, status=201)

    @extend_schema(
        operation_id="listFiles",
        summary="List files",
        description="Your own files, newest first, a page at a time.",
        tags=["files"],
        parameters=[*FILTERS, OpenApiParameter("cursor", str, description="Taken from `next`.")],
        responses=schema.merged(
            {
                200: inline_serializer(
                    "FilePage",
                    {"results": FileMetadata(many=True), "next": serializers.URLField(allow_null=True)},
                )
            },
            errors(400, 401, 405, 429),
        ),
    )
    def get(self, request: Request) -> Response:
        files = ImageFile.objects.owned_by(request.user).filter(**_filters(request))
        pages = FilePages()
        page = pages.paginate_queryset(files.select_related("generation"), request, self)
        return pages.get_paginated_response(FileMetadata(page or [], many=True).data)

    @extend_schema(
        operation_id="deleteFiles",
        summary="Delete the files of a chat",
        description="Your own files of a chat or a message, their bytes and thumbnails. There may be none.",
        tags=["files"],
        parameters=FILTERS,
        responses=schema.merged(schema.NO_CONTENT, errors(400, 401, 403, 405, 429)),
    )
    def delete(self, request: Request) -> Response:
        filters = _filters(request)
        if not filters:
            raise ValidationError("Say which files: chat_id=… or message_id=….")
        delete_files(ImageFile.objects.owned_by(request.user).filter(**filters))
        return Response(status=204)


def _filters(request: Request) -> dict[str, str]:
    """Those that are given. Raises ValidationError."""
    query = FileQuery(data=request.query_params.dict())
    query.is_valid(raise_exception=True)
    return {name: value for name, value in query.validated_data.items() if value}


class FileView(ImagesAPIView):
    """What is known of a file."""

    @extend_schema(
        operation_id="getFile",
        summary="Get a file's metadata",
        tags=["files"],
        parameters=[FILE_ID],
        responses=schema.merged({200: FileMetadata}, errors(401, 404, 405, 429)),
    )
    def get(self, request: Request, file_id: str) -> Response:
        return Response(FileMetadata(find_file(request, file_id)).data)

    @extend_schema(
        operation_id="deleteFile",
        summary="Delete a file",
        description="Its bytes and its thumbnail go with it. Only its owner may.",
        tags=["files"],
        parameters=[FILE_ID],
        responses=schema.merged(schema.NO_CONTENT, errors(401, 403, 404, 405, 429)),
    )
    def delete(self, request: Request, file_id: str) -> Response:
        owned = ImageFile.objects.owned_by(request.user).filter(pk=_read_id(file_id))
        if not delete_files(owned):
            raise Http404
        return Response(status=204)


class FileContentView(ImagesAPIView):
    """The picture itself."""

    @extend_schema(
        operation_id="getFileContent",
        summary="Get a file's content",
        description="The bytes. Answers `If-None-Match`, a single `Range`, and `HEAD`.",
        tags=["files"],
        parameters=[
            FILE_ID,
            OpenApiParameter("download", str, description="`1`: to save rather than to show."),
            OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="`bytes=first-last`."),
        ],
        responses=schema.merged(
            schema.PICTURE,
            schema.PARTIAL_PICTURE,
            schema.AT_S3,
            schema.NOT_MODIFIED,
            schema.RANGE_BEYOND,
            errors(401, 404, 405, 429),
        ),
    )
    def get(self, request: Request, file_id: str) -> HttpResponseBase:
        file = find_file(request, file_id)
        return serve(request._request, file, download=request.query_params.get("download") == "1")


class FileThumbnailView(ImagesAPIView):
    """A small version of it."""

    @extend_schema(
        operation_id="getFileThumbnail",
        summary="Get a file's thumbnail",
        description="A WebP whose longest edge has at most 320 pixels, made when first asked for.",
        tags=["files"],
        parameters=[FILE_ID],
        responses=schema.merged(
            schema.THUMBNAIL, schema.AT_S3, schema.NOT_MODIFIED, errors(401, 404, 405, 429)
        ),
    )
    def get(self, request: Request, file_id: str) -> HttpResponseBase:
        return serve_thumbnail(request._request, find_file(request, file_id))


def find_file(request: Request, file_id: str) -> ImageFile:
    """A file that the caller may see. Raises Http404."""
    return ImageFile.objects.find_visible(request.user, pk=_read_id(file_id))


def _read_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Http404 from None
