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

ABOUT = {
    "Dashboard": "Pictures, failures, waiting time and money over time.",
    "Images": "What is switched on, which connection does what, defaults and limits.",
    "Connections": "Image engines: set up, tested and tried here.",
    "Generations": "Requests, refused ones included, and what became of them.",
    "Files": "Stored pictures.",
    "Users": "Who may log in, and what each may do.",
    "Groups": "What many may do, and how much: permissions and quotas.",
    "API keys": "Whose there are and when they were last used; revoke them.",
    "Wrong passwords": "Who is locked out, and why.",
    "Changes": "Who changed what, and when.",
}
"""A word on each entry, for the first page."""


def first_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the sidebar has for this person, section by section."""
    sections = [
        (group["title"] or "Overview", [entry for entry in group["items"] if entry["has_permission"]])
        for group in context["sidebar_navigation"]
    ]
    told = [
        (title, [(entry["title"], entry["link"], ABOUT[entry["title"]]) for entry in entries])
        for title, entries in sections
        if entries
    ]
    return {**context, "title": "Easel", "sections": told}
