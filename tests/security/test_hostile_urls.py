"""The address guard against URLs from people, from engines' answers and from redirects.

The resolver and what lies behind the addresses are the test's own. That nothing leaves this machine is
watched below all sockets, in `tests/packets.py`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Browser

from imagegen.engines.base import EngineConfig
from imagegen.engines.connections import TimedSocket
from imagegen.engines.errors import BadEngineResponse, EngineError
from imagegen.engines.http import Client, fetch
from imagegen.models import EngineConnection
from imagegen.sources import NO_PICTURE
from tests import packets
from tests.fakes.server import Request, Response
from tests.security.internet import PUBLIC, PUBLIC6, Internet, Pictures

NAMES: dict[str, list[str] | str] = {
    "pictures.example": [PUBLIC],
    "six.example": [PUBLIC6],
    "loopback.example": ["127.0.0.1"],
    "loopback6.example": ["::1"],
    "intranet.example": ["10.1.2.3"],
    "both.example": [PUBLIC, "10.1.2.3"],
    "both-other-way.example": ["192.168.1.1", PUBLIC],
    "both-kinds.example": [PUBLIC, "::1"],
    "six-then-private.example": [PUBLIC6, "fd00::1"],
    "link-local.example": ["169.254.169.254"],
    "unspecified.example": ["0.0.0.0"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "sixtofour.example": ["2002:7f00:1::1"],
    "teredo.example": ["2001:0:53aa:64c:0:0:80ff:fffe"],
    "carrier.example": ["100.64.0.1"],
    "multicast.example": ["224.0.0.251"],
    "chain.example": "second.chain.example",
    "second.chain.example": "third.chain.example",
    "third.chain.example": ["172.16.0.1"],
    "chain-to-metadata.example": "link-local.example",
    # A resolver that lies about names that mean something inside.
    "localhost": [PUBLIC],
    "sub.localhost": [PUBLIC],
    "localhost.localdomain": [PUBLIC],
    "metadata": [PUBLIC],
    "instance-data": [PUBLIC],
    "litellm": [PUBLIC],
    "kubernetes.default.svc.cluster.local": [PUBLIC],
    "metadata.google.internal": [PUBLIC],
    "instance-data.ec2.internal": [PUBLIC],
    "printer.local": [PUBLIC],
    "router.lan": [PUBLIC],
    "wiki.corp": [PUBLIC],
    "nas.home.arpa": [PUBLIC],
    "hidden.onion": [PUBLIC],
}

SCHEMES = [
    *(
        "file:///etc/passwd",
        "file://localhost/etc/passwd",
        "FILE:///etc/passwd",
        "ftp://pictures.example/a.png",
    ),
    *(
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "dict://127.0.0.1:11211/stats",
        "ldap://127.0.0.1/",
        "tftp://127.0.0.1/x",
    ),
    *(
        "unix:///var/run/docker.sock",
        "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
        "jar:http://127.0.0.1!/x",
    ),
    *(
        "javascript:alert(1)",
        "netdoc:///etc/passwd",
        "view-source:http://127.0.0.1/",
        "blob:http://127.0.0.1/1",
    ),
    *("ws://127.0.0.1/", "httpx://127.0.0.1/", "http:", "http:/", "https:///", "http:///etc/passwd"),
]  # fmt: skip
SPELLINGS = [
    # User names, and what some parsers take for the host.
    *("http://public@127.0.0.1/", "http://pictures.example@127.0.0.1/"),
    "http://pictures.example:80@127.0.0.1/",
    *("http://user:secret@pictures.example/", "http://@pictures.example/", "http://:@pictures.example/"),
    *("http://127.0.0.1#@pictures.example/", "http://127.0.0.1?@pictures.example/"),
    *("http://127.0.0.1\\@pictures.example/", "http://pictures.example\\@127.0.0.1/"),
    *("http:\\\\127.0.0.1\\a.png", "\\\\127.0.0.1\\share", "http:/\\127.0.0.1/", "http://127.0.0.1\\a.png"),
    # White space, control and invisible characters.
    *("http://127.0.0.1\t/", "http://127.0.0.1\n/", "http://pictures.example\r\nHost: 127.0.0.1/"),
    *("ht\ttp://127.0.0.1/", "http://pictures.example /a.png", " http://127.0.0.1/", "\thttp://127.0.0.1/"),
    *("http://127.0.0.1\u200b/", "http://\u00ad127.0.0.1/", "http://pictures.example/\u202egnp.a"),
    "http://\u3000127.0.0.1/",
    # Encoded hosts, and zones.
    *("http://%31%32%37.0.0.1/", "http://127%2e0.0.1/", "http://%6c%6fcalhost/"),
    "http://pictures.example%2f@127.0.0.1/",
    *("http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[::1%25lo]/"),
    "http://[2606:2800:220:1::1%25lo]/",
    # Hosts that are none.
    *("http://[::1/", "http://::1/", "http://[]/", "http://.../", "http://./", "http://-/", "http://:80/"),
    *("http://[v1.127.0.0.1]/", "http://[127.0.0.1]/", "http://[::1]pictures.example/"),
    "http://pictures..example/",
    *(f"http://{'a' * 64}.example/", f"http://{'a.' * 140}example/", f"http://pictures.example/{'a' * 9000}"),
    *("http://pictures.example,127.0.0.1/", "http://pictures.example;127.0.0.1/", "http://{127.0.0.1}/"),
    # Other digits, dots and slashes.
    *("http://１２７.０.０.１/", "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/", "http://127．0．0．1/"),
    "http://127｡0｡0｡1/",
    *("http://१२७.०.०.१/", "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "http://ｌｏｃａｌｈｏｓｔ/"),
    *("http://loc\u0430lhost\uff0f.example/", "http://127.0.0.1／a.png"),
]  # fmt: skip
PORTS = [
    *("http://pictures.example:0/", "http://pictures.example:22/", "http://pictures.example:25/"),
    *("http://pictures.example:110/", "http://pictures.example:3306/", "http://pictures.example:6379/"),
    *("http://pictures.example:11211/", "http://pictures.example:65535/", "http://pictures.example:65536/"),
    *(
        "http://pictures.example:99999999999/",
        "http://pictures.example:-80/",
        "http://pictures.example:http/",
    ),
    *("http://pictures.example:80:80/", "http://pictures.example:０/", "http://pictures.example:8188/"),
]  # fmt: skip
NUMBERS = [
    *("http://2130706433/", "http://3232235777/", "http://2852039166/", "http://4294967295/", "http://0/"),
    "http://1/",
    *("http://0177.0.0.1/", "http://017700000001/", "http://0300.0250.0.1/", "http://127.0.0.01/"),
    "http://0251.0376.0251.0376/",
    *("http://0x7f000001/", "http://0x7f.0x0.0x0.0x1/", "http://0X7F.1/", "http://0xa9fea9fe/"),
    "http://0x7f.0.0.1/",
    *("http://127.1/", "http://127.0.1/", "http://10.1/", "http://192.168.257/", "http://169.254.43518/"),
    "http://0x7f.1/",
    *("http://127.0.0.1.0x7f/", "http://256.256.256.256/", "http://127.0.0.256/", "http://1.2.3.4.5/"),
    "http://127.0.0.1./",
]  # fmt: skip
ADDRESSES = [
    *("http://127.0.0.1/", "http://127.0.0.1:8080/", "https://127.0.0.1/", "http://127.255.255.254/"),
    "HTTP://127.0.0.1",
    *("http://0.0.0.0/", "http://0.1.2.3/", "http://10.0.0.1/", "http://172.16.0.1/"),
    "http://172.31.255.255/",
    *("http://192.168.0.1/", "http://100.64.0.1/", "http://100.127.255.254/", "http://169.254.1.1/"),
    "http://192.0.0.8/",
    *("http://192.0.2.1/", "http://192.88.99.1/", "http://198.18.0.1/", "http://198.19.255.255/"),
    "http://198.51.100.1/",
    *("http://203.0.113.1/", "http://224.0.0.1/", "http://239.255.255.250/", "http://240.0.0.1/"),
    "http://255.255.255.255/",
    *("http://[::]/", "http://[::1]/", "http://[0:0:0:0:0:0:0:1]/", "http://[::127.0.0.1]/"),
    "http://[::8.8.8.8]/",
    *("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::ffff:8.8.8.8]/"),
    "http://[::ffff:0:127.0.0.1]/",
    *("http://[64:ff9b::127.0.0.1]/", "http://[64:ff9b::a00:1]/", "http://[64:ff9b::808:808]/"),
    "http://[64:ff9b:1::a00:1]/",
    *("http://[2002:7f00:1::]/", "http://[2002:a00:1::1]/", "http://[2002:808:808::1]/", "http://[2001::1]/"),
    *("http://[2001:0:53aa:64c:0:0:80ff:fffe]/", "http://[2001:db8::1]/", "http://[2001:20::1]/"),
    "http://[3fff::1]/",
    *("http://[fc00::1]/", "http://[fd12:3456::1]/", "http://[fe80::1]/", "http://[fec0::1]/"),
    *("http://[ff02::1]/", "http://[100::1]/"),
]  # fmt: skip
CLOUDS = [
    *("http://169.254.169.254/latest/meta-data/", "http://169.254.170.2/v2/credentials"),
    "http://168.63.129.16/",
    *("http://100.100.100.200/latest/meta-data/", "http://192.0.0.192/opc/v1/", "http://[fd00:ec2::254]/"),
    "http://[fd20:ce::254]/",
    *("http://[::ffff:169.254.169.254]/", "http://[64:ff9b::a9fe:a9fe]/"),
    "http://metadata.google.internal/computeMetadata/v1/",
    *("http://metadata/", "http://instance-data/latest/", "http://instance-data.ec2.internal/"),
    "http://metadata.google.internal./",
]  # fmt: skip
HOSTS = [
    *("http://localhost/", "http://LOCALHOST/", "http://localhost./", "http://sub.localhost/"),
    "http://localhost:8080/",
    *("http://localhost.localdomain/", "http://litellm/", "http://kubernetes.default.svc.cluster.local/"),
    "http://hidden.onion/",
    *("http://printer.local/", "http://router.lan/", "http://wiki.corp/", "http://nas.home.arpa/"),
    "http://nobody-knows.example/",
    *(f"http://{name}/a.png" for name, found in NAMES.items() if found not in ([PUBLIC], [PUBLIC6])),
    "http://intranet.example./",
]  # fmt: skip
HOSTILE = [*SCHEMES, *SPELLINGS, *PORTS, *NUMBERS, *ADDRESSES, *CLOUDS, *HOSTS]


def test_there_are_many_and_none_twice() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE) >= 130


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    """One public server, at a public address of each kind and behind two names."""
    with Pictures() as server:
        internet = Internet(dict(NAMES), servers={PUBLIC: server, PUBLIC6: server})
        monkeypatch.setattr(socket, "getaddrinfo", internet.getaddrinfo)
        monkeypatch.setattr(TimedSocket, "connect", lambda sock, address: internet.connect(sock, address))
        yield internet


@pytest.fixture
def public(internet: Internet) -> Pictures:
    server = internet.servers[PUBLIC]
    assert isinstance(server, Pictures)
    return server


def as_location(url: str) -> str:
    """The same bytes as UTF-8 has them, for a header."""
    return url.encode().decode("latin-1")


IN_A_HEADER = [url for url in HOSTILE if "\n" not in url]


OURS = "http://engine.internal:8188"


class TestFromPeople:
    """POST edit, with a URL as the source."""

    @pytest.fixture(autouse=True)
    def editing(self, select: Callable[..., EngineConnection]) -> None:
        select("ours", "automatic1111", "edit", base_url=OURS, trusted_origins=["http://10.1.2.3"])

    @pytest.fixture
    def refusal(self, api: Browser) -> Callable[[str], Any]:
        def run(url: str) -> Any:
            body = {"image": url, "prompt": "A hat"}
            answer = api.post("/api/images/edit", body, content_type="application/json")
            assert answer.status_code == 400, answer.content
            return answer.json()

        return run

    @pytest.mark.parametrize("url", HOSTILE)
    def test_every_one_is_refused_in_the_same_words(
        self, internet: Internet, refusal: Callable[[str], Any], url: str
    ) -> None:
        assert refusal(url) == {
            "detail": f"image: {NO_PICTURE}",
            "code": "invalid",
            "errors": {"image": [NO_PICTURE]},
        }
        assert not internet.dialled

    @pytest.mark.parametrize("url", IN_A_HEADER)
    def test_so_is_a_redirect_to_it(
        self, internet: Internet, public: Pictures, refusal: Callable[[str], Any], url: str
    ) -> None:
        public.redirects = [as_location(url)]
        assert refusal("http://pictures.example/1")["errors"] == {"image": [NO_PICTURE]}
        assert internet.dialled == [PUBLIC]
        assert len(public.requests) == 1

    def test_and_one_behind_several_redirects_in_public(
        self, internet: Internet, public: Pictures, refusal: Callable[[str], Any]
    ) -> None:
        public.redirects = ["http://six.example/2", "//pictures.example:8080/3", "http://intranet.example/"]
        assert refusal("http://pictures.example/1")["errors"] == {"image": [NO_PICTURE]}
        assert internet.dialled == [PUBLIC, PUBLIC6, PUBLIC]

    @pytest.mark.parametrize(
        "url", [f"{OURS}/view", f"{OURS}/", "http://10.1.2.3/a.png", "http://10.0.0.5:8188/"]
    )
    def test_an_engines_own_and_trusted_origins_are_no_exception(
        self, internet: Internet, public: Pictures, refusal: Callable[[str], Any], url: str
    ) -> None:
        internet.names["engine.internal"] = [PUBLIC]
        assert refusal(url)["errors"] == {"image": [NO_PICTURE]}
        public.redirects = [url]
        assert refusal("http://pictures.example/1")["errors"] == {"image": [NO_PICTURE]}
        assert internet.dialled == [PUBLIC]

    def test_a_name_that_turns_private_after_it_was_judged_is_not_asked_again(
        self, internet: Internet, public: Pictures, refusal: Callable[[str], Any]
    ) -> None:
        internet.answers["rebinding.example"] = [[PUBLIC], ["10.1.2.3"]]
        public.redirects = ["http://rebinding.example/2"]
        refusal("http://rebinding.example/1")
        assert internet.asked == ["rebinding.example"] * 2, "once for each hop"
        assert internet.dialled == [PUBLIC]

    def test_what_is_public_is_fetched(
        self, internet: Internet, public: Pictures, refusal: Callable[[str], Any]
    ) -> None:
        """So that the refusals above are the guard's. What is missing here is only the engine."""
        internet.names["engine.internal"] = ["10.0.0.5"]
        for url in (
            "http://pictures.example/1",
            "http://six.example:8080/1",
            f"http://{PUBLIC}/",
            "http://pictures.example./",
        ):
            public.redirects = ["http://six.example/2", "/3"]
            internet.dialled.clear()
            answer = refusal(url)
            assert answer["code"] == "engine_unavailable", answer
            assert len(internet.dialled) >= 3


class TestFromAnEngine:
    """A picture's URL in the answer of an engine, whose own origin is private."""

    @pytest.fixture
    def engine(self, internet: Internet) -> Iterator[Pictures]:
        with Pictures() as server:
            internet.names["engine.internal"] = ["10.0.0.5"]
            internet.servers["10.0.0.5"] = server
            yield server

    @pytest.fixture
    def fetch_picture(self, engine: Pictures, tmp_path: Path) -> Iterator[Callable[[str], None]]:
        client = Client(EngineConfig("ours", f"{OURS}/v1"))
        yield lambda url: client.fetch_picture(url, tmp_path / "0.picture")

    @pytest.mark.parametrize("url", HOSTILE)
    def test_every_one_is_refused(
        self, internet: Internet, fetch_picture: Callable[[str], None], tmp_path: Path, url: str
    ) -> None:
        with pytest.raises(EngineError) as caught:
            fetch_picture(url)
        assert caught.value.may_have_charged
        assert not internet.dialled
        assert not any(tmp_path.iterdir())

    @pytest.mark.parametrize("by", ["own", "public"])
    @pytest.mark.parametrize("url", IN_A_HEADER)
    def test_so_is_a_redirect_to_it(
        self,
        internet: Internet,
        engine: Pictures,
        public: Pictures,
        fetch_picture: Callable[[str], None],
        url: str,
        by: str,
    ) -> None:
        start, server = (f"{OURS}/1", engine) if by == "own" else ("http://pictures.example/1", public)
        server.redirects = [as_location(url)]
        with pytest.raises(EngineError):
            fetch_picture(start)
        assert len(internet.dialled) == len(server.requests) == 1

    def test_its_own_origin_is_the_exception(
        self, internet: Internet, engine: Pictures, fetch_picture: Callable[[str], None]
    ) -> None:
        engine.redirects = ["/2", f"{OURS}/3"]
        fetch_picture(f"{OURS}/1?a=b")
        assert [request.path for request in engine.requests] == ["/1", "/2", "/3"]
        assert internet.dialled == ["10.0.0.5"] * 3

    def test_but_not_once_a_stranger_names_the_url(
        self, engine: Pictures, public: Pictures, fetch_picture: Callable[[str], None]
    ) -> None:
        public.redirects = [f"{OURS}/interrupt"]
        engine.redirects = ["http://pictures.example/2"]
        with pytest.raises(BadEngineResponse, match="usable") as caught:
            fetch_picture(f"{OURS}/1")
        assert "8188" in caught.value.detail
        assert [request.path for request in engine.requests] == ["/1"]

    @pytest.mark.parametrize(
        "url",
        [
            *("https://engine.internal:8188/", "http://engine.internal/", "http://engine.internal.:8188/"),
            *("http://10.0.0.5:8188/", "http://engine.internal:8189/", "http://sub.engine.internal:8188/"),
        ],
    )
    def test_another_spelling_of_its_origin_is_another_origin(
        self, internet: Internet, engine: Pictures, fetch_picture: Callable[[str], None], url: str
    ) -> None:
        with pytest.raises(EngineError):
            fetch_picture(url)
        assert not internet.dialled

    @pytest.mark.parametrize(
        "address",
        [
            *("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
            *("fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"),
        ],
    )
    def test_not_even_its_own_origin_may_be_a_clouds_metadata_service(
        self, internet: Internet, engine: Pictures, fetch_picture: Callable[[str], None], address: str
    ) -> None:
        internet.names["engine.internal"] = [address]
        with pytest.raises(BadEngineResponse):
            fetch_picture(f"{OURS}/1")
        with pytest.raises(BadEngineResponse):
            Client(EngineConfig("ours", OURS)).exchange("GET", "/models")
        assert not internet.dialled

    @pytest.mark.parametrize(
        "url", ["http://10.1.2.3/secret.png", "http://both.example/secret.png", "file:///secret.png"]
    )
    def test_users_are_not_told_where_it_led(
        self, internet: Internet, select: Callable[..., EngineConnection], api: Browser, url: str
    ) -> None:
        class Lies(Pictures):
            def reply(self, request: Request) -> Response:
                return Response.json({"data": [{"b64_json": None, "url": url}]})

        with Lies() as engine:
            internet.names["engine.internal"], internet.servers["10.0.0.5"] = ["10.0.0.5"], engine
            select("ours", "openai", "generate", base_url=OURS, default_model="m", key="sk-1")
            answer = api.post("/api/images/generations", {"prompt": "A hat"}, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_engine_response")
        assert not {"secret", "10.", "example", "file:"} & set(answer.content.decode().split())
        assert b"secret" not in answer.content and b"internal" not in answer.content
        assert internet.dialled == ["10.0.0.5"]


class TestTheWatch:
    """That the watch over packets would see one."""

    @pytest.mark.parametrize(
        "send",
        [
            lambda sock: sock.connect((PUBLIC, 80)),
            lambda sock: sock.connect_ex((PUBLIC, 80)),
            lambda sock: sock.sendto(b"x", (PUBLIC, 80)),
            lambda sock: sock.sendmsg([b"x"], [], 0, (PUBLIC, 80)),
            lambda sock: socket.getaddrinfo("pictures.example", 80),
            lambda sock: socket.gethostbyname("pictures.example"),
        ],
    )
    def test_it_stops_what_would_leave(self, send: Callable[[socket.socket], object]) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, pytest.raises(packets.Left):
            send(sock)
        assert packets.left
        packets.left.clear()

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_the_guard_alone_stands_between_a_url_and_the_network(self, tmp_path: Path) -> None:
        """Without a resolver and an internet of the test's own: the watch is what stops a good URL."""
        with pytest.raises(EngineError):
            fetch("http://pictures.example/1", tmp_path / "x", limit=9, deadline_at=time.monotonic() + 1)
        assert packets.left == [("socket.getaddrinfo", "pictures.example")]
        packets.left.clear()
