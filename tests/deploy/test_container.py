"""Dockerfile and compose.yaml against the rest of the repository. No container engine is needed, nor run."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from fnmatch import fnmatch
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet
from django.core.management import get_commands

from config.environment import BASE_DIR, VARIABLES

COMPOSE: dict[str, Any] = yaml.safe_load((BASE_DIR / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if "build" in service}
NGINX = (BASE_DIR / "deploy" / "nginx.conf").read_text()
SCRIPT = BASE_DIR / "deploy" / "container" / "timers.sh"
PYTHON = {"PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "MALLOC_ARENA_MAX", "DJANGO_SETTINGS_MODULE"}
PIP = {"PIP_NO_CACHE_DIR", "PIP_DISABLE_PIP_VERSION_CHECK"}


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", "", (BASE_DIR / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def last(word: str) -> str:
    return [rest for name, rest in instructions() if name == word][-1]


def environment(service: dict[str, Any]) -> dict[str, str]:
    return dict(service.get("environment", {}))


class TestImage:
    def test_what_is_copied_exists_and_is_let_in(self) -> None:
        ignored = (BASE_DIR / ".dockerignore").read_text().splitlines()
        assert "*" in ignored
        let_in = {line[1:] for line in ignored if line.startswith("!")}
        copied = set()
        for word, rest in instructions():
            if word == "COPY" and not rest.startswith("--from"):
                *sources, _ = rest.split()
                copied |= set(sources)
        assert copied == let_in
        assert all((BASE_DIR / name).exists() for name in copied)
        kept_out = ("secrets", ".env", "var", ".git")
        assert not any(fnmatch(name, pattern) for name in kept_out for pattern in let_in)

    def test_all_of_easel_is_in_it(self) -> None:
        linter = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["tool"]["importlinter"]
        copied = " ".join(rest for word, rest in instructions() if word == "COPY").split()
        assert {*linter["root_packages"], "manage.py", "NOTICE.md", "LICENSE"} <= set(copied)

    def test_no_secret_is_baked_in_and_every_name_means_something(self) -> None:
        assert not [word for word, _ in instructions() if word == "ARG"]
        named = {
            pair.partition("=")[0]
            for word, rest in instructions() if word == "ENV"
            for pair in shlex.split(rest)
        }  # fmt: skip
        assert named - VARIABLES.keys() == PYTHON | PIP
        assert named & VARIABLES.keys() == {"EASEL_DATA_DIR", "EASEL_BIND", "PORT"}

    def test_what_it_runs_on_is_pinned(self) -> None:
        pins = [
            line for line in (BASE_DIR / "requirements.txt").read_text().splitlines() if line[:1].isalpha()
        ]
        assert pins and all(re.fullmatch(r"[\w.-]+(\[\w+\])?==\S+", pin) for pin in pins)
        bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
        assert set(bases) == {"python:3.11-slim"}

    def test_signals_reach_gunicorn(self) -> None:
        """No shell stands between, as it would in the other form of CMD."""
        assert json.loads(last("CMD")) == ["gunicorn", "-c", "python:config.gunicorn", "config.wsgi"]
        assert not [word for word, _ in instructions() if word == "ENTRYPOINT"]

    def test_it_is_nobodys_root(self) -> None:
        words = [word for word, _ in instructions()]
        assert int(last("USER")) > 1000
        assert "USER" not in words[words.index("USER") + 1 :]
        assert words.index("USER") > max(k for k, word in enumerate(words) if word in ("RUN", "COPY"))
        owned = next(rest for word, rest in instructions() if "install -d" in rest)
        mounted = {volume.split(":")[1] for volume in SERVICES["easel"]["volumes"]}
        assert mounted <= set(owned.split()), "a new volume takes over the owner of the folder in the image"

    @pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
    def test_its_health_is_asked_for(self, status: int, code: int) -> None:
        from tests.fakes.server import FakeServer, Request, Response

        asked = []

        class Server(FakeServer):
            def reply(self, request: Request) -> Response:
                asked.append(request.path)
                return Response.json({}, status)

        _, _, command = last("HEALTHCHECK").partition("CMD ")
        with Server() as server:
            port = server.url.rpartition(":")[2]
            done = subprocess.run(
                [sys.executable, *json.loads(command)[1:]],
                env={**os.environ, "PORT": port},
                capture_output=True,
                check=False,
                timeout=60,
            )
        assert (done.returncode, asked) == (code, ["/healthz"])


class TestCompose:
    def test_every_variable_is_a_setting(self) -> None:
        for name in OURS:
            for variable in environment(SERVICES[name]):
                assert variable in VARIABLES or variable.removesuffix("_FILE") in VARIABLES, variable
        assert {"easel", "prepare", "timers"} == OURS

    def test_secrets_come_from_files_that_git_does_not_know(self) -> None:
        assert "/secrets/" in (BASE_DIR / ".gitignore").read_text().splitlines()
        files = {name: secret["file"] for name, secret in COMPOSE["secrets"].items()}
        page = (BASE_DIR / "docs" / "container.md").read_text()
        for name, file in files.items():
            assert file == f"./secrets/{name}" and f"> secrets/{name}\n" in page
        for service in SERVICES.values():
            for variable, value in environment(service).items():
                if variable.endswith("_FILE"):
                    assert value.removeprefix("/run/secrets/") in service["secrets"]
                assert not re.search("KEY|PASSWORD|SECRET|TOKEN", variable) or variable.endswith("_FILE")
            assert set(service.get("secrets", [])) <= files.keys()
        assert set().union(*(service.get("secrets", []) for service in SERVICES.values())) == files.keys()

    def test_the_secrets_of_the_docs_are_taken(self, tmp_path: Path) -> None:
        page = (BASE_DIR / "docs" / "container.md").read_text()
        block = page.split("\n\n    mkdir")[1].split("\n\n")[0]
        script = "set -e\nmkdir" + block.replace("\n    ", "\n")
        subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True, capture_output=True, timeout=60)
        read = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
        assert read.keys() == COMPOSE["secrets"].keys()
        assert len(read["secret_key"]) >= 50
        Fernet(read["encryption_keys"].strip())
        assert len(base64.urlsafe_b64decode(read["encryption_keys"])) == 32
        user = SERVICES["postgres"]["environment"]["POSTGRES_USER"]
        database = SERVICES["postgres"]["environment"]["POSTGRES_DB"]
        password = read["database_password"]
        assert read["database_url"] == f"postgres://{user}:{password}@postgres:5432/{database}"
        assert {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()} == {0o444}
        assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0

    def test_everything_named_is_there(self) -> None:
        used_volumes, used_networks = set(), set()
        for service in SERVICES.values():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                if source.startswith("."):
                    assert (BASE_DIR / source).is_file()
                else:
                    used_volumes.add(source)
            used_networks |= set(service["networks"])
            for other, how in service.get("depends_on", {}).items():
                assert other in SERVICES
                if how["condition"] == "service_healthy":
                    checked = SERVICES[other].get("healthcheck", {})
                    assert checked.get("test") or (other in OURS and not checked.get("disable"))
        assert used_volumes == COMPOSE["volumes"].keys()
        assert used_networks == COMPOSE["networks"].keys()

    def test_only_nginx_is_reached_from_outside(self) -> None:
        assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
        assert COMPOSE["networks"]["back"] == {"internal": True}
        for name in ("postgres", "redis"):
            assert SERVICES[name]["networks"] == ["back"]

    def test_only_nginx_is_believed(self) -> None:
        network = ip_network(COMPOSE["networks"]["front"]["ipam"]["config"][0]["subnet"])
        nginx, easel = (SERVICES[name]["networks"]["front"]["ipv4_address"] for name in ("nginx", "easel"))
        assert environment(SERVICES["easel"])["EASEL_TRUSTED_PROXIES"] == nginx != easel
        assert {ip_address(nginx), ip_address(easel)} < set(network.hosts())
        assert next(network.hosts()) not in (ip_address(nginx), ip_address(easel)), "the gateway's"

    def test_nginx_is_told_where_easel_and_its_pictures_are(self) -> None:
        service, script = SERVICES["nginx"], SERVICES["nginx"]["command"][2]
        edit = re.match(r"sed s/(.*?)/(.*?)/ ", script)
        assert edit and re.findall(edit[1], NGINX) == ["127.0.0.1:8005"]
        host, _, port = edit[2].partition(":")
        assert host in SERVICES and int(port) == VARIABLES["PORT"].default
        mounts = dict(volume.split(":")[:2] for volume in service["volumes"])
        assert f"alias {mounts['pictures']}/;" in NGINX
        ours = dict(volume.split(":")[:2] for volume in SERVICES["easel"]["volumes"])
        assert ours["pictures"] == mounts["pictures"]
        assert f"location {environment(SERVICES['easel'])['EASEL_ACCEL_REDIRECT']} {{" in NGINX
        assert mounts["./deploy/nginx.conf"] in script

    def test_a_stop_waits_for_what_runs(self) -> None:
        seconds = int(SERVICES["easel"]["stop_grace_period"].removesuffix("s"))
        assert seconds > VARIABLES["EASEL_GRACEFUL_TIMEOUT"].default

    def test_ours_can_change_nothing_of_themselves(self) -> None:
        for name in OURS:
            service = SERVICES[name]
            assert service["read_only"] and service["cap_drop"] == ["ALL"] and not service.get("privileged")
            assert service["security_opt"] == ["no-new-privileges:true"]


class TestTimers:
    """The script with a `python` that writes down what it is asked for."""

    @pytest.fixture
    def asked(self, tmp_path: Path) -> Path:
        python = tmp_path / "python"
        python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n[ "$2" != purge_expired ]\n')
        python.chmod(0o755)
        return tmp_path / "asked"

    def start(self, asked: Path, pause: str) -> subprocess.Popen[bytes]:
        path = {"PATH": f"{asked.parent}:{os.environ['PATH']}"}
        return subprocess.Popen(["sh", SCRIPT, pause], env=path, stderr=subprocess.PIPE)

    def wait(self, asked: Path, lines: int) -> list[str]:
        until = time.monotonic() + 60
        while not asked.exists() or len(asked.read_text().splitlines()) < lines:
            assert time.monotonic() < until
            time.sleep(0.02)
        return asked.read_text().splitlines()[:lines]

    def test_each_has_its_turn_though_one_fails(self, asked: Path) -> None:
        process = self.start(asked, "0.01")
        ran = self.wait(asked, 20 + 4 + 2)
        process.terminate()
        process.communicate(timeout=60)
        assert {line.split()[1] for line in ran} == {
            unit.read_text().split("manage.py ")[1].split()[0]
            for unit in (BASE_DIR / "deploy").glob("easel-*.service")
        }
        assert all(get_commands()[line.split()[1]] == "imagegen" for line in ran)
        assert [k for k, line in enumerate(ran) if "reconcile_files" in line] == [3, 25], "not at once"
        assert ran.count("manage.py roll_up") == 4
        assert ran.count("manage.py purge_expired") == 20

    def test_a_stop_is_heard_in_the_pause(self, asked: Path) -> None:
        process = self.start(asked, "600")
        self.wait(asked, 2)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0
        assert said == b"failed: manage.py purge_expired\n"
