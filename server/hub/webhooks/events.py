"""Events of webhooks, made from records of the audit chain.

The chain is the queue's source. A change and its record commit together, so every event that is
sent happened, and every one that happened is sent, however the hub ends.
"""

import fnmatch
from collections.abc import Mapping, Sequence

from gnomon.runtime.errors import InvalidInput

ALL = "*"

#: Action in the audit chain → event.
EVENTS: Mapping[str, str] = {
    "publish": "version.published",
    "approve": "version.approved",
    "withdraw_approval": "version.approval_withdrawn",
    "place": "version.placed",
    "retire": "version.retired",
    "decommission": "version.decommissioned",
    "start_rollout": "rollout.started",
    "advance_rollout": "rollout.advanced",
    "complete_rollout": "rollout.completed",
    "roll_back": "rollout.rolled_back",
    "abort_rollout": "rollout.aborted",
    "pause_rollout": "rollout.paused",
    "resume_rollout": "rollout.resumed",
    "promote_rollout": "rollout.promoted",
    "retry_rollout": "rollout.retried",
    "open_alert": "alert.opened",
    "resend_alert": "alert.opened",  # its silence has ended
    "acknowledge_alert": "alert.acknowledged",
    "close_alert": "alert.closed",
    "open_incident": "incident.opened",
    "resolve_incident": "incident.resolved",
}

#: The event of a test, which is of no record of the chain.
TEST = "alert.test"


def check_events(wanted: Sequence[str]) -> list[str]:
    """Return event names, or `*`, or patterns such as `rollout.*`, each once.

    Raises:
        InvalidInput: if one matches no event.
    """
    for one in wanted:
        if not fnmatch.filter(EVENTS.values(), one):
            names = ", ".join(dict.fromkeys(EVENTS.values()))
            raise InvalidInput(f"{one[:80]!r} is no event; there are {names}")
    return list(dict.fromkeys(wanted)) or [ALL]


def is_wanted(event: str, subject: str, wanted: Sequence[str], models: str) -> bool:
    """Whether an event about a subject (`model` or `model@version`) is among those wanted.

    Args:
        event: such as `version.published`.
        subject: `model` or `model@version`.
        wanted: patterns of events.
        models: pattern of the model's name.
    """
    model = subject.partition("@")[0]
    return fnmatch.fnmatchcase(model, models) and any(
        fnmatch.fnmatchcase(event, one) for one in wanted
    )
