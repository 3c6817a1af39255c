"""/api/auth as deployed, and views that show what came through the gate."""

from __future__ import annotations

from typing import Any

from django.urls import include, path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from imagegen.access.gate import GatedAPIView
from imagegen.access.permissions import CanGenerateImages
from imagegen.access.strict import (
    StrictBooleanField,
    StrictCharField,
    StrictIntegerField,
    StrictListField,
    StrictObjectField,
    StrictSerializer,
)


class PictureSerializer(StrictSerializer):
    prompt = StrictCharField(max_length=20)
    trimmed = StrictCharField(max_length=5, count_trimmed=True, required=False)
    folded = StrictCharField(any_text=True, required=False)
    n = StrictIntegerField(min_value=1, max_value=10, required=False)
    tiled = StrictBooleanField(required=False)
    images = StrictListField(child=StrictCharField(), required=False)
    metadata = StrictObjectField(
        known={"chat_id": StrictCharField(max_length=255, allow_blank=True, required=False)},
        max_bytes=4096,
        required=False,
    )


class PicturesView(GatedAPIView):
    permission_classes = [IsAuthenticated, CanGenerateImages]

    @extend_schema(request=PictureSerializer, responses=PictureSerializer)
    def post(self, request: Request) -> Response:
        serializer = PictureSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return Response(serializer.validated_data)


class WhoView(GatedAPIView):
    def get(self, request: Request) -> Response:
        return Response({"user": request.user.get_username(), "auth": type(request.auth).__name__})

    post = get


class UploadView(GatedAPIView):
    parser_classes = [MultiPartParser]

    def post(self, request: Request) -> Response:
        return Response({"name": request.data["file"].name, "bytes": request.data["file"].size})


class FaultyView(GatedAPIView):
    def get(self, request: Request) -> Response:
        raise RuntimeError("the secret lies in /var/lib")


class NestedView(GatedAPIView):
    def get(self, request: Request) -> Response:
        detail: dict[str, Any] = {"metadata": {"chat_id": ["Too long."]}, "image": {1: ["Not a picture."]}}
        raise serializers.ValidationError(detail | {"non_field_errors": ["Both are wrong."]})


urlpatterns = [
    path("api/auth/", include("imagegen.access.urls")),
    path("pictures", PicturesView.as_view()),
    path("who", WhoView.as_view()),
    path("upload", UploadView.as_view()),
    path("faulty", FaultyView.as_view()),
    path("nested", NestedView.as_view()),
]
