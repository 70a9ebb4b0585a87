"""What the desired states that a node shows prove: packages that a hub assigned, and may forget."""

from collections.abc import Sequence

import structlog
from tuf.api.metadata import Targets

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import UntrustedMetadata
from gnomon.runtime.trust.signed_state import verify_state

__all__ = ["find_proved"]

_log = structlog.get_logger(__name__)

#: How many desired states of one report are looked at.
_STATES = 16


def find_proved(targets: Targets, name: str, states: Sequence[hub_pb2.SignedState]) -> list[str]:
    """Return the digests of packages that were assigned to a node.

    A state that the keys of the metadata did not sign, or of another node, proves nothing.

    Args:
        targets: the verified top-level targets.
        name: of the node.
        states: as the node shows them, the newest last.
    """
    proved: list[str] = []
    for one in states[-_STATES:]:
        try:
            state = verify_state(one, targets, name)
        except UntrustedMetadata as error:
            _log.warning("state_of_node_refused", node=name, error=str(error))
            continue
        proved += [package.digest for package in state.packages]
    return proved
