"""Settings, Images: one page for one row."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.admin import ModelAdmin, TabularInline

from imagegen.models import ImageSettings
from imagegen.models.settings import Fallback


class FallbackInline(TabularInline):
    model = Fallback
    extra = 0
    verbose_name_plural = "Order of failover"


@admin.register(ImageSettings)
class ImageSettingsAdmin(ModelAdmin):
    inlines = [FallbackInline]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """There is one row: straight to it."""
        row = ImageSettings.objects.current()
        return redirect(reverse("admin:imagegen_imagesettings_change", args=[row.pk]))
