"""What pages and requests cost with a million generations in the database, and by which plans.

    python -m bench.volume --database postgres://user@127.0.0.1:5432/postgres --generations 1000000

Fills a database of its own. Exits with 1 where a plan reads through a table that grows.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.live import database_of_its_own

GROWING = {"imagegen_generation", "imagegen_imagefile", "django_admin_log"}
GENERATIONS, FILES = "/admin/imagegen/generation/", "/admin/imagegen/imagefile/"
PAGES: dict[str, str] = {
    "gallery": GENERATIONS,
    "gallery, page 2": f"{GENERATIONS}?p=2",
    "gallery, failed": f"{GENERATIONS}?status__exact=failed",
    "gallery, a word of prompts": f"{GENERATIONS}?q=lantern",
    "gallery, words that occur nowhere": f"{GENERATIONS}?q=zeppelin",
    "gallery, a trace id": f"{GENERATIONS}?q={{trace}}",
    "gallery, a person": f"{GENERATIONS}?q=user7",
    "generation": f"{GENERATIONS}{{generation}}/change/",
    "files": FILES,
    "file": f"{FILES}{{file}}/change/",
    "API: own files": "/api/v1/files/",
    "API: usage": "/api/usage",
}
"""By name; `{trace}`, `{generation}` and `{file}` are those of a row in the middle."""


@dataclass(frozen=True)
class Query:
    sql: str
    params: Any


class Recorder:
    """Keeps the queries that run within it, as they were sent."""

    def __init__(self) -> None:
        self.queries: list[Query] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        self.queries.append(Query(sql, params))
        return execute(sql, params, many, context)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def explain(query: Query) -> dict[str, Any]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query.sql}", query.params)
        answer = cursor.fetchone()[0]
    plan: dict[str, Any] = (json.loads(answer) if isinstance(answer, str) else answer)[0]
    return plan


def digest(answer: dict[str, Any]) -> str:
    """One line: time, blocks, and each node that reads a table, with the rows it read in vain."""
    plan = answer["Plan"]
    blocks = plan.get("Shared Hit Blocks", 0) + plan.get("Shared Read Blocks", 0)
    reads = [
        f"{node['Node Type']} {node.get('Relation Name', '')} {node.get('Index Name', '')}".strip()
        + f" rows={_rows(node, 'Actual Rows')} in vain={_rows(node, 'Rows Removed by Filter')}"
        for node in nodes(plan)
        if "Relation Name" in node or "Index Name" in node
    ]
    return f"{answer['Execution Time']:.1f} ms, {blocks} blocks: " + ("; ".join(reads) or plan["Node Type"])


def _rows(node: dict[str, Any], name: str) -> int:
    """Of all loops and parallel workers: PostgreSQL tells the mean of one."""
    return round(node.get(name, 0) * node["Actual Loops"])


def scans(answer: dict[str, Any]) -> bool:
    """Whether it reads through a table that grows."""
    return any(
        "Seq Scan" in node["Node Type"] and node.get("Relation Name") in GROWING
        for node in nodes(answer["Plan"])
    )


def show_pages(client: Any, names: dict[str, str]) -> int:
    """Print each page's queries and plans; return how many plans scan."""
    from django.db import connection

    found = 0
    for title, path in PAGES.items():
        with connection.execute_wrapper(recorder := Recorder()):
            started = time.perf_counter()
            response = client.get(path.format(**names))
            seconds = time.perf_counter() - started
        if response.status_code != 200:
            raise SystemExit(f"{title}: {path.format(**names)} answered {response.status_code}")
        print(f"\n{title}: {len(recorder.queries)} queries, {seconds * 1000:.0f} ms")  # noqa: T201
        for query in recorder.queries:
            if query.sql.lstrip("( ").upper().startswith("SELECT"):
                answer = explain(query)
                found += scans(answer)
                print(f"  {'SCANS ' if scans(answer) else ''}{digest(answer)}")  # noqa: T201
    return found


def measure(send: Callable[[], Any], times: int = 15) -> tuple[int, float]:
    """Queries of one request, and the median time of `times`, in milliseconds."""
    from django.db import connection

    spent, recorder = [], Recorder()
    for _ in range(times):
        with connection.execute_wrapper(recorder := Recorder()):
            started = time.perf_counter()
            response = send()
            spent.append((time.perf_counter() - started) * 1000)
        if response.status_code != 200:
            raise SystemExit(f"{response.status_code}: {response.content[:300]!r}")
    return len(recorder.queries), statistics.median(spent)


def show_costs(client: Any, rows: int) -> None:
    """Print what a request costs with so many generations in the database."""
    body = {"prompt": "a portrait of a fox", "size": "64x64"}
    requests = {
        "generate": lambda: client.post("/api/images/generations", body, content_type="application/json"),
        "own files": lambda: client.get("/api/v1/files/"),
        "usage": lambda: client.get("/api/usage"),
    }
    for name, send in requests.items():
        queries, milliseconds = measure(send)
        figures = {"rows": rows, "request": name, "queries": queries, "median_ms": round(milliseconds, 1)}
        print(json.dumps(figures))  # noqa: T201


def run(generations: int) -> int:
    """Fill in steps, measure after each; return how many plans scan."""
    import django
    from django.core.management import call_command

    django.setup()
    logging.disable(logging.WARNING)  # a line for each request would hide the figures
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User
    from django.test import Client

    from bench import filling
    from imagegen.access import tokens
    from imagegen.models import Generation, ImageFile

    filling.lay_out()
    busiest = User.objects.get(username="user1")
    busiest.is_superuser = busiest.is_staff = True
    busiest.save()
    api = Client(headers={"authorization": f"Bearer {tokens.issue(user=busiest).access_token}"})
    filled = 0
    for size in sorted({1, min(10_000, generations), generations}):
        started = time.perf_counter()
        filling.fill(filled + 1, size)
        filled = size
        print(f"\n{size} generations, filled in {time.perf_counter() - started:.0f} s")  # noqa: T201
        show_costs(api, size)
    staff = Client()
    staff.force_login(busiest, backend="django.contrib.auth.backends.ModelBackend")
    file = ImageFile.objects.filter(message_id__startswith="message-")[generations // 4]
    generation = Generation.objects.get(pk=file.generation_id)
    names = {"trace": generation.trace_id, "generation": str(generation.pk), "file": str(file.pk)}
    staff.defaults.update({"HTTP_AUTHORIZATION": api.defaults["HTTP_AUTHORIZATION"]})
    return show_pages(staff, names)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", required=True, help="URL of a PostgreSQL server's database")
    parser.add_argument("--generations", type=int, default=1_000_000)
    options = parser.parse_args(arguments)
    if not options.database.startswith("postgres"):
        parser.error("--database must be of PostgreSQL: plans are its.")
    with database_of_its_own(options.database) as url:
        os.environ |= {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
        found = run(options.generations)
    print(f"\nPlans that read through a table that grows: {found}")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
