"""Two months of an organisation that does not exist, for the pictures of pages that show what happened.

`python manage.py shell -c "from docs.made_up import fill; fill()"`, beside connections that
`docs.screenshots` has made. The same rows each time, up to now.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from math import exp, pi, sin
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import transaction
from django.utils import timezone

from imagegen.models import EngineConnection, Generation, GroupQuota
from imagegen.models.generation import QUOTA_EXCEEDED
from imagegen.rollup.periods import roll_up_all

DAYS = 62
GROUPS = {"Design": 9, "Marketing": 14, "Support": 6}
"""Group -> members, who have no names."""
PROMPTS = (
    "A lighthouse in heavy fog, long exposure",
    "Isometric cut-away of a small bakery, soft morning light",
    "Poster for a spring concert: violins growing like flowers",
    "A red fox in the snow, low angle",
    "Product photo of a copper kettle on slate",
    "Blue hills at dawn, layers of mist",
)


@dataclass(frozen=True)
class Kind:
    """How a connection is used: its share, seconds that half of its requests take, dollars a picture,
    part that fails and with what."""

    connection: str
    model: str
    share: float
    median: float
    price: float
    fails: float
    codes: tuple[str, ...]


KINDS = (
    Kind(
        "gpu-1", "sd15-random.safetensors", 0.46, 9.5, 0.002, 0.012, ("engine_timeout", "engine_unavailable")
    ),
    Kind("litellm", "grok-imagine-image", 0.38, 6.2, 0.04, 0.02, ("prompt_rejected", "engine_rate_limited")),
    Kind("built-in", "", 0.16, 0.045, 0, 0, ()),
)
OUTAGE = (timedelta(days=2, hours=5), timedelta(days=2, hours=1))
"""How long ago gpu-1 was away, from and until."""


@transaction.atomic
def fill() -> None:
    chance = random.Random(5)  # noqa: S311 - the same each time
    now = timezone.now()
    people = _people()
    connections = {one.name: one for one in EngineConnection.objects.all()}
    rows = [
        Generation(user=chance.choice(people), **_story(chance, began, now, connections))
        for began in _moments(chance, now)
    ]
    Generation.objects.bulk_create(rows, batch_size=500)
    roll_up_all()


def _people() -> list[User]:
    people = []
    for name, number in GROUPS.items():
        group = Group.objects.create(name=name)
        GroupQuota.objects.create(group=group, pictures_per_day=40, money_per_month=Decimal(60))
        users = User.objects.bulk_create(User(username=f"{name.lower()}-{k}") for k in range(1, number + 1))
        group.user_set.add(*users)
        people += users
    return people


def _moments(chance: random.Random, now: datetime) -> Iterator[datetime]:
    """More by day than by night, more in the week than at its end, and more from week to week."""
    for back in range(DAYS * 24):
        hour = now - timedelta(hours=back)
        by_day = max(sin((hour.hour - 5) / 15 * pi), 0.06) if 5 <= hour.hour <= 20 else 0.05
        much = 11 * by_day * (1 if hour.weekday() < 5 else 0.35) * (1.25 - 0.55 * back / (DAYS * 24))
        for _ in range(int(much) + (chance.random() < much % 1)):
            yield hour - timedelta(seconds=chance.uniform(0, 3600))


def _story(
    chance: random.Random, began: datetime, now: datetime, connections: dict[str, EngineConnection]
) -> dict[str, Any]:
    kind = chance.choices(KINDS, [one.share for one in KINDS])[0]
    code, failed = "", chance.random() < kind.fails
    if failed:
        code = chance.choice(kind.codes)
    away = kind.connection == "gpu-1" and now - OUTAGE[0] < began < now - OUTAGE[1]
    if away:
        code, failed = "engine_unavailable", chance.random() < 0.25
        kind = kind if failed else KINDS[1]
    if chance.random() < 0.006:
        code, failed = QUOTA_EXCEEDED, True
    asked = chance.choice((1, 1, 1, 2, 4)) if kind.median > 1 else 1
    took = 0.02 if code == QUOTA_EXCEEDED else kind.median * exp(chance.gauss(0, 0.45)) * (3 if away else 1)
    runs = began + timedelta(seconds=took) > now
    connection = connections[kind.connection]
    return {
        "operation": "portrait" if kind.median < 1 else chance.choice(("generate", "generate", "edit")),
        "connection": connection,
        "connection_name": connection.name,
        "engine": connection.engine,
        "model": kind.model,
        "prompt": chance.choice(PROMPTS),
        "parameters": {"size": "1024x1024"},
        "pictures_asked": asked,
        "pictures_failed": asked if failed and not runs else 0,
        "status": "running" if runs else "failed" if failed else "succeeded",
        "error_code": "" if runs else code,
        "cost": None if failed or runs or not kind.price else Decimal(str(kind.price)) * asked,
        "trace_id": f"{chance.getrandbits(128):032x}",
        "created_at": began,
        "deadline_at": began + timedelta(seconds=180),
        "finished_at": None if runs else began + timedelta(seconds=took),
    }
