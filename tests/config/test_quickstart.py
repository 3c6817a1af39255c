import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import requests
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from PIL import Image

from config.environment import BASE_DIR
from config.quickstart import _create_accounts
from tests.config.production import environment, run
from tests.live import free_port

LAST_LINE = "Ctrl-C ends it."


class Started:
    """`make run`'s program in a session of its own, as a terminal would have it."""

    def __init__(self, data_dir, port, **variables):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "config.quickstart"],
            cwd=BASE_DIR,
            env=environment(data_dir, PORT=str(port), EASEL_THREADS="20", **variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.errors = []
        self.reader = threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True)
        self.reader.start()
        self.banner = ""
        for line in self.process.stdout:
            self.banner += line
            if LAST_LINE in line:
                break
        assert LAST_LINE in self.banner, "".join(self.errors)

    def press_ctrl_c(self) -> int:
        """SIGINT to the process group, as a terminal does; the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(60)  # well below the graceful timeout

    def kill(self):
        for child in children(self.process.pid):
            os.kill(child, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        self.reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()


def children(pid: int) -> list[int]:
    """The processes that a process started, and theirs."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    found, level = [], [pid]
    while level := [child for child, parent in pairs if parent in level]:
        found += level
    return found


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def start(tmp_path):
    started = []

    def start(**variables):
        started.append(Started(tmp_path, free_port(), **variables))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def curl_flow(banner: str) -> list[requests.Response]:
    """What the banner tells people to type, as requests: a token, then each picture with it."""
    calls = re.findall(r"curl -s (\S+) (?:.|\n)*?-d '(\{.*?\})'", banner)
    assert len(calls) == 3
    answers, headers = [], {"Content-Type": "application/json"}
    for url, body in calls:
        answers.append(requests.post(url, data=body, headers=headers, timeout=60))
        if "access" in answers[-1].text:
            assert answers[-1].text.split('"')[3] == answers[-1].json()["access"]  # what `cut` takes
            headers["Authorization"] = f"Bearer {answers[-1].json()['access']}"
    return answers


def test_from_nothing_to_a_portrait_and_back(start, tmp_path):
    first = start()
    base = re.search(r"Easel is running at (\S+)", first.banner)[1]
    assert re.search(r"admin +admin +\S{12,}\n", first.banner)
    assert re.search(r"member +member +\S{12,}\n", first.banner)
    with Image.open(tmp_path / "first-portrait.png") as portrait:
        assert (portrait.format, portrait.size, portrait.mode) == ("PNG", (512, 512), "RGB")
    assert f"{base}/api/mind/storage/temp/" in first.banner

    token, portrait, pictures = curl_flow(first.banner)
    assert [answer.status_code for answer in (token, portrait, pictures)] == [200, 200, 200]
    assert portrait.json()["portrait"]["prompt"] == "A bald man with a red beard"
    assert (pictures.json()[0]["width"], pictures.json()[0]["height"]) == (768, 512)
    for path in ("/readyz", "/api/docs", "/admin/login/"):
        assert requests.get(base + path, timeout=30).status_code == 200

    workers = children(first.process.pid)
    assert len(workers) == 3  # gunicorn and two workers
    with requests.Session() as browser:  # whose idle connection must not hold up the end
        assert browser.get(f"{base}/healthz", timeout=30).status_code == 200
        assert first.press_ctrl_c() == 0
    assert [pid for pid in workers if is_alive(pid)] == []
    assert "Traceback" not in "".join(first.errors)

    before = counts(tmp_path)
    assert before["users"] == 2
    second = start()
    assert "Shown once" not in second.banner and "first portrait" not in second.banner
    assert '"password": "<password>"' in second.banner
    assert counts(tmp_path) == before
    assert second.press_ctrl_c() == 0


COUNT = """
import django; django.setup()
from django.contrib.auth.models import User
from imagegen.models import EngineConnection, Generation, ImageFile
print(User.objects.count(), EngineConnection.objects.count(), Generation.objects.count(),
      ImageFile.objects.count())
"""


def counts(data_dir) -> dict[str, int]:
    ended = run(data_dir, "-c", COUNT, DJANGO_SETTINGS_MODULE="config.settings")
    names = ("users", "connections", "generations", "files")
    return dict(zip(names, map(int, ended.stdout.split()), strict=True))


def test_behind_a_public_url_with_a_password_of_ones_own(start):
    easel = start(EASEL_PUBLIC_URL="https://easel.example", EASEL_ADMIN_PASSWORD="correct horse battery")
    assert "Easel is running at https://easel.example\n" in easel.banner
    assert "correct horse battery" not in easel.banner
    assert easel.press_ctrl_c() == 0


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_on_an_address_of_ipv6(start):
    easel = start(EASEL_BIND="::1")
    assert "first portrait" in easel.banner
    assert easel.press_ctrl_c() == 0


def test_a_port_in_use(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(tmp_path, "-m", "config.quickstart", PORT=str(port))
    assert ended.returncode == 1
    assert ended.stderr == (
        f"Port {port} is in use. Stop what uses it, or choose another: PORT=8006 make run\n"
    )
    assert list(tmp_path.iterdir()) == []  # nothing was made


def test_a_server_that_cannot_start_leaves_nobody_behind_and_no_password_unseen(tmp_path):
    limited = "import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024));"
    started = time.monotonic()
    ended = run(
        tmp_path,
        "-c",
        limited + "runpy.run_module('config.quickstart', run_name='__main__')",
        PORT=str(free_port()),
    )
    assert ended.returncode == 1
    assert "Easel cannot start: it may open 1024 files and needs 4096." in ended.stderr
    assert time.monotonic() - started < 60  # it does not wait for a server that is gone
    assert counts(tmp_path)["users"] == 0


@pytest.mark.django_db
def test_what_was_set_up_from_the_shell_first_leaves_room_for_an_admin():
    """The account that its changes are written down for is nobody who could log in."""
    call_command("connections", "add", "up", "--engine", "dicebear")
    assert LogEntry.objects.exists()
    assert [account.role for account in _create_accounts()] == ["admin", "member"]
    assert _create_accounts() == []
