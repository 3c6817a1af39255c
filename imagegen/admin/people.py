"""Users and groups: where the permission to make pictures is granted."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from unfold.admin import ModelAdmin, StackedInline, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from imagegen.access.models import ApiKey
from imagegen.models import GroupQuota, GroupRetention

for model in (User, Group, OutstandingToken, BlacklistedToken):  # tokens are nobody's to read
    admin.site.unregister(model)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """A user's API keys end with them, whether or not one may revoke those of others."""
        deleted, counts, needed, protected = super().get_deleted_objects(objs, request)
        return deleted, counts, needed - {ApiKey._meta.verbose_name}, protected


class QuotaInline(StackedInline):
    model = GroupQuota
    verbose_name_plural = "Quota of each member"


class RetentionInline(TabularInline):
    model = GroupRetention
    verbose_name_plural = "Retention of pictures"


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    inlines = [QuotaInline, RetentionInline]
