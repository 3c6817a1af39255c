"""The systemd units: valid, and what they start exists."""

from __future__ import annotations

import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
from django.core.management import get_commands

from config.environment import BASE_DIR

DEPLOY = BASE_DIR / "deploy"
SERVICES = sorted(DEPLOY.glob("easel*.service"))
TIMERS = sorted(DEPLOY.glob("easel*.timer"))


def parse(unit: Path) -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(unit)
    return parser


def test_all_are_there() -> None:
    assert [unit.name for unit in SERVICES] == [
        "easel-purge.service", "easel-reconcile.service", "easel-rollup.service", "easel.service"
    ]  # fmt: skip
    assert [unit.name for unit in TIMERS] == [
        "easel-purge.timer", "easel-reconcile.timer", "easel-rollup.timer"
    ]  # fmt: skip


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_starts_something_of_ours(unit: Path) -> None:
    service = parse(unit)["Service"]
    program, *arguments = service["ExecStart"].split()
    root = Path(service["WorkingDirectory"])
    assert Path(program).parent == root / ".venv" / "bin"
    if unit.name == "easel.service":
        assert arguments == ["-c", "python:config.gunicorn", "config.wsgi"]
    else:
        script, command = arguments
        assert (BASE_DIR / script).is_file()
        assert get_commands()[command] == "imagegen"


@pytest.mark.parametrize("unit", TIMERS, ids=lambda unit: unit.name)
def test_a_timer_has_its_service(unit: Path) -> None:
    assert unit.with_suffix(".service") in SERVICES
    assert parse(unit)["Install"]["WantedBy"] == "timers.target"
    assert parse(unit)["Timer"]["OnCalendar"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on this machine")
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    """With the paths of this checkout, since it looks whether programs exist."""
    for unit in (*SERVICES, *TIMERS):
        text = unit.read_text().replace("/opt/easel", str(BASE_DIR))
        (tmp_path / unit.name).write_text(text)
    checked = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / unit.name for unit in (*SERVICES, *TIMERS))],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (checked.returncode, checked.stderr) == (0, "")
