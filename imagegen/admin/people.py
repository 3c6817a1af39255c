"""Users and groups: where permissions and quotas are granted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from unfold.admin import StackedInline, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from imagegen.access.models import ApiKey
from imagegen.admin.grants import NAMED, GrantingForm, groups_within, may_change_account, switch_of
from imagegen.admin.records import RecordedAdmin
from imagegen.models import EngineConnection, GroupQuota, GroupRetention
from imagegen.models.file import VIEW_OTHERS
from imagegen.models.quota import DIMENSIONS

for model in (User, Group, OutstandingToken, BlacklistedToken):  # tokens are nobody's to read
    admin.site.unregister(model)

SWITCHES = [switch_of(name) for name in NAMED]
CENT = Decimal("0.01")
MAY = "What {} may do"
OTHERS = "Other permissions"


class GrantingAdmin(RecordedAdmin):
    """`field` is the many-to-many field of permissions."""

    field = ""
    who = ""

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[Any]:
        """Without the switches: the form adds them itself."""
        names = [name for _, options in self.get_fieldsets(request, obj) for name in options["fields"]]
        fields = [name for name in names if name not in SWITCHES]
        form = super().get_form(request, obj, change=change, **kwargs | {"fields": fields})
        form.giver, form.field = request.user, self.field
        return cast("type[Any]", form)

    def _may(self, request: HttpRequest, obj: Any) -> list[Any]:
        """The sections about permissions."""
        if obj is not None and not self.has_change_permission(request, obj):
            return [(MAY.format(self.who), {"fields": [self.field]})]
        return [
            (MAY.format(self.who), {"fields": SWITCHES}),
            (OTHERS, {"fields": [self.field], "classes": ["collapse"]}),
        ]


class UserForm(GrantingForm, UserChangeForm):
    """Offers the groups that may no more than the giver; who is in another is not the giver's to change."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "groups" in self.fields:
            self.fields["groups"].queryset = groups_within(self.giver)  # type: ignore[attr-defined]


@admin.register(User)
class UserAdmin(DjangoUserAdmin, GrantingAdmin):  # type: ignore[type-arg]
    form = UserForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    field, who = "user_permissions", "this user"
    unshown: ClassVar = {"password": "the password"}

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            return self.add_fieldsets
        return [
            (None, {"fields": ["username", "password"]}),
            ("Person", {"fields": ["first_name", "last_name", "email"]}),
            ("Account", {"fields": ["is_active", "is_staff", "is_superuser", "groups"]}),
            *self._may(request, obj),
            ("Dates", {"fields": ["last_login", "date_joined"]}),
            *([("Gallery", {"fields": ["gallery"]})] if request.user.has_perm(VIEW_OTHERS) else []),
        ]

    @admin.display(description="What they made")
    def gallery(self, user: User) -> SafeString:
        links = [
            (reverse(f"admin:imagegen_{model}_changelist", query={"person": user.username}), name)
            for model, name in (("generation", "Generations"), ("imagefile", "Files"))
        ]
        return format_html_join(", ", '<a class="easel-link" href="{}">{}</a>', links)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        only_for_superusers = [] if request.user.is_superuser else ["is_superuser"]
        return ["last_login", "date_joined", "gallery", *only_for_superusers]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and self._within_reach(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and self._within_reach(request, obj)

    def _within_reach(self, request: HttpRequest, obj: User | None) -> bool:
        return obj is None or may_change_account(cast("User", request.user), obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """A user's API keys end with them, and so does the log of their changes, which nobody may delete."""
        deleted, counts, needed, protected = super().get_deleted_objects(objs, request)
        return deleted, counts, needed - {ApiKey._meta.verbose_name, LogEntry._meta.verbose_name}, protected


class QuotaForm(forms.ModelForm):  # type: ignore[type-arg]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in DIMENSIONS:
            if name in self.fields:
                self.fields[name].widget.attrs["placeholder"] = "no limit"
        money = self.initial.get("money_per_month")
        if money is not None and money == money.quantize(CENT):
            self.initial["money_per_month"] = money.quantize(CENT)


class QuotaInline(StackedInline):
    form = QuotaForm
    model = GroupQuota
    verbose_name = "Quota of each member"


class RetentionInline(TabularInline):
    model = GroupRetention
    verbose_name = "Retention of members' pictures"


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, GrantingAdmin):
    form = GrantingForm
    inlines = [QuotaInline, RetentionInline]
    field, who = "permissions", "its members"

    def get_fieldsets(self, request: HttpRequest, obj: Group | None = None) -> Any:
        return [(None, {"fields": ["name"]}), *self._may(request, obj)]

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """A group's permissions go with it, from each of its members."""
        may: bool = super().has_delete_permission(request, obj)
        return may and (obj is None or groups_within(cast("User", request.user)).filter(pk=obj.pk).exists())

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """A connection is for its groups, and without any for everybody: its last one stays."""
        deleted, counts, needed, protected = super().get_deleted_objects(objs, request)
        kept = Group.objects.exclude(pk__in=[group.pk for group in objs])
        limited = EngineConnection.objects.filter(allowed_groups__in=objs)
        opened = limited.exclude(allowed_groups__in=kept).distinct()
        may_name = request.user.has_perm("imagegen.view_engineconnection")
        names = [str(one) for one in opened] if may_name else ["a connection"] * bool(opened)
        protected += [
            f"{name}: without a group it would be for everybody. Give it to another one first."
            for name in names
        ]
        return deleted, counts, needed, protected
