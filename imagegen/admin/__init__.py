"""Settings, Images: what staff see. Django's admin, in Unfold's dress."""

from imagegen.admin import connections, dashboard, people, pictures, settings

__all__ = ["connections", "dashboard", "people", "pictures", "settings"]
