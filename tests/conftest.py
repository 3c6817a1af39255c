"""People, and clients that speak for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.cache import cache
from django.test import Client
from hypothesis import settings as hypothesis_settings

from imagegen import landing, redis_server, storage_url
from imagegen.access import tokens
from imagegen.models import EngineConnection, ImageSettings
from tests import packets
from tests.seaweed import SeaweedFS
from tests.services import NotInstalled, PostgreSQL, Redis

# A busy machine must not fail a test.
hypothesis_settings.register_profile("easel", deadline=None)
hypothesis_settings.load_profile("easel")

packets.watch()

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _no_lists_of_models_from_other_tests() -> Iterator[None]:
    cache.clear()
    yield


@pytest.fixture(autouse=True)
def _nothing_leaves_this_machine() -> Iterator[None]:
    """Although the watch stops it: a thread's failure might be seen by nobody."""
    yield
    tried = packets.left.copy()
    packets.left.clear()
    assert not tried


@pytest.fixture
def creators(db: None) -> Group:
    """The group whose members may make pictures."""
    group = Group.objects.create(name="Image creators")
    group.permissions.add(
        Permission.objects.get(content_type__app_label="features", codename="image_generation")
    )
    return group


@pytest.fixture
def member(creators: Group) -> User:
    user = User.objects.create_user("member", password=PASSWORD)
    user.groups.add(creators)
    return user


@pytest.fixture
def other(creators: Group) -> User:
    """Another member."""
    user = User.objects.create_user("other", password=PASSWORD)
    user.groups.add(creators)
    return user


@pytest.fixture
def outsider(db: None) -> User:
    """Somebody with an account and no permission."""
    return User.objects.create_user("outsider", password=PASSWORD)


@pytest.fixture
def superuser(db: None) -> User:
    return User.objects.create_superuser("root", password=PASSWORD)


ClientFor = Callable[[User | None], Client]


@pytest.fixture
def client_for() -> ClientFor:
    """A client with an access token of the user's, or with nothing. It answers a 500 as a 500."""

    def make(user: User | None) -> Client:
        headers: dict[str, Any] = {}
        if user is not None:
            headers["authorization"] = f"Bearer {tokens.issue(user=user).access_token}"
        return Client(headers=headers, raise_request_exception=False, enforce_csrf_checks=True)

    return make


@pytest.fixture
def api(client_for: ClientFor, member: User) -> Client:
    """The member's client."""
    return client_for(member)


@pytest.fixture
def select(db: None) -> Callable[..., EngineConnection]:
    """Create a connection and select it for the named operations."""

    def make(name: str, engine: str, *operations: str, key: str = "", **fields: Any) -> EngineConnection:
        connection = EngineConnection(name=name, engine=engine, **fields)
        connection.key = key
        connection.full_clean()
        connection.save()
        current = ImageSettings.objects.current()
        for operation in operations:
            setattr(current, f"{operation}_connection", connection)
        current.save()
        return connection

    return make


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A real S3 server, started when the first test asks for it."""
    with SeaweedFS(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture
def s3(seaweed: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> str:
    """`EASEL_STORAGE` for a place of the test's own on it, with credentials in the environment."""
    for name, value in seaweed.credentials.items():
        monkeypatch.setenv(name, value)
    return seaweed.new_place()


def use_storage(settings: Any, line: str) -> None:
    """Store pictures where `line`, a value of EASEL_STORAGE, says."""
    settings.STORAGES = {**settings.STORAGES, "default": storage_url.parse(line)}


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, settings: Any, tmp_path: Path) -> str:
    """Pictures lie in a folder, then at S3: every test runs on both. Which it is."""
    line = request.getfixturevalue("s3") if request.param == "s3" else f"file://{tmp_path}/pictures"
    use_storage(settings, line)
    return str(request.param)


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    """A real Redis, started when the first test asks for it."""
    try:
        with Redis() as server:
            yield server
    except NotInstalled as missing:
        pytest.skip(str(missing))


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSQL]:
    """One that a test may stop, whatever the other tests run on."""
    try:
        with PostgreSQL() as server:
            yield server
    except NotInstalled as missing:
        pytest.skip(str(missing))


@pytest.fixture
def on_redis(redis: Redis, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Redis:
    """What processes share is in it, and it is empty."""
    monkeypatch.setattr(redis_server, "_rests_until", 0.0)
    settings.EASEL_REDIS_URL = redis.url
    redis.client().flushall()
    return redis


@pytest.fixture
def own_redis(redis: Redis, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """One that a test may kill."""
    monkeypatch.setattr(redis_server, "_rests_until", 0.0)
    with Redis(password="a-password-for-tests") as server:
        settings.EASEL_REDIS_URL = server.url
        yield server


@pytest.fixture(params=["database", "redis"])
def shared_in(request: pytest.FixtureRequest, settings: Any) -> str:
    """Rates and turns are in the database, then in Redis: every test runs on both. Which it is."""
    settings.EASEL_REDIS_URL = ""
    if request.param == "redis":
        request.getfixturevalue("on_redis")
    return str(request.param)


@pytest.fixture(params=["in files", "in memory"])
def answers_land(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each where answers may; whatever becomes of them, no memory stays taken."""
    slots = landing.Slots(4 if request.param == "in memory" else 0)
    monkeypatch.setattr(landing, "slots", slots)
    yield
    assert slots.are_free
