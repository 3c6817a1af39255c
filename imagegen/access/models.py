from __future__ import annotations

import hashlib
import re
import secrets
import time
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from imagegen.access.journal import ADDITION, DELETION, record

KEY_PREFIX = "easel_"

_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
NOT_ONE_LINE = "Leave out line breaks, control characters and marks of direction."


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def of(self, user: Any) -> ApiKeyQuerySet:
        return self.filter(user=user).order_by("-created", "-pk")

    def find(self, text: str) -> ApiKey | None:
        """The key with its owner, in one query; None where there is no such key, or no longer.

        What is compared is the hash of 256 random bits, so the time that takes tells nothing of the key.
        """
        now = timezone.now()
        return (
            self.select_related("user")
            .filter(Q(expires_at=None) | Q(expires_at__gt=now), hash=hash_key(text), user__is_active=True)
            .first()
        )


class ApiKey(models.Model):
    """A personal key. Its text is shown once and only its hash is kept. To revoke it is to delete it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16, help_text="How the key begins, to tell one from another.")
    hash = models.CharField(max_length=64, unique=True, editable=False, help_text="SHA-256, in hex.")
    created = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        verbose_name_plural = "API keys"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def has_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()


def is_one_line(name: str) -> bool:
    """Whether a name looks the same wherever it is shown: in a list, a log or a terminal."""
    return _STEERING.search(name) is None


def hash_key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@transaction.atomic
def issue_key(*, user: Any, name: str, expires_at: datetime | None = None) -> tuple[ApiKey, str]:
    """Make a key for `user`; return it and its text, which cannot be had again."""
    text = KEY_PREFIX + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        user=user, name=name, prefix=text[: len(KEY_PREFIX) + 6], hash=hash_key(text), expires_at=expires_at
    )
    record(by=user, things=[key], flag=ADDITION, message="Made by its owner.")
    return key, text


@transaction.atomic
def revoke_key(*, user: Any, key_id: int) -> bool:
    """Delete the user's own key; False where they have none of that id."""
    key = ApiKey.objects.select_for_update().filter(user=user, pk=key_id).first()
    if key is None:
        return False
    record(by=user, things=[key], flag=DELETION, message="Revoked by its owner.")
    key.delete()
    return True


def record_use(*, key: ApiKey, at_most_every: timedelta = timedelta(minutes=1)) -> None:
    """Note that a key was used, without a write for every request."""
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at < now - at_most_every:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)


class RateLimitQuerySet(models.QuerySet["RateLimit"]):
    def stale(self) -> RateLimitQuerySet:
        """Those that limit nothing any more."""
        return self.filter(whole_at__lt=time.time_ns())

    def delete_stale(self) -> int:
        """Delete those that limit nothing any more; return how many."""
        return self.stale().delete()[0]


class RateLimit(models.Model):
    """The state of one rate limit; see rates.py. Without a row, the allowance is whole."""

    key = models.CharField(max_length=100, primary_key=True)
    whole_at = models.BigIntegerField(help_text="Nanoseconds since 1970.")  # no index: see adr/0005

    objects = RateLimitQuerySet.as_manager()

    def __str__(self) -> str:
        return self.key
