"""deploy/nginx.conf, on a real nginx before Easel as it is run."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.live import ROOT, LiveEasel, free_port

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
STARTS_WITHIN = 20

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: apt install nginx)")

AROUND = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {site}
}}
"""


class Nginx:
    """nginx with deploy/nginx.conf, told where this Easel listens and stores."""

    def __init__(self, folder: Path, port: int, easel: LiveEasel) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        site = (ROOT / "deploy" / "nginx.conf").read_text()
        for ours, theirs in {
            "listen 80;": f"listen 127.0.0.1:{port};",
            "server_name easel.example;": "server_name 127.0.0.1;",
            "http://127.0.0.1:8005": easel.url,
            "/var/lib/easel/files/": f"{easel.folder}/files/",
        }.items():
            assert site.count(ours) == 1, ours
            site = site.replace(ours, theirs)
        user = "user root;" if os.geteuid() == 0 else ""
        self.config = folder / "nginx.conf"
        self.config.write_text(AROUND.format(folder=folder, user=user, site=site))
        self.errors = folder / "error.log"

    def start(self) -> subprocess.Popen[bytes]:
        assert NGINX is not None
        command = [NGINX, "-c", str(self.config), "-e", str(self.errors)]
        subprocess.run([*command, "-t"], check=True, capture_output=True)
        process = subprocess.Popen(command)
        until = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return process
            except OSError:
                time.sleep(0.05)
        process.kill()
        raise RuntimeError(f"nginx did not start: {self.errors.read_text()}")


@pytest.fixture(scope="module")
def easel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveEasel]:
    folder = tmp_path_factory.mktemp("easel")
    with LiveEasel(folder, EASEL_ACCEL_REDIRECT="/_files/", EASEL_TRUSTED_PROXIES="127.0.0.1") as easel:
        yield easel


@pytest.fixture(scope="module")
def nginx(easel: LiveEasel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    nginx = Nginx(tmp_path_factory.mktemp("nginx"), free_port(), easel)
    process = nginx.start()
    yield nginx
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="module")
def picture(easel: LiveEasel, nginx: Nginx) -> str:
    """The path of a file, made through nginx."""
    answer = requests.post(
        f"{nginx.url}/api/images/generations",
        json={"prompt": "a lake", "size": "640x480"}, headers=easel.headers, timeout=120,
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    return f"/api/v1/files/{answer.json()[0]['id']}"


def stored(easel: LiveEasel) -> str:
    """The name in the storage of a picture."""
    folder = easel.folder / "files"
    return str(next(folder.rglob("*.png")).relative_to(folder))


def raw(nginx: Nginx, path: str, headers: dict[str, str] | None = None) -> requests.Response:
    """GET a path as it is: no client that folds `..` or decodes anything."""
    request = requests.Request("GET", nginx.url, headers=headers).prepare()
    request.url = f"{nginx.url}{path}"
    return requests.Session().send(request, timeout=30)


@pytest.mark.parametrize("what", ["content", "thumbnail"])
class TestRedirect:
    def test_is_followed(self, easel: LiveEasel, nginx: Nginx, picture: str, what: str) -> None:
        direct = easel.get(f"{picture}/{what}")
        through = requests.get(f"{nginx.url}{picture}/{what}", headers=easel.headers, timeout=30)
        assert through.status_code == 200 and through.content == direct.content
        assert through.headers["Server"].startswith("nginx")
        assert "X-Accel-Redirect" not in through.headers and "Last-Modified" not in through.headers
        for name in (
            "Content-Type", "Content-Length", "Content-Disposition", "ETag", "Cache-Control",
            "X-Content-Type-Options", "Content-Security-Policy", "Referrer-Policy", "X-Frame-Options",
        ):  # fmt: skip
            assert through.headers[name] == direct.headers[name], name
        assert len(through.headers["X-Trace-Id"]) == 32

    def test_the_file_is_nginxs_to_send(
        self, easel: LiveEasel, nginx: Nginx, picture: str, what: str
    ) -> None:
        """Told as nginx is told, Easel sends a path and no bytes; told nothing, bytes and no path."""
        headers = {**easel.headers, "X-Accel-Location": "/_files/"}
        told = requests.get(f"{easel.url}{picture}/{what}", headers=headers, timeout=30)
        assert told.headers["X-Accel-Redirect"].startswith("/_files/pictures/") and not told.content
        direct = easel.get(f"{picture}/{what}")
        assert direct.content and "X-Accel-Redirect" not in direct.headers

    def test_only_for_whom_it_is(self, nginx: Nginx, picture: str, what: str) -> None:
        answer = requests.get(f"{nginx.url}{picture}/{what}", timeout=30)
        assert answer.status_code == 401 and answer.json()["code"]

    def test_head_and_304(self, easel: LiveEasel, nginx: Nginx, picture: str, what: str) -> None:
        url = f"{nginx.url}{picture}/{what}"
        head = requests.head(url, headers=easel.headers, timeout=30)
        assert head.status_code == 200 and not head.content and int(head.headers["Content-Length"]) > 0
        headers = {**easel.headers, "If-None-Match": head.headers["ETag"]}
        assert requests.get(url, headers=headers, timeout=30).status_code == 304


class TestRange:
    def ask(self, easel: LiveEasel, nginx: Nginx, picture: str, **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{nginx.url}{picture}/content"
        return requests.get(url, headers={**easel.headers, **named}, timeout=30)

    def test_one(self, easel: LiveEasel, nginx: Nginx, picture: str) -> None:
        whole = self.ask(easel, nginx, picture)
        size = len(whole.content)
        for wanted, first, last in (
            ("10-19", 10, 19),
            (f"{size - 5}-", size - 5, size - 1),
            ("-5", size - 5, size - 1),
        ):
            part = self.ask(easel, nginx, picture, Range=f"bytes={wanted}")
            assert part.status_code == 206 and part.content == whole.content[first : last + 1]
            assert part.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
            assert part.headers["Content-Type"] == "image/png"

    def test_if_range(self, easel: LiveEasel, nginx: Nginx, picture: str) -> None:
        etag = self.ask(easel, nginx, picture).headers["ETag"]
        for validator, status in {etag: 206, '"older"': 200}.items():
            answer = self.ask(easel, nginx, picture, Range="bytes=0-9", If_Range=validator)
            assert answer.status_code == status

    def test_several_and_beyond(self, easel: LiveEasel, nginx: Nginx, picture: str) -> None:
        assert self.ask(easel, nginx, picture, Range="bytes=0-1,5-6").status_code == 200
        assert self.ask(easel, nginx, picture, Range="bytes=99999999-").status_code == 416


class TestFromOutside:
    @pytest.mark.parametrize(
        "path",
        [
            "/_files/{name}",
            "/_files//{name}",
            "//_files/{name}",
            "/%5ffiles/{name}",
            "/_files%2f{name}",
            "/x/../_files/{name}",
            "/x/..%2f_files/{name}",
            "/x/%2e%2e/_files/{name}",
            "/_files/../easel.sqlite3",
            "/_files/..%2feasel.sqlite3",
            "/_files/pictures/..%2f..%2f..%2feasel.sqlite3",
            "/_files../easel.sqlite3",
            "/_files..%2feasel.sqlite3",
            "/_files/%00",
            "/api/v1/files/..%2f..%2f..%2f_files%2f{name}/content",
            "/api/v1/files/%2e%2e%2f%2e%2e/content",
        ],
    )
    def test_the_internal_location_is_out_of_reach(
        self, easel: LiveEasel, nginx: Nginx, picture: str, path: str
    ) -> None:
        for headers in (easel.headers, {**easel.headers, "X-Accel-Redirect": f"/_files/{stored(easel)}"}):
            answer = raw(nginx, path.format(name=stored(easel)), headers)
            assert answer.status_code in (400, 404), path
            assert b"PNG" not in answer.content and b"SQLite" not in answer.content

    def test_a_header_from_outside_changes_nothing(
        self, easel: LiveEasel, nginx: Nginx, picture: str
    ) -> None:
        headers = {**easel.headers, "X-Accel-Location": "/elsewhere/"}
        answer = raw(nginx, f"{picture}/content", headers)
        assert answer.status_code == 200 and answer.content.startswith(b"\x89PNG")

    def test_a_body_over_the_limit(self, easel: LiveEasel, nginx: Nginx) -> None:
        headers = {**easel.headers, "Content-Length": str(70 * 1024**2 + 1)}
        with socket.create_connection(("127.0.0.1", nginx.port), timeout=30) as link:
            lines = ["POST /api/images/generations HTTP/1.1", f"Host: 127.0.0.1:{nginx.port}"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            link.sendall("\r\n".join([*lines, "", ""]).encode())
            assert link.recv(100).startswith(b"HTTP/1.1 413")
