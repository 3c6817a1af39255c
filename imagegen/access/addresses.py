"""The address of the client, behind the proxies that are trusted and no others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NOBODY = "0.0.0.0"  # noqa: S104 - a Unix socket has no peer address; such clients share one


def client_address(request: HttpRequest) -> str:
    """The peer's address or, where the peer is a trusted proxy, the one that it vouches for.

    That is the right-most `X-Forwarded-For` entry which is no trusted proxy itself. Whatever does not
    parse leaves the peer's address. Of IPv6 it is the first address of the /64: that is what one client
    is given, and it may use a new address for each request.
    """
    address = _vouched_for(request)
    return NOBODY if address is None else _as_one_client(address)


def comes_from(request: HttpRequest, networks: Sequence[str]) -> bool:
    """Whether the client's own address, as `client_address` finds it, lies in one of the networks."""
    address = _vouched_for(request)
    return address is not None and _is_in(address, parse_networks(tuple(networks)))


def comes_from_trusted_proxy(request: HttpRequest) -> bool:
    """Whether the peer itself is one of EASEL_TRUSTED_PROXIES."""
    peer = _parse(request.META.get("REMOTE_ADDR", ""))
    return peer is not None and _is_in(peer, parse_networks(tuple(settings.EASEL_TRUSTED_PROXIES)))


def _vouched_for(request: HttpRequest) -> Address | None:
    peer = _parse(request.META.get("REMOTE_ADDR", ""))
    trusted = parse_networks(tuple(settings.EASEL_TRUSTED_PROXIES))
    if peer is None or not _is_in(peer, trusted):
        return peer
    for entry in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        address = _parse(entry)
        if address is None:
            break
        if not _is_in(address, trusted):
            return address
    return peer


@lru_cache(maxsize=8)
def parse_networks(entries: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and networks as networks. Raises ValueError for anything else."""
    return tuple(ip_network(entry, strict=False) for entry in entries)


_read = lru_cache(maxsize=1_000)(ip_address)
"""Keeps what parses, so nothing long."""


def _parse(text: str) -> Address | None:
    try:
        address = _read(text.strip().partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _as_one_client(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((address, 64), strict=False).network_address)


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)
