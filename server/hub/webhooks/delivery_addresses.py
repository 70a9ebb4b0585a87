"""Addresses to which webhooks may go, so that the hub cannot be used to reach its own network.

Public addresses need https. Loopback, and the networks that the hub's settings name, may have http.
All else (private and link-local addresses, metadata services of clouds) is refused, also if it is
written within an IPv6 address; so are the hub's own ports. The check is
repeated at each delivery, for the very address that is connected to, so a name that resolves to
another address meanwhile does not help.
"""

import ipaddress
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from gnomon.runtime.errors import InvalidInput

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Networks of IPv6 addresses that hold an IPv4 address, and its distance from their last bit.
_EMBEDDING: tuple[tuple[ipaddress.IPv6Network, int], ...] = (
    (ipaddress.IPv6Network("::/96"), 0),  # compatible (RFC 4291)
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),  # NAT64 (RFC 6052)
    (ipaddress.IPv6Network("64:ff9b:1::/48"), 0),  # NAT64 of a local network (RFC 8215)
    (ipaddress.IPv6Network("2002::/16"), 80),  # 6to4 (RFC 3056)
)
_IPV4_BITS = (1 << 32) - 1

_PORTS = {"http": 80, "https": 443}
_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class ResolvedUrl:
    """A URL and the one address to connect to."""

    url: SplitResult
    address: Address

    @property
    def connect_url(self) -> str:
        """Return the URL with the address in the host's place."""
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return self.url._replace(netloc=f"{host}:{port_of(self.url)}").geturl()


def check_url(url: str) -> SplitResult:
    """Return the parts of a webhook's URL.

    Raises:
        InvalidInput: if it is malformed.
    """
    try:
        parts = urlsplit(url)
        port_of(parts)
    except ValueError as error:
        raise InvalidInput(
            "a webhook's URL should be one, such as https://example.com/x"
        ) from error
    if (
        len(url) > _CHARACTERS
        or not url.isascii()
        or not url.isprintable()
        or parts.scheme not in _PORTS
        or not parts.hostname
        or parts.username is not None
        or parts.fragment
    ):
        raise InvalidInput(
            "a webhook's URL should be http or https, with a host, without user or fragment, and "
            f"of at most {_CHARACTERS} characters"
        )
    return parts


def resolve(
    parts: SplitResult, networks: Sequence[Network], own_ports: Collection[int] = ()
) -> ResolvedUrl:
    """Return the address to which a delivery may go.

    Args:
        parts: of the webhook's URL.
        networks: that are allowed besides loopback and public addresses.
        own_ports: the hub's own ports, which no delivery may call.

    Raises:
        InvalidInput: if the host has an address to which it may not.
        OSError: if the host's name is not known.
    """
    try:
        found = socket.getaddrinfo(parts.hostname, port_of(parts), type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise InvalidInput("a webhook's host is no name that there could be") from error
    addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
    for address in addresses:
        check_address(address, parts.scheme, networks)
        if port_of(parts) in own_ports and _is_here(address):
            raise InvalidInput("webhooks do not go to the hub itself")
    return ResolvedUrl(parts, addresses[0])


def check_address(address: Address, scheme: str, networks: Sequence[Network]) -> None:
    """Refuse an address that is neither public, loopback, nor in one of the networks.

    Raises:
        InvalidInput: it says what the hub's operator could change.
    """
    mapped = getattr(address, "ipv4_mapped", None) or address
    if mapped.is_loopback or any(mapped in network for network in networks):
        return
    if not all(one.is_global and not one.is_multicast for one in (mapped, *_embedded(mapped))):
        raise InvalidInput(
            f"webhooks do not go to {address}, which is no public address; the hub's setting "
            "webhook_networks may allow its network"
        )
    if scheme != "https":
        raise InvalidInput(f"webhooks go to public addresses such as {address} by https alone")


def _embedded(address: Address) -> list[ipaddress.IPv4Address]:
    """Return the IPv4 addresses to which an address may lead through a translator or tunnel."""
    if not isinstance(address, ipaddress.IPv6Address):
        return []
    found = [
        ipaddress.IPv4Address((int(address) >> shift) & _IPV4_BITS)
        for network, shift in _EMBEDDING
        if address in network
    ]
    return [*found, *(address.teredo or ())]


def _is_here(address: Address) -> bool:
    """Return whether an address is one of this machine: a socket can be bound to it."""
    family = socket.AF_INET6 if isinstance(address, ipaddress.IPv6Address) else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
        return True


def origin_of(url: str) -> str:
    """Return the origin of a URL, which may be shown; paths and queries often hold a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/…"


def port_of(parts: SplitResult) -> int:
    """Return the port of a URL."""
    return parts.port or _PORTS.get(parts.scheme, 0)
