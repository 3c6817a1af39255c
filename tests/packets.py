"""Nothing that a test does leaves the loopback interface.

An audit hook sees every socket of this process below all libraries, and no test can take it away. What
would send something out, a name to look up included, raises Left there, and is kept in `left`.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import Any

OWN_NAMES = {"", "localhost", socket.gethostname()}
left: list[tuple[str, object]] = []
"""What was tried, for tests that provoke it and for those that want to know that nobody did."""


class Left(BaseException):
    """A test tried to reach something that is not this machine. No `except Exception` hides it."""


def is_here(host: object) -> bool:
    """Whether a packet to `host`, or a question for its address, stays on this machine."""
    if host is None or host in OWN_NAMES or (isinstance(host, bytes) and host.decode() in OWN_NAMES):
        return True
    try:
        ip = ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host))
    except ValueError:
        return False
    return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback


def _host(event: str, arguments: tuple[Any, ...]) -> object:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        sock, address = arguments
        inet = sock.family in (socket.AF_INET, socket.AF_INET6) and address is not None
        return address[0] if inet else None
    return arguments[0]


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _WATCHED:
        return
    host = _host(event, arguments)
    if is_here(host) or (event in _LOOKUPS and _is_numeric(host)):
        return
    left.append((event, host))
    raise Left(f"{event} to {host!r}: tests stay on this machine")


def _is_numeric(host: object) -> bool:
    try:
        return bool(ipaddress.ip_address(str(host)))
    except ValueError:
        return False


_LOOKUPS = {"socket.getaddrinfo", "socket.gethostbyname"}
_WATCHED = _LOOKUPS | {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.gethostbyaddr"}


def watch() -> None:
    """From here on, until this process ends."""
    sys.addaudithook(_watch)
