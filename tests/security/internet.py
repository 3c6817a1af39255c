"""A resolver and an internet of the test's own, in place of the system's.

What the product would connect to is written down; where a server of the test stands for that address the
connection ends there, and otherwise it is refused. No address of the outside is ever dialled.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Any

from imagegen.engines.connections import TimedSocket
from tests.fakes.server import FakeServer, Request, Response, picture

PUBLIC, PUBLIC6 = "93.184.216.34", "2606:2800:220:1::1"

_getaddrinfo, _connect = socket.getaddrinfo, TimedSocket.connect


class Pictures(FakeServer):
    """Somewhere on the internet: a picture at every path, and before it the redirects that are set."""

    def __init__(self) -> None:
        super().__init__()
        self.redirects: list[str] = []

    def reply(self, request: Request) -> Response:
        if self.redirects:
            return Response(302, b"", {"location": self.redirects.pop(0)})
        return Response(200, picture(40, 30), {"content-type": "image/png"})


@dataclass
class Internet:
    """Names lead to addresses, or to another name as a CNAME does. `answers` come first, one by one."""

    names: dict[str, list[str] | str] = field(default_factory=dict)
    answers: dict[str, list[list[str]]] = field(default_factory=dict)
    servers: dict[str, FakeServer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    dialled: list[str] = field(default_factory=list)

    def getaddrinfo(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """As `socket.getaddrinfo`, to which numbers in every spelling are addresses."""
        flags = socket.AI_NUMERICHOST
        return [
            entry
            for address in self._resolve(host.removesuffix("."))
            for entry in _getaddrinfo(address, port, 0, socket.SOCK_STREAM, 0, flags)
        ]

    def _resolve(self, name: str) -> list[str]:
        if address := _as_number(name):
            return [address]
        self.asked.append(name)
        if self.answers.get(name):
            return self.answers[name].pop(0)
        known = self.names.get(name)
        if known is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self._resolve(known) if isinstance(known, str) else known

    def connect(self, sock: TimedSocket, address: tuple[Any, ...]) -> None:
        self.dialled.append(address[0])
        server = self.servers.get(address[0])
        if server is None:
            raise ConnectionRefusedError("nobody is there")
        host, port = server._server.server_address[:2]
        mapped = f"::ffff:{host!s}" if sock.family == socket.AF_INET6 else host
        _connect(sock, (mapped, port))


def _as_number(host: str) -> str | None:
    """As the C library reads it: `0x7f.1` and `2130706433` are 127.0.0.1."""
    try:
        return str(IPv6Address(host)) if ":" in host else socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, ValueError):
        return None
