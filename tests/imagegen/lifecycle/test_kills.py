"""Killed at each step between the last byte of an answer and the response: nothing that was paid is lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.litellm import KEY, LiteLLM
from tests.imagegen.lifecycle.lab import Break, Lab

GENERATIONS = "/api/v1/images/generations"
PORTRAIT = "/api/mind/profile/generatePortrait"
LIFECYCLE = "imagegen.lifecycle"

STEPS = [
    Break("imagegen.engines.spool.save", "after"),
    Break("imagegen.engines.openai.engine.OpenAI.parse", "before"),
    Break("imagegen.engines.openai.engine.OpenAI.parse", "after"),
    Break("imagegen.pictures.prepare", "before"),
    Break("imagegen.pictures.prepare", "after"),
    Break("imagegen.storage.store", "before"),
    Break("imagegen.folder_storage._write", "after"),
    Break("imagegen.folder_storage.FolderStorage._publish", "after"),
    Break("imagegen.folder_storage._force_to_disk", "after"),
    Break("imagegen.storage.store", "after"),
    Break("imagegen.pictures.prepare", "after", 2),
    Break("imagegen.folder_storage.FolderStorage._publish", "after", 2),
    Break("imagegen.storage.store", "after", 2),
    Break("imagegen.generation._record", "before"),
    Break("imagegen.prepared.insert", "before", 2),
    Break("imagegen.prepared.insert", "after", 2),
    Break("imagegen.models.Generation.close", "before"),
    Break("imagegen.models.Generation.close", "after"),
    Break("imagegen.generation._record", "after"),
    Break("imagegen.engines.spool.Spool.clear_named", "before"),
    Break("imagegen.engines.spool.Spool.clear_named", "after"),
    Break("imagegen.generation._carry_out", "after"),
    Break("django.core.handlers.base.BaseHandler.get_response", "after"),
]

RECONCILE_STEPS = [
    Break("imagegen.management.commands.reconcile_files.close_overdue", "after"),
    Break("imagegen.engines.openai.engine.OpenAI.parse", "after"),
    Break("imagegen.storage.store", "before"),
    Break("imagegen.folder_storage.FolderStorage._publish", "after"),
    Break("imagegen.folder_storage._force_to_disk", "after"),
    Break("imagegen.storage.store", "after"),
    Break("imagegen.storage.store", "after", 2),
    Break(f"{LIFECYCLE}.stories.record_found", "before"),
    Break("django.db.models.query.QuerySet.bulk_create", "after"),
    Break(f"{LIFECYCLE}.stories._tell", "after"),
    Break(f"{LIFECYCLE}.stories.record_found", "after"),
    Break(f"{LIFECYCLE}.recovery._record", "after"),
    Break("imagegen.engines.spool.Spool.clear", "before"),
    Break("imagegen.engines.spool.Spool.clear", "after"),
    Break(f"{LIFECYCLE}.recovery.recover_answers", "after"),
    Break("imagegen.folder_storage.FolderStorage.delete", "before"),
    Break("imagegen.folder_storage.FolderStorage.delete", "after"),
    Break(f"{LIFECYCLE}.inventory.Inventory.take", "after"),
]


@pytest.fixture(autouse=True)
def _fresh(lab: Lab, server: LiteLLM) -> Iterator[None]:
    lab.value("clear")
    connect(lab, server, "gpt-image-1")
    yield
    lab.kill_stopped()


def connect(lab: Lab, server: LiteLLM, model: str) -> None:
    lab.value(
        "connect", engine="openai", key=KEY, base_url=server.url, default_model=model, price="0.04",
        trusted_origins=[server.files.url],
    )  # fmt: skip


def crash(lab: Lab, at: Break, *, n: int = 2, path: str = GENERATIONS, in_memory: bool = False) -> None:
    body: dict[str, Any] = {"prompt": "a lake"}
    if path == GENERATIONS:
        body |= {"size": "64x96", "n": n, "metadata": {"chat_id": "c", "message_id": "m"}}
    assert lab.run("post", at=at, in_memory=in_memory, path=path, body=body).status == "killed"


def check(
    lab: Lab, *, n: int = 2, size: tuple[int, int] = (64, 96), told_cost: float = 0.01093
) -> dict[str, Any]:
    """All there, once, whose it is, and told as it was. `told_cost` is in a header, and lost with it."""
    state: dict[str, Any] = lab.value("state")
    (generation,) = state["generations"]
    assert [file["position"] for file in state["files"]] == list(range(n))
    for file in state["files"]:
        assert (file["owner"], file["generation"]) == ("member", generation["id"])
        assert (tuple(file["size"]), file["whole"]) == (size, True)
    assert state["stored"] == sorted(file["name"] for file in state["files"])
    assert state["incoming"] == []
    assert (generation["status"], generation["pictures_failed"]) == ("succeeded", 0)
    assert (generation["error_code"], generation["may_have_charged"]) == ("", False)
    recovered = any("recovered" in step for step in generation["path"])
    cost = 0.04 * n if recovered or not told_cost else told_cost
    assert float(generation["cost"]) == pytest.approx(cost)
    assert generation["finished_at"]
    assert sum(step["pictures"] for step in generation["path"]) == n
    return state


def check_for_good(lab: Lab, **expected: Any) -> None:
    state = check(lab, **expected)
    assert lab.value("reconcile").endswith("Nothing to do.\n")
    again = lab.value("state")
    for row in (*state["generations"], *again["generations"]):
        row.pop("deadline_at")
    assert again == state


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_killed_while_making(lab: Lab, step: Break) -> None:
    crash(lab, step)
    lab.value("reconcile")
    check_for_good(lab)


@pytest.mark.parametrize("step", [Break("imagegen.landing.Slot.fill", "after"), *STEPS[1:]], ids=str)
def test_killed_with_its_answer_in_memory(lab: Lab, step: Break) -> None:
    crash(lab, step, in_memory=True)
    lab.value("reconcile")
    check_for_good(lab)


def test_killed_before_the_answer_is_whole(lab: Lab) -> None:
    crash(lab, Break("imagegen.engines.wire.Incoming.pieces", "after"), in_memory=True)
    lab.value("reconcile")
    state = lab.value("state")
    assert (state["files"], state["stored"], state["incoming"]) == ([], [], [])
    (generation,) = state["generations"]
    assert (generation["error_code"], generation["may_have_charged"]) == ("interrupted", True)


@pytest.mark.parametrize("step", RECONCILE_STEPS, ids=str)
def test_killed_while_reconciling(lab: Lab, step: Break) -> None:
    crash(lab, Break("imagegen.storage.store", "after"))
    lab.value("age")
    assert lab.run("manage", at=step, command="reconcile_files").status == "killed"
    lab.value("reconcile")
    check_for_good(lab)


def test_a_young_answer_is_left_alone(lab: Lab) -> None:
    crash(lab, Break("imagegen.storage.store", "after"))
    before = lab.value("state")
    said = lab.value("manage", command="reconcile_files")
    assert "answers too young: 1" in said and "files too young: 1" in said
    assert lab.value("state") == before
    lab.value("reconcile")
    check(lab)


def test_a_dry_run_says_what_and_changes_nothing(lab: Lab) -> None:
    crash(lab, Break("imagegen.storage.store", "after"))
    lab.value("age")
    before = lab.value("state")
    said = lab.value("manage", command="reconcile_files", options=["--dry-run"])
    assert "Dry run." in said and "pictures recovered: 2" in said
    assert lab.value("state") == before


def test_a_picture_behind_a_link_is_fetched(lab: Lab, server: LiteLLM) -> None:
    connect(lab, server, "grok-2-image")
    crash(lab, Break("imagegen.engines.spool.save", "after"))
    lab.value("reconcile")
    check_for_good(lab)


def test_a_portrait_gets_its_name_and_its_end(lab: Lab) -> None:
    crash(lab, Break("imagegen.storage.store", "after"), path=PORTRAIT)
    lab.value("reconcile")
    (file,) = check(lab, n=1, size=(512, 512))["files"]
    assert file["temp_name"].endswith(".png")
    lab.value("execute", model="imagegen.ImageFile", where={}, expires_at="2020-01-01T00:00:00Z")
    assert "pictures deleted: 1" in lab.value("manage", command="purge_expired")
    assert lab.value("state")["stored"] == []


def test_the_builtin_engine_leaves_pictures_without_an_answer(lab: Lab) -> None:
    lab.value("connect", engine="dicebear", base_url="", default_model="", price="0.04")
    crash(lab, Break("imagegen.storage.store", "before", 2))
    lab.value("reconcile")
    check_for_good(lab)


def test_bytes_alone_are_adopted(lab: Lab) -> None:
    """The disk with the answers is gone; the storage is not."""
    crash(lab, Break("imagegen.generation._record", "before"))
    said = lab.value("reconcile", incoming=str(lab.folder / "empty"))
    assert "files adopted: 2" in said
    lab.value("reconcile")
    check_for_good(lab)


def test_part_of_the_bytes_then_the_answer(lab: Lab) -> None:
    """One machine adopts what it finds; the one with the answer adds the rest."""
    crash(lab, Break("imagegen.storage.store", "after"))
    lab.value("reconcile", incoming=str(lab.folder / "empty"))
    (generation,) = lab.value("state")["generations"]
    assert (generation["status"], generation["pictures_failed"]) == ("partial", 1)
    assert generation["may_have_charged"] is True
    lab.value("reconcile")
    check_for_good(lab)


def test_a_deleted_picture_does_not_come_back(lab: Lab) -> None:
    """Rows are gone, bytes and answer are not: a crash in both places."""
    crash(lab, Break("imagegen.engines.spool.Spool.clear_named", "before"))
    lab.value("delete", model="imagegen.ImageFile", where={})
    lab.value("reconcile")
    state = lab.value("state")
    assert (state["files"], state["stored"], state["incoming"]) == ([], [], [])
    assert state["generations"][0]["status"] == "succeeded"


def test_a_recovered_picture_that_is_deleted_does_not_come_back(lab: Lab) -> None:
    crash(lab, Break("imagegen.storage.store", "after"))
    lab.value("age")
    late = Break("imagegen.engines.spool.Spool.clear", "before")
    assert lab.run("manage", at=late, command="reconcile_files").status == "killed"
    lab.value("delete", model="imagegen.ImageFile", where={})
    lab.value("reconcile")
    state = lab.value("state")
    assert (state["files"], state["stored"], state["incoming"]) == ([], [], [])


class TestAtOnce:
    """One process is held in the middle of its work while another does all of it."""

    STOPS = [
        Break("imagegen.engines.openai.engine.OpenAI.parse", "after"),
        Break("imagegen.folder_storage._force_to_disk", "after"),
        Break("imagegen.storage.store", "after"),
        Break("imagegen.storage.store", "after", 2),
        Break(f"{LIFECYCLE}.recovery._record", "after"),
        Break(f"{LIFECYCLE}.recovery.recover_answers", "after"),
        Break("imagegen.folder_storage.FolderStorage.delete", "before", 3),
    ]

    @pytest.mark.parametrize("step", STOPS, ids=str)
    def test_two_machines(self, lab: Lab, step: Break) -> None:
        """Both have the storage; only the first has the answer."""
        crash(lab, Break("imagegen.generation._record", "before"))
        lab.value("age")
        held = Break(step.target, step.when, step.nth, signal.SIGSTOP)
        first = lab.run("manage", at=held, command="reconcile_files")
        assert first.status == "stopped"
        lab.value("reconcile", incoming=str(lab.folder / "empty"))
        resumed = lab.resume(first)
        assert resumed.status == "done" or "The storage does not take the pictures" in resumed.value
        lab.value("reconcile")
        check_for_good(lab)

    def test_two_runs_on_one_machine(self, lab: Lab) -> None:
        crash(lab, Break("imagegen.storage.store", "after"))
        lab.value("age")
        held = Break("imagegen.storage.store", "after", signal=signal.SIGSTOP)
        first = lab.run("manage", at=held, command="reconcile_files")
        said = lab.value("manage", command="reconcile_files")
        assert said == "Another run is at work on this machine.\n"
        assert "pictures recovered: 2" in lab.resume(first).value
        lab.value("reconcile")
        check_for_good(lab)

    @pytest.mark.parametrize("step", STEPS[1:13:3], ids=str)
    def test_its_own_process_comes_late(self, lab: Lab, step: Break) -> None:
        """It was held up for longer than its deadline, and finds its pictures recorded."""
        held = Break(step.target, step.when, step.nth, signal.SIGSTOP)
        body = {"prompt": "a lake", "size": "64x96", "n": 2}
        first = lab.run("post", at=held, path=GENERATIONS, body=body)
        assert first.status == "stopped"
        lab.value("reconcile")
        assert lab.resume(first).value[0] in (400, 500)
        lab.value("reconcile")
        check_for_good(lab)
