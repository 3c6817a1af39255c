"""Settings, Images: what staff see. Django's admin, in Unfold's dress."""

from imagegen.admin import connections, people, pictures, settings

__all__ = ["connections", "people", "pictures", "settings"]
