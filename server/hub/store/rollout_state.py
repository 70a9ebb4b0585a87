"""The states of a rollout, and which may follow which.

PENDING → RUNNING (step by step) → COMPLETED | ROLLED_BACK | ABORTED
"""

import enum
from collections.abc import Mapping

from gnomon.runtime.errors import Conflict


class RolloutState(enum.StrEnum):
    """The state of a rollout."""

    PENDING = "pending"  # requested; no traffic yet
    RUNNING = "running"  # the candidate has a share of the traffic
    COMPLETED = "completed"  # the candidate is the version in service
    ROLLED_BACK = "rolled_back"  # a gate or a node refused the candidate
    ABORTED = "aborted"  # a person stopped it


#: The states in which a model's traffic belongs to a rollout; a model has at most one such.
ACTIVE = (RolloutState.PENDING, RolloutState.RUNNING)

_NEXT: Mapping[RolloutState, frozenset[RolloutState]] = {
    RolloutState.PENDING: frozenset(
        {RolloutState.RUNNING, RolloutState.ROLLED_BACK, RolloutState.ABORTED}
    ),
    RolloutState.RUNNING: frozenset(
        {
            RolloutState.RUNNING,
            RolloutState.COMPLETED,
            RolloutState.ROLLED_BACK,
            RolloutState.ABORTED,
        }
    ),
    RolloutState.COMPLETED: frozenset(),
    RolloutState.ROLLED_BACK: frozenset(),
    RolloutState.ABORTED: frozenset(),
}


def check_transition(current: RolloutState, wanted: RolloutState, subject: str) -> None:
    """Check that a transition is in the table of states.

    Raises:
        Conflict: naming both states.
    """
    if wanted not in _NEXT[current]:
        raise Conflict(f"{subject} is {current} and cannot become {wanted}")
