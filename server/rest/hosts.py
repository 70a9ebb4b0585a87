"""Names of machines in requests, and which of them are this one."""

from urllib.parse import urlsplit

#: What a caller on this machine calls it.
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


def host_of(url: str) -> str:
    """Return the machine's name in a URL, in lower case; empty where there is none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
