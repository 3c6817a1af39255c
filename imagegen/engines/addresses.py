"""Where a URL leads, and whether it may be followed there.

Engines answer with URLs, and people give them. Behind each could be our own network: another engine, a
cloud's metadata service, a database. A URL is therefore parsed once, its name and port are judged, its
host is looked up once, every address found is judged, and the connection is made to an address that was
judged: nobody looks the name up again in between.

A connection's own server may be anywhere but at a cloud's metadata service, where no engine lives and
credentials do.
"""

from __future__ import annotations

import queue
import re
import socket
import threading
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

DEFAULT_PORTS = {"http": 80, "https": 443}
LONGEST_URL = 8192
WEB_PORTS = frozenset({80, 443, 8000, 8080, 8443})
"""Where strangers' pictures are. Elsewhere are mail, databases and whatever else takes text from us."""

LONGEST_NAME = 253
_NAME = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?"
)

PRIVATE_NAMES = frozenset(
    [
        "alt",
        "arpa",
        "corp",
        "home",
        "internal",
        "intranet",
        "invalid",
        "lan",
        "local",
        "localdomain",
        "localhost",
        "onion",
        "private",
    ]
)
"""Last labels that mean something inside of a network or nothing at all, whatever a resolver says:
RFC 6761, 6762, 7686, 8375 and 9476, ICANN's `internal` (where clouds keep their metadata), and common use."""

METADATA = tuple(
    ip_network(text)
    for text in (
        "169.254.0.0/16",  # AWS, Azure, Google, and most that followed them
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure's own agent
        "192.0.0.192/32",  # Oracle
        "fd00:ec2::/32",  # AWS
        "fd20:ce::254/128",  # Google
        "fe80::/10",
    )
)
"""Where clouds answer virtual machines, credentials among the answers."""

NAT64 = ip_network("64:ff9b::/96")
GLOBAL_UNICAST = ip_network("2000::/3")
NOT_PUBLIC = tuple(
    ip_network(text)
    for text in (
        "168.63.129.16/32",  # Azure answers virtual machines here, from a public address
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata service
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # protocol assignments: Teredo and ORCHID carry other addresses inside
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",  # documentation
    )
)

SocketAddress = tuple[Any, ...]
"""What `socket.connect` takes: `(host, port)`, or for IPv6 `(host, port, flow, scope)`."""


class Forbidden(ValueError):
    """A URL that is not followed. Its text says why, and repeats no more than host and port."""


@dataclass(frozen=True)
class Target:
    """An http or https URL, taken apart. `host` has no brackets; `uri` is path and query, encoded."""

    scheme: str
    host: str
    port: int
    uri: str

    @classmethod
    @lru_cache(maxsize=256)
    def parse(cls, url: str) -> Target:
        """Raises Forbidden for anything but a plain http(s) URL.

        A host that ends in a number must be an IPv4 address in four decimal parts: `127.1`,
        `0x7f000001`, `2130706433` and `0177.0.0.1` mean 127.0.0.1 to some parsers and not to others.
        """
        if len(url) > LONGEST_URL or "\\" in url or not url.isprintable() or " " in url:
            raise Forbidden("the URL is too long or holds characters that no URL has")
        try:
            parts = parse_url(url)
        except LocationParseError as error:
            raise Forbidden("the URL cannot be understood") from error
        if parts.scheme not in DEFAULT_PORTS:
            raise Forbidden("only http and https are followed")
        if set("@%") & set(re.split("[/?#]", url.partition("://")[2])[0]):
            raise Forbidden("the URL has a user name or an encoded host in it")
        host = (parts.host or "").removeprefix("[").removesuffix("]")
        port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
        if port == 0 or not (_is_address(host) or _is_name(host)):
            raise Forbidden("the URL has no usable host and port")
        if _ends_in_number(host) and not _is_address(host):
            raise Forbidden(f"{host} is an ambiguous way to write an address")
        return cls(parts.scheme, host, port, parts.request_uri)

    @property
    def authority(self) -> str:
        """Host and port as the `Host` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """`scheme://host[:port]`, without the port where it is the scheme's own."""
        return f"{self.scheme}://{self.authority}"


def is_public(address: str) -> bool:
    """Whether an IP address lies on the public internet, and nowhere else by way of translation."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address) and ip not in GLOBAL_UNICAST:
        return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in NOT_PUBLIC)


@lru_cache(maxsize=256)
def is_metadata(address: str) -> bool:
    """Whether an IP address is one of a cloud's metadata services, also by way of IPv6."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or (IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else ip)
    return any(ip in network for network in METADATA)


def judge(target: Target) -> None:
    """What an outsider's URL may name, before anything is looked up. Raises Forbidden."""
    if target.port not in WEB_PORTS:
        raise Forbidden(f"port {target.port} is none of the web's")
    labels = target.host.removesuffix(".").split(".")
    if not _is_address(target.host) and (len(labels) == 1 or labels[-1] in PRIVATE_NAMES):
        raise Forbidden(f"{target.host} is not a public name")


def lookup(host: str, port: int) -> list[SocketAddress]:
    """The addresses of a host, as the system's resolver gives them. Raises OSError."""
    return [entry[4] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def addresses(target: Target, *, public_only: bool, timeout: float) -> list[SocketAddress]:
    """Where to connect to. Raises OSError, TimeoutError, and Forbidden when one address is a metadata
    service or, with `public_only`, when name, port or one address is not public.

    A name is looked up in a thread of its own, because a resolver cannot be told to hurry: past `timeout`
    seconds the thread is left to end by itself.
    """
    if public_only:
        judge(target)
    name = not _is_address(target.host)
    found = _lookup_in_time(target, timeout) if name else lookup(target.host, target.port)
    if any(is_metadata(address[0]) for address in found):
        raise Forbidden(f"{target.host} leads to a cloud's metadata service")
    if public_only and not all(is_public(address[0]) for address in found):
        raise Forbidden(f"{target.host} leads to an address that is not public")
    return found


def _lookup_in_time(target: Target, timeout: float) -> list[SocketAddress]:
    answers: queue.SimpleQueue[list[SocketAddress] | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put(lookup(target.host, target.port))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=run, name="lookup", daemon=True).start()
    try:
        found = answers.get(timeout=max(timeout, 0))
    except queue.Empty:
        raise TimeoutError("the name lookup took too long") from None
    if isinstance(found, UnicodeError):
        raise OSError("the host name cannot be looked up") from found
    if isinstance(found, Exception):
        raise found
    return found


def _is_name(host: str) -> bool:
    return len(host.removesuffix(".")) <= LONGEST_NAME and bool(_NAME.fullmatch(host))


@lru_cache(maxsize=256)
def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _ends_in_number(host: str) -> bool:
    last = host.removesuffix(".").rpartition(".")[2]
    return last.isdigit() or last.startswith("0x")
