"""The states of a rollout, and which may follow which.

PENDING → RUNNING (step by step) → COMPLETED | ROLLED_BACK | ABORTED
"""

import enum
from collections.abc import Mapping

from gnomon.runtime.errors import Conflict


class State(enum.StrEnum):
    """Where a rollout stands."""

    PENDING = "pending"  # asked for; no traffic yet
    RUNNING = "running"  # the candidate has a share of the traffic
    COMPLETED = "completed"  # the candidate is the version in service
    ROLLED_BACK = "rolled_back"  # a gate or a node refused the candidate
    ABORTED = "aborted"  # a person stopped it


#: The states in which a model's traffic belongs to a rollout; a model has at most one such.
ACTIVE = (State.PENDING, State.RUNNING)

_NEXT: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset({State.RUNNING, State.ROLLED_BACK, State.ABORTED}),
    State.RUNNING: frozenset({State.RUNNING, State.COMPLETED, State.ROLLED_BACK, State.ABORTED}),
    State.COMPLETED: frozenset(),
    State.ROLLED_BACK: frozenset(),
    State.ABORTED: frozenset(),
}


def check_transition(current: State, wanted: State, subject: str) -> None:
    """Refuse a step that the table of states does not have.

    Raises:
        Conflict: naming both states.
    """
    if wanted not in _NEXT[current]:
        raise Conflict(f"{subject} is {current} and cannot become {wanted}")
