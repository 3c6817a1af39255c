"""The admin's sidebar: what stands where, and who sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _may(*permissions: str) -> Callable[[HttpRequest], bool]:
    """Any of them; none is named where everybody on the staff may."""
    return lambda request: not permissions or any(map(request.user.has_perm, permissions))


def _entry(title: str, icon: str, page: str, *permissions: str) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{page}"),
        "permission": _may(*permissions),
    }


SETTINGS = {
    "title": "Settings",
    "items": [
        _entry(
            "Images",
            "tune",
            "imagegen_imagesettings_changelist",
            "imagegen.view_imagesettings",
            "imagegen.change_imagesettings",
        ),
        _entry(
            "Connections",
            "hub",
            "imagegen_engineconnection_changelist",
            "imagegen.view_engineconnection",
            "imagegen.change_engineconnection",
        ),
    ],
}
PICTURES = {
    "title": "Pictures",
    "items": [
        _entry("Generations", "history", "imagegen_generation_changelist"),
        _entry("Files", "image", "imagegen_imagefile_changelist"),
    ],
}
PEOPLE = {
    "title": "People",
    "items": [
        _entry("Users", "person", "auth_user_changelist", "auth.view_user", "auth.change_user"),
        _entry("Groups", "group", "auth_group_changelist", "auth.view_group", "auth.change_group"),
        _entry("API keys", "key", "access_apikey_changelist", "access.view_apikey", "access.delete_apikey"),
        _entry("Wrong passwords", "lock_clock", "axes_accessattempt_changelist", "axes.view_accessattempt"),
        _entry("Changes", "manage_history", "admin_logentry_changelist", "admin.view_logentry"),
    ],
}
DASHBOARD = {
    "title": "",
    "items": [_entry("Dashboard", "monitoring", "imagegen_usage_changelist", "imagegen.view_usage")],
}

SIDEBAR = {"show_all_applications": True, "navigation": [DASHBOARD, SETTINGS, PICTURES, PEOPLE]}
STYLES = [lambda request: static("imagegen/admin.css")]
OWN_ACCOUNT = {
    "navigation": [{"title": "Your API keys", "link": reverse_lazy("account-keys")}],
}
"""In the menu of whoever is logged in."""
