"""Fetches packages' blobs from the hub."""

from gnomon.runtime.enrolment.hub_channel import HubChannel
from gnomon.runtime.errors import HubError
from gnomon.runtime.packages.slots import Slots

__all__ = ["ContentUnavailable", "fetch_blobs"]


class ContentUnavailable(HubError):
    """The hub does not send the content of a package; it may be mended there."""


def fetch_blobs(slots: Slots, digests: list[str], channel: HubChannel) -> None:
    """Fetch blobs from the hub into the slots.

    Raises:
        HubUnavailable: the connection was lost; blobs that arrived are kept.
        HubError: the hub sent another blob.
        ContentUnavailable: the hub lacks one of them.
    """
    wanted = set(digests)
    for digest, data in channel.blobs(digests):
        if digest not in wanted:
            raise HubError(f"the hub sent blob {digest[:80]!r}, which was not requested")
        slots.put(digest, data)
        wanted.discard(digest)
    if wanted:
        raise ContentUnavailable(
            f"the hub does not have blobs {sorted(wanted)[:3]} of a desired package"
        )
