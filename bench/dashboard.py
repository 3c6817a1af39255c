"""The dashboard at a million generations on PostgreSQL: its queries, their plans, and seconds.

    DATABASE_URL=postgres://…/an_empty_database python -m bench.dashboard [--generations 1000000]

Fills that database, counts everything by `roll_up`, adds three years of counted days, then looks at each
period. Ends with 1 where a plan reads a whole table that grows. The seconds are
for people; nothing is judged by them.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time

import django
from django.db import connection
from django.test.utils import CaptureQueriesContext

FILL = """
INSERT INTO imagegen_generation (id, user_id, operation, connection_name, engine, model, prompt, parameters,
    path, pictures_asked, pictures_failed, status, error_code, error_message, error_detail, may_have_charged,
    reserved, cost, chat_id, message_id, trace_id, idempotency_key, fingerprint, created_at, deadline_at,
    finished_at)
SELECT gen_random_uuid(), %(first_user)s + k %% 500, (array['generate', 'edit', 'portrait'])[1 + k %% 3],
    'connection-' || k %% 5, (array['openai', 'gemini', 'comfyui', 'dicebear', 'automatic1111'])[1 + k %% 5],
    'model', 'hills at dawn, number ' || k, '{}', '[]', 1 + k %% 3,
    CASE WHEN failed THEN 1 + k %% 3 ELSE 0 END,
    CASE WHEN failed THEN 'failed' ELSE 'succeeded' END,
    CASE WHEN failed THEN (array['engine_timeout', 'engine_unavailable', 'prompt_rejected'])[1 + k %% 3]
        ELSE '' END,
    '', '', false, 0, CASE WHEN failed THEN NULL ELSE 0.04 END, '', '', '', '', '', began,
    began + interval '180 s', began + (0.5 + 60 * power(random(), 3)) * interval '1 s'
FROM (SELECT k, random() < 0.05 AS failed, now() - random() * interval '180 days' AS began
      FROM generate_series(1, %(number)s) k) AS made
"""
AGE = """
INSERT INTO imagegen_usage (span, starts_at, by_group, group_name, connection_name, engine, operation,
    error_code, generations, failures, refusals, pictures, cost, latencies, last_at)
SELECT span, starts_at - k * interval '182 days', by_group, group_name, connection_name, engine, operation,
    error_code, generations, failures, refusals, pictures, cost, latencies, last_at
FROM imagegen_usage, generate_series(1, 6) k WHERE span = 'day'
"""
"""Three more years of days, which stay for ever: no plan may read those that nobody looks at."""
GROWS = re.compile(r"Seq Scan on (imagegen_generation|imagegen_usage)\b")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=1_000_000, help="0: take the database as it is")
    number = parser.parse_args().generations
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from imagegen.rollup import periods

    if number:
        _fill(number)
    began = time.monotonic()
    counted = periods.roll_up_all()
    _say(f"roll_up: {dict(counted)} in {time.monotonic() - began:.1f} s")
    with connection.cursor() as cursor:
        if number:
            cursor.execute(AGE)
        cursor.execute("VACUUM ANALYZE")
    return 1 if any([_look(name) for name in ("24h", "7d", "30d", "90d")]) else 0


def _fill(number: int) -> None:
    from django.contrib.auth.models import Group, User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    groups = [Group.objects.create(name=f"Group {k}") for k in range(8)]
    users = User.objects.bulk_create(User(username=f"person-{k}") for k in range(500))
    for k, user in enumerate(users):
        user.groups.add(groups[k % 8], groups[(k // 8) % 8])
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"first_user": users[0].pk, "number": number})
        cursor.execute("VACUUM ANALYZE")


def _look(name: str) -> list[str]:
    """Look once, say how that went, and return the plans' lines that read whole tables."""
    from imagegen.admin.dashboard.page import page_of

    with CaptureQueriesContext(connection) as queries:
        began, worked = time.monotonic(), time.process_time()
        context = page_of({"range": name})
        seconds, cpu = time.monotonic() - began, time.process_time() - worked
    _say(
        f"\n== {name}: {len(queries)} queries, {seconds * 1000:.0f} ms, of these {cpu * 1000:.0f} ms of"
        f" CPU time beside PostgreSQL's; pictures {context['tiles'][0].value}"
    )
    bad = []
    for query in queries:
        if not query["sql"].startswith(("SELECT", "DECLARE")):
            continue
        sql = query["sql"][query["sql"].index("SELECT") :]
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, TIMING OFF) " + sql.replace("%", "%%"))
            plan = [line for (line,) in cursor.fetchall()]
        scans = [line.strip(" ->") for line in plan if "Scan" in line]
        _say("\n".join([f"{plan[-1]}  {sql[:70]}…", *(f"    {scan}" for scan in scans)]))
        bad += [scan for scan in scans if GROWS.search(scan)]
    return bad


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
