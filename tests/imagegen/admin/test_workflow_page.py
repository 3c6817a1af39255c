"""The page of a workflow: what is read, guessed, refused, checked and stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from imagegen.admin import workflow_page
from imagegen.models import EngineConnection
from tests.imagegen.admin.conftest import KEY

WORKFLOWS = Path(__file__).parents[2] / "fakes" / "recordings" / "workflows"
GRAPH = json.loads((WORKFLOWS / "txt2img.json").read_text())
INPAINT = json.loads((WORKFLOWS / "inpaint.json").read_text())


def url(connection: EngineConnection, operation: str = "generate") -> str:
    return f"/admin/imagegen/engineconnection/{connection.pk}/workflow/{operation}/"


def changed(**inputs: Any) -> dict[str, Any]:
    """The workflow with other inputs at some nodes: `node_3={"steps": 5}`."""
    graph: dict[str, Any] = json.loads(json.dumps(GRAPH))
    for node, values in inputs.items():
        graph[node.removeprefix("node_")]["inputs"].update(values)
    return graph


def read(client: Client, connection: EngineConnection, graph: Any, operation: str = "generate") -> Any:
    text = graph if isinstance(graph, str) else json.dumps(graph)
    return client.post(url(connection, operation), {"action": "read", "text": text})


def fields(answer: Any) -> dict[str, Any]:
    """What a browser would send back."""
    draft = answer.context["draft"]
    chosen = {
        f"map_{row.type}": [next((v for v, _, on in options if on), "") for options in row.selects]
        for row in draft.rows
    }
    return chosen | {"text": draft.text, "digest": draft.digest, "seen": answer.context["seen"]}


def told(answer: Any) -> str:
    draft = answer.context["draft"]
    found = draft.findings
    lists = [*found.problems, *found.remarks] if found else []
    return " ".join([draft.fault, draft.notice, draft.unreachable, *lists])


def mapped(connection: EngineConnection, field: str = "workflow_nodes") -> dict[str, list[str]]:
    connection.refresh_from_db()
    return {node["type"]: node["node_ids"] for node in getattr(connection, field)}


def test_it_is_read_mapped_and_stored(admin_pages: Client, studio: EngineConnection) -> None:
    answer = read(admin_pages, studio, GRAPH)
    page = answer.content.decode()
    assert all(node["class_type"] in page for node in GRAPH.values())
    assert answer.context["draft"].guessed
    assert admin_pages.post(url(studio), fields(answer) | {"action": "save"}).status_code == 302
    nodes = mapped(studio)
    assert studio.workflow == GRAPH
    assert nodes.keys() == {
        "prompt", "negative_prompt", "model", "width", "height", "steps", "seed", "n", "output",
    }  # fmt: skip
    assert (
        "Changed the workflow that generates: 7 nodes" in LogEntry.objects.latest("pk").get_change_message()
    )
    again = admin_pages.get(url(studio))
    assert fields(again)["map_prompt"] == fields(answer)["map_prompt"] and not again.context["draft"].guessed


def test_an_edit_has_sources_and_a_mask(admin_pages: Client, studio: EngineConnection) -> None:
    answer = read(admin_pages, studio, INPAINT, "edit")
    data = fields(answer) | {"action": "anyway"}
    assert admin_pages.post(url(studio, "edit"), data).status_code == 302
    assert {"image", "mask"} <= mapped(studio, "edit_workflow_nodes").keys()
    assert studio.workflow is None


def test_a_choice_is_changed_and_one_is_added(admin_pages: Client, studio: EngineConnection) -> None:
    data = fields(read(admin_pages, studio, GRAPH))
    more = admin_pages.post(url(studio), data | {"add": "prompt"})
    assert len(fields(more)["map_prompt"]) == 2
    both = [*data["map_prompt"], *data["map_negative_prompt"]]
    data |= {"map_prompt": both, "map_negative_prompt": [""], "action": "save"}
    assert admin_pages.post(url(studio), data).status_code == 302
    nodes = mapped(studio)
    assert len(nodes["prompt"]) == 2 and "negative_prompt" not in nodes


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Paste a workflow"),
        ('{"nodes": [], "links": []}', "Export (API)"),
        ("{}", "empty"),
        ("[]", "JSON object of nodes"),
        ('{"1": {"class_type": "A", "inputs": {}}, "1": {}}', "stands twice"),
        ('{"1": {"class_type": "SaveImage", "inputs": {"a": NaN}}}', "NaN"),
        ('{"1": {"class_type": "SaveImage", "inputs": {"a": ' + "9" * 6000 + "}}}", "too large"),
        ("[" * 30_000, "nested too deeply"),
        ('{"1": ' * 20_000, "nested too deeply"),
        ('{"1": {\n  "class_type": SaveImage', "Line 2, column 17"),
        ("[" + "1," * 200_000 + "1]", "too many values"),
        ('"' + "x" * 1_100_000 + '"', "larger than 1024 KB"),
        ('{"1": {"class_type": "<script>alert(1)</script>", "inputs": 3}}', "has no inputs"),
        (
            json.dumps({str(k): {"class_type": "SaveImage", "inputs": {}} for k in range(1001)}),
            "at most 1000",
        ),
    ],
)
def test_what_is_no_workflow_is_refused_in_words(
    admin_pages: Client, studio: EngineConnection, text: str, sentence: str
) -> None:
    answer = read(admin_pages, studio, text)
    assert answer.status_code == 200 and sentence in told(answer), told(answer)
    assert "<script>alert" not in answer.content.decode()
    studio.refresh_from_db()
    assert studio.workflow is None


def test_a_file(admin_pages: Client, studio: EngineConnection) -> None:
    def upload(content: bytes) -> Any:
        return admin_pages.post(
            url(studio), {"action": "read", "upload": SimpleUploadedFile("w.json", content)}
        )

    assert upload(b"\xef\xbb\xbf" + json.dumps(GRAPH).encode()).context["draft"].graph == GRAPH
    assert "larger than 1024 KB" in told(upload(b" " * 1_100_000))
    assert "no text in UTF-8" in told(upload(b"\x89PNG\xff"))


@pytest.mark.parametrize(
    ("operation", "name"), [("generate", "txt2img"), ("edit", "inpaint"), ("edit", "img2img")]
)
def test_a_starter_is_one_click(
    admin_pages: Client, studio: EngineConnection, operation: str, name: str
) -> None:
    answer = admin_pages.post(url(studio, operation), {"action": f"starter-{name}"})
    saved = admin_pages.post(url(studio, operation), fields(answer) | {"action": "anyway"})
    assert saved.status_code == 302, told(saved)


def test_the_server_is_asked(admin_pages: Client, studio: EngineConnection) -> None:
    EngineConnection.objects.filter(pk=studio.pk).update(default_model="gone.safetensors")
    sampler = next(id for id, node in GRAPH.items() if node["class_type"] == "KSampler")
    graph = changed(**{f"node_{sampler}": {"sampler_name": "no-such", "flavour": "sweet"}})
    graph["90"] = {"class_type": "FaceDetailerX", "inputs": {}}
    data = fields(read(admin_pages, studio, graph))
    for action in ("check", "save"):
        answer = admin_pages.post(url(studio), data | {"action": action})
        assert answer.status_code == 200
        for sentence in (
            "The server has no node called 'FaceDetailerX'",
            "the server has no ckpt_name 'gone.safetensors'. There are: 'sd",
            "the server has no sampler_name 'no-such'",
            "knows no input 'flavour'",
        ):
            assert sentence in told(answer), told(answer)
    studio.refresh_from_db()
    assert studio.workflow is None
    assert admin_pages.post(url(studio), data | {"action": "anyway"}).status_code == 302


def test_a_server_that_is_down_is_no_reason_not_to_save(
    admin_pages: Client, studio: EngineConnection
) -> None:
    EngineConnection.objects.filter(pk=studio.pk).update(base_url="http://127.0.0.1:9")
    data = fields(read(admin_pages, studio, GRAPH))
    assert "cannot be reached" in told(admin_pages.post(url(studio), data | {"action": "check"}))
    assert admin_pages.post(url(studio), data | {"action": "save"}).status_code == 302
    assert mapped(studio)["prompt"]


def test_choices_of_another_workflow_are_not_saved(admin_pages: Client, studio: EngineConnection) -> None:
    data = fields(read(admin_pages, studio, GRAPH))
    answer = admin_pages.post(url(studio), data | {"text": json.dumps(INPAINT), "action": "save"})
    assert "another workflow" in told(answer) and answer.context["draft"].graph == INPAINT
    studio.refresh_from_db()
    assert studio.workflow is None


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("nonsense", "none that was offered"),
        ("[" * 5000, "none that was offered"),
        ('["999", "text"]', "no node '999'"),
        ('["6", "colour"]', "no input 'colour'"),
        ("", "Choose where the prompt goes"),
    ],
)
def test_choices_that_nobody_offered(
    admin_pages: Client, studio: EngineConnection, value: str, sentence: str
) -> None:
    data = fields(read(admin_pages, studio, GRAPH)) | {"map_prompt": [value], "action": "save"}
    answer = admin_pages.post(url(studio), data)
    assert answer.status_code == 200 and sentence in told(answer)


def test_two_people_do_not_undo_each_other(admin_pages: Client, studio: EngineConnection) -> None:
    data = fields(read(admin_pages, studio, GRAPH)) | {"action": "save"}
    studio.save()
    answer = admin_pages.post(url(studio), data)
    assert "Somebody else has saved this" in told(answer)
    studio.refresh_from_db()
    assert studio.workflow is None


def test_it_is_removed(admin_pages: Client, studio: EngineConnection) -> None:
    data = fields(read(admin_pages, studio, GRAPH)) | {"action": "save"}
    admin_pages.post(url(studio), data)
    seen = admin_pages.get(url(studio)).context["seen"]
    assert admin_pages.post(url(studio), {"action": "remove", "seen": seen}).status_code == 302
    studio.refresh_from_db()
    assert (studio.workflow, studio.workflow_nodes) == (None, [])
    assert studio.key == KEY


def test_a_connection_that_goes_while_its_server_is_asked_is_not_there(
    admin_pages: Client, studio: EngineConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = fields(read(admin_pages, studio, GRAPH)) | {"action": "save"}
    monkeypatch.setattr(workflow_page, "_hold_against_server", lambda *_: studio.delete())
    assert admin_pages.post(url(studio), data).status_code == 404


def test_only_comfyui_has_workflows(
    admin_pages: Client, select: Callable[..., EngineConnection], studio: EngineConnection
) -> None:
    assert admin_pages.get(url(select("hosted", "openai"))).status_code == 404
    assert admin_pages.get(url(studio, "portrait")).status_code == 404
