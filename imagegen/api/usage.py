"""What is left of the caller's quotas. Common to both families, with the errors of family B."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from imagegen import quotas
from imagegen.access.permissions import signed_in
from imagegen.access.schema import errors
from imagegen.api.views import ImagesAPIView
from imagegen.models import GroupQuota


class AllowanceSerializer(serializers.Serializer[Any]):
    """A quota in numbers."""

    limit = serializers.IntegerField(allow_null=True, help_text="`null`: no limit.")
    used = serializers.IntegerField(help_text="Made, and held by what is under way.")
    left = serializers.IntegerField(allow_null=True, help_text="`null`: no limit.")
    resets_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When `used` starts again from 0; `null` where it follows what is under way.",
    )


class MoneyAllowanceSerializer(serializers.Serializer[Any]):
    """A quota in US dollars."""

    limit = serializers.FloatField(allow_null=True, help_text="US dollars; `null`: no limit.")
    used = serializers.FloatField(help_text="US dollars: spent, and held by what is under way.")
    left = serializers.FloatField(allow_null=True, help_text="US dollars; `null`: no limit.")
    resets_at = serializers.DateTimeField(help_text="When `used` starts again from 0.")


class UsageSerializer(serializers.Serializer[Any]):
    """Each dimension of a user's quota."""

    pictures_per_day = AllowanceSerializer()
    pictures_per_month = AllowanceSerializer()
    money_per_month = MoneyAllowanceSerializer()
    generations_at_once = AllowanceSerializer()


EXAMPLE = OpenApiExample(
    "Some left",
    {
        "pictures_per_day": {"limit": 20, "used": 3, "left": 17, "resets_at": "2026-11-23T00:00:00Z"},
        "pictures_per_month": {"limit": None, "used": 41, "left": None, "resets_at": "2026-12-01T00:00:00Z"},
        "money_per_month": {"limit": 5.0, "used": 1.64, "left": 3.36, "resets_at": "2026-12-01T00:00:00Z"},
        "generations_at_once": {"limit": 2, "used": 1, "left": 1, "resets_at": None},
    },
    response_only=True,
    status_codes=["200"],
)


class UsageView(ImagesAPIView):
    """What I may still make."""

    @extend_schema(
        operation_id="getUsage",
        summary="Get your quotas and what is left",
        description=(
            "In each dimension the most generous quota of your groups. Days and months are calendar ones, in "
            "UTC. Over a quota, a request for pictures is answered with 429 and `Retry-After`."
        ),
        tags=["usage"],
        examples=[EXAMPLE],
        responses={200: UsageSerializer} | errors(401, 403, 405, 429),
    )
    def get(self, request: Request) -> Response:
        user = signed_in(request)
        return Response(UsageSerializer(quotas.usage(user, GroupQuota.objects.of(user))).data)
