"""Settings, Images: what staff see. Django's admin, in Unfold's dress."""

from imagegen.admin import connections, dashboard, gallery, people, readonly, settings

__all__ = ["connections", "dashboard", "gallery", "people", "readonly", "settings"]
