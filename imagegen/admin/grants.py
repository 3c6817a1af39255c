"""Permissions that ops grant by name, and what whoever grants may grant.

Nobody gives or takes a permission that they lack themselves, by any way: not one by one, not through a group,
not by changing the account of somebody who may more than they. Superusers lack none.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q, QuerySet
from unfold.widgets import UnfoldBooleanSwitchWidget

NAMED = {
    "features.image_generation": "Portraits and pictures, through the API and by Try it.",
    "imagegen.view_others_pictures": "In the gallery and through the API. These are personal data.",
    "imagegen.delete_imagefile": "Delete pictures in the gallery, of those that one may see there.",
    "imagegen.delete_generation": "With the pictures of a request, delete its prompt too.",
    "imagegen.view_usage": "The dashboard: how much, how fast, by whom, for how much.",
    "imagegen.change_imagesettings": "Settings, Images: which connection does what, defaults and limits.",
    "imagegen.view_engineconnection": "Where engines are and how they are set up; never their keys.",
    "imagegen.add_engineconnection": "Whoever sets up connections decides where keys are sent.",
    "imagegen.change_engineconnection": "Whoever sets up connections decides where keys are sent.",
    "imagegen.delete_engineconnection": "What a connection made stays.",
    "access.view_apikey": "Whose keys there are and when they were last used; never the keys.",
    "access.delete_apikey": "Revoke anybody's key.",
}
"""Permission -> what it opens. They stand in the forms as switches, in this order."""

LACKING = "You do not have it yourself, so you can neither give nor take it."


def named_permissions() -> QuerySet[Permission]:
    chosen = Q()
    for name in NAMED:
        app, _, codename = name.partition(".")
        chosen |= Q(content_type__app_label=app, codename=codename)
    return Permission.objects.select_related("content_type").filter(chosen)


def name_of(permission: Permission) -> str:
    """As in `has_perm`."""
    return f"{permission.content_type.app_label}.{permission.codename}"


def switch_of(permission_name: str) -> str:
    """The name of its field."""
    return f"may_{permission_name.partition('.')[2]}"


def given_to(user: User) -> set[str]:
    """All that a user would have while active, by themselves and by groups."""
    direct = Permission.objects.filter(Q(user=user) | Q(group__user=user)).select_related("content_type")
    return {name_of(permission) for permission in direct}


def may_change_account(giver: User, account: User) -> bool:
    """Whoever sets a password can log in with it: so not that of somebody who may more."""
    if giver.is_superuser or giver.pk == account.pk:
        return True
    return not account.is_superuser and given_to(account) <= giver.get_all_permissions()


class GrantingForm(forms.ModelForm):  # type: ignore[type-arg]
    """Switches for the named permissions and a list of the others, together one many-to-many field.

    `giver` and `field` are set on the class that the admin makes of this for one page.
    """

    giver: ClassVar[User]
    field: ClassVar[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.field not in self.fields:
            return  # a page to be read
        self.held = None if self.giver.is_superuser else self.giver.get_all_permissions()
        self.before: set[Permission] = set()
        if self.instance.pk is not None:
            self.before = set(getattr(self.instance, self.field).select_related("content_type"))
        self.named = {name_of(permission): permission for permission in named_permissions()}
        self._add_switches()
        self._limit_others()

    def _add_switches(self) -> None:
        for name, help_text in NAMED.items():
            permission, lacking = self.named[name], not self._holds(self.named[name])
            self.initial[switch_of(name)] = permission in self.before
            self.fields[switch_of(name)] = forms.BooleanField(
                label=permission.name,
                required=False,
                disabled=lacking,
                help_text=f"{help_text} {LACKING}" if lacking else help_text,
                widget=UnfoldBooleanSwitchWidget(),
            )

    def _limit_others(self) -> None:
        others = self.fields[self.field]
        offered = [p for p in Permission.objects.select_related("content_type") if self._is_offered(p)]
        others.queryset = Permission.objects.select_related("content_type").filter(  # type: ignore[attr-defined]
            pk__in=[permission.pk for permission in offered]
        )
        self.initial[self.field] = [permission for permission in offered if permission in self.before]

    def _holds(self, permission: Permission) -> bool:
        return self.held is None or name_of(permission) in self.held

    def _is_offered(self, permission: Permission) -> bool:
        return name_of(permission) not in NAMED and self._holds(permission)

    def _save_m2m(self) -> None:
        entered = self.cleaned_data
        self.cleaned_data = entered | {self.field: self._after(entered)}
        try:
            super()._save_m2m()  # type: ignore[misc]  # Django's, undocumented
        finally:
            self.cleaned_data = entered

    def _after(self, entered: dict[str, Any]) -> set[Permission]:
        """What was out of the giver's reach stays."""
        kept = {p for p in self.before if name_of(p) not in NAMED and not self._holds(p)}
        switched_on = {self.named[name] for name in NAMED if entered[switch_of(name)]}
        return kept | switched_on | set(entered[self.field])


def groups_within(giver: User) -> QuerySet[Group]:
    """Those that may no more than the giver."""
    if giver.is_superuser:
        return Group.objects.all()
    held = giver.get_all_permissions()
    groups = Group.objects.prefetch_related("permissions__content_type")
    within = [group.pk for group in groups if {name_of(p) for p in group.permissions.all()} <= held]
    return Group.objects.filter(pk__in=within)
