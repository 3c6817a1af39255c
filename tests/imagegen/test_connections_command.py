import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection as database

from imagegen.models import EngineConnection, ImageSettings
from tests.fakes.litellm import KEY, LiteLLM

pytestmark = pytest.mark.django_db

SECRET = "sk-not-for-anybody-else"
URL = "http://127.0.0.1:4000/v1"
ADD = ["add", "proxy", "--engine", "openai", "--base-url", URL]


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("connections", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def proxy() -> EngineConnection:
    return EngineConnection.objects.get(name="proxy")


def everything() -> list[str]:
    """Each table of ours, row by row, as the database has it."""
    with database.cursor() as cursor:
        tables = [name for name in database.introspection.table_names(cursor) if name.startswith("imagegen")]
        rows = []
        for table in sorted(tables):
            cursor.execute(f"SELECT * FROM {database.ops.quote_name(table)} ORDER BY 1")
            rows += [f"{table} {row!r}" for row in cursor.fetchall()]
    return rows


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("LITELLM_KEY", f" {SECRET}\n")


# Adding and changing


def test_add_takes_everything_at_once(key):
    said = run(
        *ADD,
        *("--api-key-env", "LITELLM_KEY", "--model", "grok-imagine-image", "--models", "one,two"),
        *("--deadline", "90", "--concurrency", "4", "--price", "0.02"),
        *("--parameter", "quality=high", "--parameter", "seed=7", "--parameter", 'extra={"a": [1]}'),
        *("--trusted-origin", "http://127.0.0.1:4000", "--use-for", "portrait, generate"),
    )
    assert said == "Added proxy.\n"
    row = proxy()
    assert (row.engine, row.base_url, row.key, row.enabled) == ("openai", URL, SECRET, True)
    assert (row.default_model, row.listed_models) == ("grok-imagine-image", ["one", "two"])
    assert (row.deadline, row.concurrency, str(row.price)) == (90, 4, "0.020000")
    assert row.parameters == {"quality": "high", "seed": 7, "extra": {"a": [1]}}
    assert row.trusted_origins == ["http://127.0.0.1:4000"]
    current = ImageSettings.objects.current()
    assert current.portrait_connection == current.generate_connection == row
    assert current.edit_connection is None


def test_update_changes_what_is_named_and_leaves_the_rest(key):
    run(*ADD, "--api-key-env", "LITELLM_KEY", "--model", "one", "--parameter", "a=1", "--parameter", "b=2")
    assert run("update", "proxy", "--deadline", "30", "--parameter", "a=", "--parameter", "c=x=y") == (
        "Updated proxy.\n"
    )
    row = proxy()
    assert (row.deadline, row.default_model, row.base_url, row.key) == (30, "one", URL, SECRET)
    assert row.parameters == {"b": 2, "c": "x=y"}
    run("update", "proxy", "--disable", "--model", "")
    assert (proxy().enabled, proxy().default_model) == (False, "")
    run("update", "proxy", "--enable")
    assert proxy().enabled


def test_remove(key):
    run(*ADD, "--use-for", "generate")
    assert run("remove", "proxy") == "Removed proxy.\n"
    assert not EngineConnection.objects.filter(name="proxy").exists()
    assert ImageSettings.objects.current().generate_connection is None


# Keys


def test_a_key_from_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{SECRET}\nnot this\n"))
    run(*ADD, "--api-key-stdin")
    assert proxy().key == SECRET


def test_a_key_is_printed_nowhere_and_stored_nowhere_in_clear(key):
    said = run(*ADD, "--api-key-env", "LITELLM_KEY")
    said += run("update", "proxy", "--api-key-env", "LITELLM_KEY")
    said += run("list") + run("list", "--json")
    assert SECRET not in said
    assert "key set" in said
    dump = io.StringIO()
    call_command("dumpdata", "imagegen", stdout=dump)
    stored = "\n".join(everything())
    assert "proxy" in stored and "proxy" in dump.getvalue()
    assert SECRET not in stored and SECRET not in dump.getvalue()


def test_a_key_is_forgotten_on_request(key):
    run(*ADD, "--api-key-env", "LITELLM_KEY")
    run("update", "proxy", "--no-api-key")
    assert proxy().key == ""


# Listing


def test_list_for_people(key):
    run(*ADD, "--api-key-env", "LITELLM_KEY", "--model", "grok", "--use-for", "portrait")
    run("update", "proxy", "--disable")
    lines = run("list").splitlines()
    assert lines[0].split() == ["built-in", "dicebear", "no", "key", "used", "for", "generate"]
    assert lines[1] == f"{'proxy':<20} openai  {URL}  grok  key set  used for portrait  (disabled)"


def test_list_for_programs(key):
    run(*ADD, "--api-key-env", "LITELLM_KEY", "--model", "grok", "--use-for", "edit")
    assert json.loads(run("list", "--json"))[1] == {
        "name": "proxy",
        "engine": "openai",
        "base_url": URL,
        "model": "grok",
        "enabled": True,
        "has_key": True,
        "key_is_lost": False,
        "used_for": ["edit"],
    }


# Testing


def test_test_reaches_the_engine(monkeypatch):
    monkeypatch.setenv("LITELLM_KEY", KEY)
    with LiteLLM() as server:
        run(
            "add",
            "proxy",
            "--engine",
            "openai",
            "--base-url",
            f"{server.url}/v1",
            "--api-key-env",
            "LITELLM_KEY",
        )
        assert run("test", "proxy").startswith("proxy: ")


def test_test_says_what_is_wrong_and_not_the_key(key):
    with LiteLLM() as server:
        run(
            "add",
            "proxy",
            "--engine",
            "openai",
            "--base-url",
            f"{server.url}/v1",
            "--api-key-env",
            "LITELLM_KEY",
        )
        with pytest.raises(CommandError) as refused:
            run("test", "proxy")
    assert str(refused.value).startswith("proxy: ")
    assert SECRET not in str(refused.value)


def test_the_built_in_engine_is_always_there():
    assert run("test", "built-in").startswith("built-in: ")


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["add", "proxy", "--engine", "openai"], "already"),
        (["add", "Bad Name", "--engine", "dicebear"], "name: Use a-z"),
        (["add", "-x", "--engine", "dicebear"], "required: NAME"),
        (["add", "new"], "required: --engine"),
        (["add", "new", "--engine", "nonsense"], "invalid choice"),
        (["add", "new", "--engine", "openai", "--base-url", "ftp://x"], "base_url: Enter an http"),
        (["add", "new", "--engine", "openai", "--base-url", "http://me:pass@x"], "base_url: Leave out"),
        (["add", "new", "--engine", "openai", "--base-url", "http://x/?key=1"], "base_url: Leave out"),
        (["add", "new", "--engine", "comfyui"], "base_url: ComfyUI needs"),
        (["update", "nobody", "--deadline", "1"], "There are: built-in, proxy."),
        (["update", "proxy", "--deadline", "0"], "deadline: "),
        (["update", "proxy", "--deadline", "9999"], "deadline: "),
        (["update", "proxy", "--deadline", "soon"], "invalid int"),
        (["update", "proxy", "--concurrency", "-1"], "concurrency: "),
        (["update", "proxy", "--price", "cheap"], "price: "),
        (["update", "proxy", "--price", "-1"], "price: "),
        (["update", "proxy", "--parameter", "quality"], "NAME=VALUE"),
        (["update", "proxy", "--parameter", "=high"], "NAME=VALUE"),
        (["update", "proxy", "--use-for", "generate,everything"], "--use-for takes"),
        (["update", "proxy", "--enable", "--disable"], "not allowed with"),
        (["update", "proxy", "--api-key-env", "X", "--api-key-stdin"], "not allowed with"),
        (["update", "proxy", "--api-key-env", "NOT_SET"], "no key in the environment variable NOT_SET"),
        (["update", "proxy", "--api-key-env", "EMPTY"], "no key in the environment variable EMPTY"),
        (["update", "proxy", "--api-key-stdin"], "no key on standard input"),
        (["update", "proxy", "--trusted-origin", "nonsense"], "trusted_origins: "),
        (["test", "nobody"], "no connection 'nobody'"),
        (["remove", "nobody"], "no connection 'nobody'"),
        (["remove"], "required: NAME"),
        (["dance"], "invalid choice"),
        ([], "required: ACTION"),
    ],
)
def test_a_mistake_changes_nothing_and_says_what_is_wrong(arguments, sentence, monkeypatch):
    run(*ADD)
    monkeypatch.delenv("NOT_SET", raising=False)
    monkeypatch.setenv("EMPTY", " ")
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    before = everything()
    extra = ["--model", "changed", "--use-for", "edit"] if arguments[:1] in (["add"], ["update"]) else []
    with pytest.raises(CommandError) as refused:
        run(*(arguments if "--use-for" in arguments else [*arguments, *extra]))
    assert sentence in str(refused.value)
    assert everything() == before


@pytest.mark.parametrize("arguments", [["--help"], ["add", "--help"], ["update", "--help"]])
def test_help_suffices(arguments):
    shown = subprocess.run(
        [sys.executable, "manage.py", "connections", *arguments],
        env={"DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    whole = [*("add", "list", "update", "test", "remove"), "examples:", "--api-key-env"]
    one = [
        *("--base-url", "--model", "--models", "--deadline", "--concurrency", "--price", "--parameter"),
        *("--trusted-origin", "--use-for", "--api-key-env", "--api-key-stdin", "--no-api-key", "--disable"),
    ]
    for word in whole if arguments == ["--help"] else one:
        assert word in shown


@pytest.fixture
def exported(tmp_path):
    """What people export from ComfyUI, the right way and the wrong one."""
    recorded = Path(__file__).parent.parent / "fakes" / "recordings" / "workflows"
    wrong = tmp_path / "ui.json"
    wrong.write_text('{"nodes": [], "links": [], "version": 0.4}')
    return recorded / "txt2img.json", wrong


def test_a_workflow_comes_from_a_file_and_is_checked(exported):
    right, wrong = exported
    where = ["--engine", "comfyui", "--base-url", "http://127.0.0.1:8188"]
    run("add", "comfy", *where, "--workflow", str(right))
    stored = EngineConnection.objects.get(name="comfy")
    assert stored.workflow == json.loads(right.read_text())
    assert "generate" in stored.to_engine().capabilities("").operations
    for path, sentence in ((wrong, "workflow: "), (wrong.with_name("none.json"), "cannot be read")):
        with pytest.raises(CommandError, match=sentence):
            run("update", "comfy", "--workflow", str(path))
    assert EngineConnection.objects.get(name="comfy").workflow == stored.workflow
