"""A database as it is after months: written by the server itself, a million rows in a minute or two."""

from __future__ import annotations

from uuid import UUID

from django.db import connection

WORDS = [
    "lake",
    "mountain",
    "fox",
    "lantern",
    "harbour",
    "meadow",
    "copper",
    "violin",
    "glacier",
    "orchard",
    "robot",
    "library",
    "thunder",
    "velvet",
    "whale",
    "desert",
    "castle",
    "mirror",
    "clock",
    "feather",
    "river",
    "bridge",
    "market",
    "comet",
    "forest",
    "garden",
    "island",
    "tower",
    "winter",
    "summer",
    "quiet",
    "golden",
    "misty",
    "ancient",
    "broken",
    "floating",
    "tiny",
    "giant",
    "crimson",
    "emerald",
    "watercolour",
    "portrait",
    "isometric",
    "macro",
    "sketch",
    "poster",
    "neon",
    "paper",
    "marble",
    "wooden",
    "glass",
    "stormy",
    "sunlit",
    "distant",
    "crowded",
    "empty",
    "baker",
    "sailor",
    "dancer",
    "painter",
    "astronaut",
    "gardener",
    "teacher",
    "child",
    "cat",
    "owl",
    "horse",
    "dragon",
    "turtle",
    "bee",
]
ENGINES = ("openai", "gemini", "comfyui", "automatic1111", "dicebear")
USERS, GROUPS, DAYS = 200, 8, 120

_PROMPT = " || ' ' || ".join(["words[1 + floor(random() * cardinality(words))::int]"] * 10)

_PEOPLE = f"""
INSERT INTO auth_group (name) SELECT 'group ' || i FROM generate_series(1, {GROUPS}) i;
INSERT INTO auth_user (username, password, first_name, last_name, email, is_superuser, is_staff, is_active,
                       date_joined)
SELECT 'user' || i, '!', '', '', '', false, false, true, now() FROM generate_series(1, {USERS}) i;
INSERT INTO auth_user_groups (user_id, group_id)
SELECT u.id, g.id FROM auth_user u JOIN auth_group g ON g.name = 'group ' || (1 + u.id % {GROUPS})
WHERE u.username LIKE 'user%%';
"""  # noqa: S608

_GENERATIONS = f"""
WITH people AS (SELECT array_agg(id ORDER BY id) ids FROM auth_user WHERE username LIKE 'user%%'),
     servers AS (SELECT array_agg(id ORDER BY id) ids, array_agg(name ORDER BY id) names,
                        array_agg(engine ORDER BY id) engines FROM imagegen_engineconnection),
     dice AS (SELECT i, random() outcome, random() kind, random() seconds, random() ago, random() many,
                     1 + floor(power(random(), 2) * cardinality(people.ids))::int person,
                     1 + floor(power(random(), 1.5) * cardinality(servers.ids))::int server
              FROM generate_series(%(first)s::bigint, %(last)s::bigint) i, people, servers),
     drawn AS (SELECT *, now() - ago * interval '{DAYS} days' created,
                      CASE WHEN outcome < .9 THEN 'succeeded' WHEN outcome < .92 THEN 'partial'
                           WHEN outcome < .99 THEN 'failed' ELSE 'canceled' END became,
                      CASE WHEN many < .7 THEN 1 ELSE 2 + floor(many * 3)::int END pictures FROM dice)
INSERT INTO imagegen_generation (
    id, user_id, operation, connection_id, connection_name, engine, model, prompt, parameters, path,
    pictures_asked, pictures_failed, status, error_code, error_message, error_detail, may_have_charged,
    reserved, cost, chat_id, message_id, trace_id, idempotency_key, fingerprint, created_at, deadline_at,
    finished_at)
SELECT gen_random_uuid(), people.ids[person],
       CASE WHEN kind < .8 THEN 'generate' WHEN kind < .95 THEN 'edit' ELSE 'portrait' END,
       servers.ids[server], servers.names[server], servers.engines[server], 'model-' || 1 + i %% 3,
       {_PROMPT}, '{{"size": "1024x1024"}}',
       jsonb_build_array(jsonb_build_object('connection', servers.names[server], 'pictures', pictures)),
       pictures, CASE became WHEN 'succeeded' THEN 0 WHEN 'partial' THEN 1 ELSE pictures END, became,
       CASE became WHEN 'failed' THEN (ARRAY['engine_unavailable', 'engine_timeout', 'content_refused',
                                             'quota_exceeded'])[1 + i %% 4] ELSE '' END,
       CASE became WHEN 'failed' THEN 'The engine did not answer.' ELSE '' END, '', false, 0,
       CASE WHEN became IN ('succeeded', 'partial') THEN .04 * pictures END,
       'chat-' || i / 7, 'message-' || i, md5(i::text), '', '', created, created + interval '120 seconds',
       created + (1 + 40 * power(seconds, 3)) * interval '1 second'
FROM drawn, people, servers, (SELECT %(words)s::text[] words) vocabulary
"""  # noqa: S608

_FILES = """
INSERT INTO imagegen_imagefile (
    id, owner_id, generation_id, position, file, thumbnail, name, content_type, width, height, native_width,
    native_height, size, sha256, chat_id, message_id, meta, created_at)
SELECT gen_random_uuid(), user_id, id, 0, 'pictures/' || id || '.png', '', id || '-0.png', 'image/png', 1024,
       1024, 1024, 1024, 1500000, md5(id::text) || md5(message_id), chat_id, message_id, '{}', finished_at
FROM imagegen_generation g
WHERE status IN ('succeeded', 'partial')
  AND NOT EXISTS (SELECT FROM imagegen_imagefile f WHERE f.generation_id = g.id)
"""


def lay_out() -> None:
    """People, groups and one connection of each engine. To be called once."""
    from imagegen.models import EngineConnection, ImageSettings

    ImageSettings.objects.current()
    for engine in ENGINES[:-1]:  # the last is built in
        EngineConnection.objects.create(name=f"{engine}-1", engine=engine, base_url="http://127.0.0.1:9")
    with connection.cursor() as cursor:
        cursor.execute(_PEOPLE.replace("%%", "%"))


_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE tablename IN ('imagegen_generation', 'imagegen_imagefile')
  AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""


def fill(first: int, last: int) -> None:
    """Write generations `first` to `last`, and a file for each that delivered; then ANALYZE.

    Indexes are made again afterwards: kept up row by row, they take many times as long.
    """
    with connection.cursor() as cursor:
        cursor.execute(_INDEXES)
        indexes = dict(cursor.fetchall())
        for name in indexes:
            cursor.execute(f"DROP INDEX {name}")
        cursor.execute(_GENERATIONS, {"first": first, "last": last, "words": list(WORDS)})
        cursor.execute(_FILES)
        cursor.execute("SET maintenance_work_mem = '512MB'")
        for definition in indexes.values():
            cursor.execute(definition)
        cursor.execute("VACUUM ANALYZE")


def make_rare(pk: UUID) -> None:
    """A prompt with a word of its own, and a group whose only member has asked five times."""
    from django.contrib.auth.models import Group, User

    from imagegen.models import Generation, ImageFile

    Generation.objects.filter(pk=pk).update(prompt="a zeppelin over a lake")
    quiet = User.objects.create(username="quiet")
    quiet.groups.add(Group.objects.create(name="quiet"))
    files = list(ImageFile.objects.filter(generation__in=Generation.objects.order_by("id")[:9])[:5])
    ImageFile.objects.filter(pk__in=[file.pk for file in files]).update(owner=quiet)
    Generation.objects.filter(pk__in=[file.generation_id for file in files]).update(user=quiet)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
