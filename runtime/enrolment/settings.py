"""What enrolment at a hub needs: the name, the hub's address, and how to verify the hub."""

import re
from pathlib import Path
from typing import Protocol

from gnomon.runtime.packages.manifest import NAME_PATTERN

__all__ = ["EnrolmentSettings", "check_hub_address", "check_name", "enrolment_address"]


class EnrolmentSettings(Protocol):
    """The settings that a node and a builder share."""

    @property
    def name(self) -> str:
        """The name at the hub."""

    @property
    def data_folder(self) -> Path:
        """The folder of key and certificate."""

    @property
    def hub(self) -> str:
        """The hub's sync address, `host:port`."""

    @property
    def enrolment(self) -> str:
        """The hub's enrolment address; empty: the same host, one port below."""

    @property
    def token(self) -> str:
        """The one-time token; needed until there is a certificate."""

    @property
    def authority_file(self) -> Path | None:
        """The hub's authority (PEM)."""

    @property
    def authority_fingerprint(self) -> str:
        """The SHA-256 of the authority's certificate in hex, in place of the file."""


def check_name(name: str) -> None:
    """Raise ValueError for a name that no node or builder may have."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise ValueError(f"name {name[:80]!r} should match {NAME_PATTERN}")


def check_hub_address(hub: str) -> None:
    """Raise ValueError for a sync address that is not `host:port`."""
    if not hub.rpartition(":")[2].isdecimal():
        raise ValueError(f"hub should be host:port, got {hub!r}")


def enrolment_address(settings: EnrolmentSettings) -> str:
    """Return the address for enrolment."""
    host, _, port = settings.hub.rpartition(":")
    return settings.enrolment or f"{host}:{int(port) - 1}"
