"""Alerts and dashboard: sound, and about what Easel tells."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from config.environment import BASE_DIR, VARIABLES
from config.gauges import GaugesCollector
from config.metrics import METHODS
from imagegen import metrics
from imagegen.engines import errors
from imagegen.generation import NOT_STORED

PROMETHEUS = BASE_DIR / "deploy" / "prometheus"
ALERTS = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((BASE_DIR / "deploy" / "grafana" / "easel.json").read_text())
PANELS = DASHBOARD["panels"]
OPERATIONS = (BASE_DIR / "docs" / "operations.md").read_text()
FROM_PROMETHEUS = {"instance", "job", "le"}
FAILURES = {*errors.CODES, NOT_STORED, "internal_error"}
VALUES = {
    "outcome": {"succeeded", "partial", metrics.OK, *FAILURES},
    "operation": {"write", "read", "delete", "generate", "edit", "portrait"},
    "reason": {"full", "stopping", "no_space"},
    "rate": {"address", "user", "login"},
    "method": METHODS,
}


def expressions() -> Iterator[tuple[str, str]]:
    """(where it stands, what it asks) of all there are."""
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]


@pytest.fixture
def told(db: None, select: Any) -> dict[str, set[str]]:
    """The name of every series that Easel tells, with its labels."""
    select("up", "dicebear")
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    known = {}
    for metric in metrics.REGISTRY._collector_to_names:
        family = metric.describe()[0]
        for suffix in suffixes[family.type]:
            known[f"{family.name}{suffix}"] = set(metric._labelnames)
    for family in GaugesCollector().collect():
        known[family.name] = {label for sample in family.samples for label in sample.labels}
    return known


def test_what_is_asked_for_is_told(told: dict[str, set[str]]) -> None:
    for where, asked in expressions():
        names = set(re.findall(r"\beasel_\w+", asked))
        assert names <= told.keys() and (names or where == "EaselDown"), where
        labels = set().union(*(told[name] for name in names)) | FROM_PROMETHEUS
        for name, selectors in re.findall(r"(easel_\w+)\{([^}]*)\}", asked):
            assert set(re.findall(r"(\w+)[=!]", selectors)) <= told[name] | FROM_PROMETHEUS, where
        for grouped in re.findall(r"\bby \(([^)]*)\)", asked):
            assert set(re.findall(r"\w+", grouped)) <= labels, where
        for label, value in re.findall(r'(\w+)!?=~?"([^"$]*)"', asked):
            assert label == "job" or set(value.split("|")) <= VALUES[label], where


def test_every_metric_is_described_in_the_docs(told: dict[str, set[str]]) -> None:
    page = (BASE_DIR / "docs" / "metrics.md").read_text()
    described = set(re.findall(r"`(easel_\w+)`", page))
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in told}
    assert described == families
    for name, labels in told.items():
        row = re.search(rf"^\| `{re.sub('_(bucket|sum|count)$', '', name)}` \|(.*?)\|", page, re.MULTILINE)
        assert row and set(re.findall(r"\w+", row[1])) == labels, name


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule["annotations"]) == {"summary", "description", "action", "runbook"}
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall("^#+ (.+)$", (BASE_DIR / page).read_text(), re.MULTILINE)
    assert anchor in [heading.lower().replace(" ", "-") for heading in headings]
    assert f"`{rule['alert']}`" in OPERATIONS
    for command in re.findall(r"manage\.py (\w+)|\b(\w+_\w+)\b", rule["annotations"]["action"]):
        named = command[0] or command[1]
        assert named in get_commands() or named in VARIABLES, named
    for label in re.findall(r"\$labels\.(\w+)", str(rule["annotations"])):
        kept = re.findall(r"\bby \(([^)]*)\)", rule["expr"])
        assert label == "instance" or any(label in names for names in kept)


def test_names_of_alerts_are_their_own() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names)) and all(name.startswith("Easel") for name in names)
    assert set(re.findall(r"`(Easel[A-Z]\w+)`", OPERATIONS)) == set(names)


def test_the_dashboard_is_laid_out_without_overlaps() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        references = [target["refId"] for target in panel["targets"]]
        assert references and len(set(references)) == len(references)
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == set(
        re.findall(r"\$\{?(datasource|instance|connection)\b", json.dumps(PANELS))
    )


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool (Debian: apt install prometheus)")
class TestPromtool:
    def run(self, *arguments: object) -> None:
        done = subprocess.run(
            ["promtool", *map(str, arguments)],
            cwd=PROMETHEUS, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def test_takes_the_rules(self) -> None:
        self.run("check", "rules", "alerts.yml")

    def test_sees_each_alert_come_and_none_without_cause(self) -> None:
        self.run("test", "rules", "alerts_test.yml")

    def test_reads_every_question_of_the_dashboard(self, tmp_path: Path) -> None:
        asked = [target["expr"] for panel in PANELS for target in panel["targets"]]
        rules = [
            {"record": f"panel:{k}", "expr": expr.replace("$__rate_interval", "5m")}
            for k, expr in enumerate(asked)
        ]
        path = tmp_path / "rules.yml"
        path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
        self.run("check", "rules", path)
