"""The page of a ComfyUI workflow: enter it, look over where a request's values go, check it, save it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from imagegen.admin import workflow_map
from imagegen.admin.records import OVERTAKEN
from imagegen.admin.trials import connection_to_change
from imagegen.configuration.json_text import MAX_BYTES, read_json
from imagegen.configuration.verification import explain
from imagegen.database import release_connections
from imagegen.engines.base import EDIT, GENERATE, Workflow
from imagegen.engines.comfyui import (
    STARTERS,
    ComfyUI,
    Findings,
    check_nodes,
    check_workflow,
    inspect_workflow,
    nodes_of,
    starter_graph,
)
from imagegen.engines.errors import EngineError
from imagegen.models import EngineConnection

if TYPE_CHECKING:
    from imagegen.admin.connections import ConnectionAdmin

MAX_NODES = 1000
FIELDS = {GENERATE: ("workflow", "workflow_nodes"), EDIT: ("edit_workflow", "edit_workflow_nodes")}
VERBS = {GENERATE: "generates", EDIT: "edits"}
ANOTHER = "This is another workflow than the one below was read from. Look over its map, then save."


@dataclass
class Draft:
    """The page's state: the text, the graph in it where it can be read, the choices, and what was found."""

    operation: str
    text: str = ""
    graph: Mapping[str, Any] | None = None
    chosen: workflow_map.Chosen = field(default_factory=dict)
    extra: str = ""
    fault: str = ""
    notice: str = ""
    findings: Findings | None = None
    unreachable: str = ""
    guessed: bool = False

    def read(self, graph: Any) -> None:
        """Take a graph that was entered. Raises ValueError, with a sentence."""
        check_workflow(graph)
        if len(graph) > MAX_NODES:
            raise ValueError(f"A workflow may have at most {MAX_NODES} nodes; this has {len(graph)}.")
        self.graph = graph

    def guess(self) -> None:
        assert self.graph is not None  # noqa: S101 - it was read
        self.chosen, self.guessed = workflow_map.stored_or_guessed(self.graph, ()), True

    def node_map(self) -> list[dict[str, Any]]:
        """Raises ValueError."""
        assert self.graph is not None  # noqa: S101 - it was read
        nodes = workflow_map.node_map(self.chosen, self.operation)
        check_nodes(self.graph, nodes)
        return nodes

    @property
    def digest(self) -> str:
        """Tells whether the choices belong to the text."""
        whole = json.dumps(self.graph, sort_keys=True)
        return hashlib.sha256(whole.encode(errors="replace")).hexdigest()[:32]

    @property
    def nodes(self) -> Any:
        return nodes_of(self.graph) if self.graph else ()

    @property
    def rows(self) -> Any:
        if not self.graph:
            return ()
        return workflow_map.rows(self.graph, self.chosen, self.operation, extra=self.extra)


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest, admin: ConnectionAdmin, pk: int, operation: str) -> HttpResponse:
    connection = connection_to_change(admin, request, pk)
    if connection.engine != ComfyUI.name or operation not in FIELDS:
        raise Http404
    if request.method != "POST":
        return _render(admin, request, connection, _stored(connection, operation))
    action = "add" if "add" in request.POST else request.POST.get("action", "read")
    if action == "remove":
        return _save(admin, request, connection, operation, None, [])
    draft = Draft(operation)
    try:
        _take(draft, request, action)
        if action in ("check", "save", "anyway") and not draft.guessed:
            nodes = draft.node_map()
            _hold_against_server(draft, connection, nodes)
            passed = action == "anyway" or not (draft.findings and draft.findings.problems)
            if action != "check" and passed:
                return _save(admin, request, connection, operation, draft.graph, nodes)
    except ValueError as error:
        draft.fault = str(error)[:600]
    return _render(admin, request, connection, draft)


def _stored(connection: EngineConnection, operation: str) -> Draft:
    graph, nodes = (getattr(connection, name) for name in FIELDS[operation])
    draft = Draft(operation)
    if graph:
        draft.text = _pretty(graph)
        try:
            draft.read(graph)
            draft.chosen = workflow_map.stored_or_guessed(graph, nodes)
            draft.guessed = not nodes
        except ValueError as error:
            draft.graph, draft.fault = None, str(error)[:600]
    return draft


def _take(draft: Draft, request: HttpRequest, action: str) -> None:
    """The workflow and the choices of a request. Raises ValueError."""
    starter = action.removeprefix("starter-")
    if starter in STARTERS[draft.operation]:
        draft.text = _pretty(starter_graph(starter))
    elif upload := request.FILES.get("upload"):
        if upload.size is None or upload.size > MAX_BYTES:
            raise ValueError(f"The file is larger than {MAX_BYTES // 1024} KB.")
        try:
            draft.text = upload.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ValueError("The file is no text in UTF-8, so it is no JSON.") from None
    else:
        draft.text = request.POST.get("text", "")
    if not draft.text.strip():
        raise ValueError("Paste a workflow, choose a file, or take a starter.")
    draft.read(read_json(draft.text))
    if action == "read" or starter != action or draft.digest != request.POST.get("digest"):
        draft.guess()
        if action in ("check", "save", "anyway"):
            draft.notice = ANOTHER
        return
    draft.extra = request.POST.get("add", "")
    draft.chosen = workflow_map.posted(request.POST)


def _hold_against_server(draft: Draft, connection: EngineConnection, nodes: list[dict[str, Any]]) -> None:
    """What the server says of it; that it says nothing is no reason not to save."""
    assert draft.graph is not None  # noqa: S101 - it was read
    release_connections()
    try:
        draft.findings = inspect_workflow(connection.to_config(), Workflow(draft.graph, nodes))
    except EngineError as error:
        draft.unreachable = explain(error, connection.engine)


def _save(
    admin: ConnectionAdmin,
    request: HttpRequest,
    opened: EngineConnection,
    operation: str,
    graph: Mapping[str, Any] | None,
    nodes: list[dict[str, Any]],
) -> HttpResponse:
    """Store it, unless the connection was saved since the page was opened. Raises Http404 if it is gone."""
    with transaction.atomic():
        connection = get_object_or_404(EngineConnection.objects.select_for_update(), pk=opened.pk)
        if connection.updated_at.isoformat() != request.POST.get("seen"):
            draft = Draft(operation, text=request.POST.get("text", ""), fault=OVERTAKEN)
            return _render(admin, request, opened, draft)
        for name, value in zip(FIELDS[operation], (graph, nodes), strict=True):
            setattr(connection, name, value)
        connection.save()
        admin.log_change(request, connection, _record(operation, graph, nodes))
    what = "saved" if graph else "removed"
    messages.success(request, f"The workflow that {VERBS[operation]} was {what}.")
    return redirect("admin:imagegen_engineconnection_change", connection.pk)


def _record(operation: str, graph: Mapping[str, Any] | None, nodes: list[dict[str, Any]]) -> str:
    if not graph:
        return f"Removed the workflow that {VERBS[operation]}."
    places = (f"{node['type']} at {', '.join(node['node_ids'])}" for node in nodes)
    return f"Changed the workflow that {VERBS[operation]}: {len(graph)} nodes; {'; '.join(places)}."


def _render(
    admin: ConnectionAdmin, request: HttpRequest, connection: EngineConnection, draft: Draft
) -> HttpResponse:
    context = {
        **admin.admin_site.each_context(request),
        "title": f"Workflow that {VERBS[draft.operation]}",
        "subtitle": connection.name,
        "opts": EngineConnection._meta,
        "connection": connection,
        "draft": draft,
        "starters": STARTERS[draft.operation],
        "stored": getattr(connection, FIELDS[draft.operation][0]) is not None,
        "seen": request.POST.get("seen") or connection.updated_at.isoformat(),
    }
    return render(request, "imagegen/admin/workflow.html", context)


def _pretty(graph: Any) -> str:
    return json.dumps(graph, indent=2, ensure_ascii=False)
