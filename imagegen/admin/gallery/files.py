"""Stored pictures: shown, linked to their person and their generation, and sent to whoever may see them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern, path

from imagegen.admin.gallery import deletion
from imagegen.admin.gallery.filters import FileFilters
from imagegen.admin.gallery.listing import GalleryAdmin
from imagegen.models import ImageFile
from imagegen.models.file import FileQuerySet
from imagegen.serving import serve, serve_thumbnail


@admin.register(ImageFile)
class ImageFileAdmin(GalleryAdmin):
    filters = FileFilters
    size = 48
    list_title = "Files"
    list_template = "imagegen/gallery/files.html"

    def visible(self, request: HttpRequest) -> FileQuerySet:
        return ImageFile.objects.visible_to(request.user)

    def rows(self, request: HttpRequest, question: QuerySet[Any]) -> QuerySet[Any]:
        return question.select_related("owner").only(
            "owner__username", "generation", "width", "height", "created_at"
        )

    def detail(self, request: HttpRequest, pk: UUID) -> HttpResponseBase:
        file = ImageFile.objects.find_visible(request.user, pk=pk)
        others = self.visible(request).filter(generation=file.generation) if file.generation else []
        return self.show(
            request,
            "imagegen/gallery/file.html",
            "Picture",
            file=file,
            generation=file.generation,
            others=[other for other in others if other != file],
            can_delete=self.has_delete_permission(request),
        )

    def removal(self, request: HttpRequest, chosen: list[UUID]) -> deletion.Removal:
        return deletion.of_files(self.visible(request).filter(pk__in=chosen))

    # The bytes, through the admin's door: a browser keeps them, whatever else of the admin it must not

    def get_urls(self) -> list[URLPattern]:
        def view(shown: Any) -> Any:
            return self.admin_site.admin_view(shown, cacheable=True)

        return [
            *super().get_urls(),
            path("<uuid:pk>/content/", view(self.content), name="imagegen_imagefile_content"),
            path("<uuid:pk>/thumbnail/", view(self.thumbnail), name="imagegen_imagefile_thumbnail"),
        ]

    def content(self, request: HttpRequest, pk: UUID) -> HttpResponseBase:
        file = ImageFile.objects.find_visible(request.user, pk=pk)
        return serve(request, file, download=request.GET.get("download") == "1", may_redirect=False)

    def thumbnail(self, request: HttpRequest, pk: UUID) -> HttpResponseBase:
        return serve_thumbnail(
            request, ImageFile.objects.find_visible(request.user, pk=pk), may_redirect=False
        )
