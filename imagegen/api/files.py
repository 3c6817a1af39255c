"""Family B: files. One's own pictures, by list, by metadata, by content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from imagegen.access.schema import errors
from imagegen.api import schema
from imagegen.api.serializers import FileMetadata, FileQuery
from imagegen.api.views import ImagesAPIView
from imagegen.models import ImageFile
from imagegen.serving import serve

FILE_ID = OpenApiParameter("file_id", UUID, OpenApiParameter.PATH)


class FilePages(CursorPagination):
    """By cursor, never by count: a page costs one indexed query however many files there are."""

    page_size = 50
    ordering = ("-created_at", "-id")

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except NotFound:
            raise ValidationError({"cursor": ["Not a cursor of this list."]}) from None

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.get_next_link()})


class FilesView(ImagesAPIView):
    """Own files, newest first."""

    @extend_schema(
        operation_id="listFiles",
        summary="List files",
        description="Your own files, newest first, a page at a time.",
        tags=["files"],
        parameters=[
            OpenApiParameter("chat_id", str, description="Only those of this chat."),
            OpenApiParameter("message_id", str, description="Only those of this message."),
            OpenApiParameter("cursor", str, description="Taken from `next`."),
        ],
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
        query = FileQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        wanted = {name: value for name, value in query.validated_data.items() if value}
        files = ImageFile.objects.owned_by(request.user).filter(**wanted).select_related("generation")
        pages = FilePages()
        page: Sequence[ImageFile] = pages.paginate_queryset(files, request, self) or []
        return pages.get_paginated_response(FileMetadata(page, many=True).data)


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
            schema.NOT_MODIFIED,
            schema.RANGE_BEYOND,
            errors(401, 404, 405, 429),
        ),
    )
    def get(self, request: Request, file_id: str) -> HttpResponseBase:
        file = find_file(request, file_id)
        return serve(request._request, file, download=request.query_params.get("download") == "1")


def find_file(request: Request, file_id: str) -> ImageFile:
    """A file that the caller may see. Raises Http404."""
    try:
        wanted = UUID(file_id)
    except ValueError:
        raise Http404 from None
    return ImageFile.objects.find_visible(request.user, pk=wanted)
