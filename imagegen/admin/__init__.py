"""Settings, Images: what staff see. Django's admin, in Unfold's dress."""

from imagegen.admin import connections, dashboard, keys, people, pictures, settings

__all__ = ["connections", "dashboard", "keys", "people", "pictures", "settings"]
