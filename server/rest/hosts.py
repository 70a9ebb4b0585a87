"""Host names in requests, and which of them name this machine."""

import ipaddress
from urllib.parse import urlsplit

#: The names of this machine for local callers.
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


def host_of(url: str) -> str:
    """Return the host name in a URL, in lower case; empty if it has none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a port that is bound to a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
