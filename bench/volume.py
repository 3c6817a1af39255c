"""What pages and requests cost with a million generations in the database, and by which plans.

    python -m bench.volume

Fills a database of its own, on a PostgreSQL started for the occasion or on the one that --database names.
Prints the plans behind each page, and a table; exits with 1 where a plan reads through a table that grows.
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
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bench import filling
from tests.live import database_of_its_own
from tests.services import PostgreSQL

GROWING = {"imagegen_generation", "imagegen_imagefile", "django_admin_log"}
GENERATIONS, FILES = "/admin/imagegen/generation/", "/admin/imagegen/imagefile/"
FILTERS: dict[str, str] = {
    "a person": "person=user7",
    "a group": "group=group 3",
    "a quiet group": "group=quiet",
    "a connection": "connection=gemini-1",
    "an engine": "engine=comfyui",
    "seven days": "since={week}&until={day}",
    "a chat": "chat={chat}",
    "a trace id": "trace={trace}",
    "a word of prompts": "prompt=lantern",
    "two words in a row": "prompt=lantern fox",
    "a word that occurs once": "prompt=zeppelin",
    "a word that occurs nowhere": "prompt=submarine",
    "two letters": "prompt=qq",
    "a word, of a person": "prompt=lantern&person=user7",
    "a word, nowhere, in seven days": "prompt=submarine&since={week}&until={day}",
}
"""Of both lists."""
OF_GENERATIONS: dict[str, str] = {
    "failed": "status=failed",
    "succeeded": "status=succeeded",
    "refused by quotas": "error_code=quota_exceeded",
    "canceled, of a person": "status=canceled&person=user7",
    "canceled, of a connection": "status=canceled&connection=openai-1",
    "failed, of a group": "status=failed&group=group 3",
    "what cannot be: an engine and another's connection": "engine=gemini&connection=openai-1",
}
PLACES = {
    "": "",
    ", in the middle": "before={place}",
    ", the oldest": "before={oldest}",
    ", back": "after={place}",
}


def _pages() -> Iterator[tuple[str, str]]:
    for path, name in ((GENERATIONS, "generations"), (FILES, "files")):
        for where, query in PLACES.items():
            yield f"{name}{where}", f"{path}?{query}"
        filters = FILTERS | (OF_GENERATIONS if path == GENERATIONS else {})
        for title, query in filters.items():
            yield f"{name}: {title}", f"{path}?{query}"


PAGES: dict[str, str] = {
    **dict(_pages()),
    "one generation": f"{GENERATIONS}{{generation}}/change/",
    "one file": f"{FILES}{{file}}/change/",
    "delete 48 files, the question": f"{FILES}delete/?{{chosen}}",
    "own generations, without the permission": f"{GENERATIONS}?prompt=lantern&as=staff",
    "API: own files": "/api/v1/files/",
    "API: usage": "/api/usage",
}
"""By name; what stands in braces is of a row in the middle."""


@dataclass(frozen=True)
class Query:
    sql: str
    params: Any

    @property
    def reads(self) -> bool:
        return self.sql.lstrip("( ").upper().startswith("SELECT") and "set_config" not in self.sql


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


def show_pages(clients: dict[str, Any], names: dict[str, str]) -> int:
    """Print each page's queries and plans, then all of them as a table; return how many plans scan."""
    from django.db import connection

    found, lines = 0, []
    for title, pattern in PAGES.items():
        path = pattern.format(**names)
        client = clients["staff" if "as=staff" in path else "all"]
        client.get(path)  # the first time reads from the disk
        with connection.execute_wrapper(recorder := Recorder()):
            started = time.perf_counter()
            response = client.get(path)
            milliseconds = (time.perf_counter() - started) * 1000
        if response.status_code != 200:
            raise SystemExit(f"{title}: {path} answered {response.status_code}")
        page = (getattr(response, "context_data", None) or {}).get("page")
        looked = f"back to {page.looked_to:%Y-%m-%d}" if page and page.looked_to else ""
        rows = len(page.rows) if page else ""
        print(f"\n{title}: {path}")  # noqa: T201
        answers = [explain(query) for query in recorder.queries if query.reads]
        for answer in answers:
            print(f"  {'SCANS ' if scans(answer) else ''}{digest(answer)}")  # noqa: T201
        scanned = sum(map(scans, answers))
        found += scanned
        slowest = max((answer["Execution Time"] for answer in answers), default=0)
        lines.append(
            f"| {title} | {rows} | {len(recorder.queries)} | {milliseconds:.0f} | {slowest:.1f} "
            f"| {looked}{' SCANS' if scanned else ''} |"
        )
    print("\n| page | rows | queries | ms | slowest query, ms | |\n|---|---|---|---|---|---|")  # noqa: T201
    print("\n".join(lines))  # noqa: T201
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

    from imagegen.access import tokens

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
    clients = {"all": Client(), "staff": Client()}
    for client, person in zip(clients.values(), (busiest, User.objects.get(username="user2")), strict=True):
        User.objects.filter(pk=person.pk).update(is_staff=True)
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    clients["all"].defaults.update({"HTTP_AUTHORIZATION": api.defaults["HTTP_AUTHORIZATION"]})
    return show_pages(clients, names_of_rows(generations))


def names_of_rows(generations: int) -> dict[str, str]:
    """What the addresses of PAGES name."""
    from imagegen.admin.gallery.pages import Place
    from imagegen.models import Generation, ImageFile

    files = ImageFile.objects.filter(message_id__startswith="message-")
    file = files[generations // 4]
    generation = Generation.objects.get(pk=file.generation_id)
    oldest = Generation.objects.order_by("created_at")[30]
    filling.make_rare(generation.pk)
    return {
        "trace": generation.trace_id,
        "chat": generation.chat_id,
        "generation": str(generation.pk),
        "file": str(file.pk),
        "day": f"{generation.created_at:%Y-%m-%d}",
        "week": f"{generation.created_at - timedelta(days=6):%Y-%m-%d}",
        "place": str(Place(generation.created_at, generation.pk)),
        "oldest": str(Place(oldest.created_at, oldest.pk)),
        "chosen": "&".join(f"chosen={pk}" for pk in files.values_list("pk", flat=True)[:48]),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", help="URL of a PostgreSQL server's database; none: one is started")
    parser.add_argument("--generations", type=int, default=1_000_000)
    options = parser.parse_args(arguments)
    if options.database and not options.database.startswith("postgres"):
        parser.error("--database must be of PostgreSQL: plans are its.")
    with ExitStack() as running:
        server = options.database or running.enter_context(PostgreSQL()).url
        url = running.enter_context(database_of_its_own(server))
        os.environ |= {"EASEL_TEST_DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
        found = run(options.generations)
    print(f"\nPlans that read through a table that grows: {found}")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
