"""Settings, Images: what staff see. Django's admin, in Unfold's dress."""

from django.contrib import admin

from imagegen.admin import connections, dashboard, gallery, people, readonly, settings

__all__ = ["connections", "dashboard", "gallery", "people", "readonly", "settings"]

admin.site.index_template = "imagegen/admin/index.html"
