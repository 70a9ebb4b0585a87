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


def host_of_header(header: str) -> str:
    """Return the host name in a Host header; empty if it is no plain name with a port at most."""
    try:
        parts = urlsplit(f"//{header}")
    except ValueError:
        return ""
    if parts.netloc != header or "@" in header:
        return ""
    return (parts.hostname or "").lower()


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a port that is bound to a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
