"""What was made, for whom and where it belongs. To be read, by those who may see others' pictures."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from imagegen.models import Generation, ImageFile
from imagegen.models.file import VIEW_OTHERS

NOTHING = "-"


class PersonalData(ModelAdmin):
    """Prompts and pictures: shown to holders of `imagegen.view_others_pictures`, changed by nobody here."""

    show_full_result_count = False
    list_per_page = 50

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(VIEW_OTHERS)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ImageFile)
class ImageFileAdmin(PersonalData):
    list_display = ["picture", "owner", "chat_id", "message_id", "made_by", "created_at", "expires_at"]
    list_display_links = ["created_at"]
    list_filter = ["content_type", "created_at"]
    list_select_related = ["owner", "generation"]
    search_fields = ["=chat_id", "=message_id", "=owner__username"]
    fields = [
        "picture", "name", "owner", "chat_id", "message_id", "made_by", "position", "content_type",
        "width", "height", "native_width", "native_height", "size", "sha256", "meta", "created_at",
        "expires_at",
    ]  # fmt: skip

    @admin.display(description="picture")
    def picture(self, file: ImageFile) -> SafeString:
        return format_html(
            '<a href="{}"><img src="{}" alt="{}" style="height: 64px; width: auto" loading="lazy"></a>',
            reverse("file-content", args=[file.pk]),
            reverse("file-thumbnail", args=[file.pk]),
            file.name,
        )

    @admin.display(description="generation", ordering="generation")
    def made_by(self, file: ImageFile) -> SafeString | str:
        if file.generation is None:
            return NOTHING
        url = reverse("admin:imagegen_generation_change", args=[file.generation.pk])
        return format_html('<a href="{}">{}</a>', url, file.generation.connection_name)


@admin.register(Generation)
class GenerationAdmin(PersonalData):
    list_display = [
        "created_at", "user", "operation", "connection_name", "model", "status", "error_code", "pictures",
        "cost",
    ]  # fmt: skip
    list_filter = ["status", "operation", "engine", "created_at"]
    list_select_related = ["user"]
    search_fields = ["=trace_id", "=chat_id", "=message_id", "=user__username"]
    exclude = ["fingerprint", "idempotency_key"]
    readonly_fields = ["pictures"]

    @admin.display(description="pictures")
    def pictures(self, generation: Generation) -> SafeString:
        url = reverse("admin:imagegen_imagefile_changelist")
        made = generation.pictures_asked - generation.pictures_failed
        return format_html('<a href="{}?generation={}">{}</a>', url, generation.pk, made)
