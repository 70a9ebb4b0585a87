"""The hub's tables.

Times are Unix milliseconds. Ids are ULIDs (`clock.new_id`) if a person or a URL names the row;
`position` is a counter that only rises, for readers that follow a table as a stream. Long values
without columns of their own are JSON.
"""

from gnomon.server.hub.store.tables.access import (
    principal,
    role_grant,
    session,
    token,
    trusted_key,
)
from gnomon.server.hub.store.tables.column_types import PRODUCTION, metadata
from gnomon.server.hub.store.tables.fleet import (
    IS_UNREAD,
    daily,
    event,
    node,
    receipt,
    refusal,
    tally,
    window,
)
from gnomon.server.hub.store.tables.monitoring import (
    alert,
    alert_node,
    detector_state,
    drift,
    incident,
    incident_note,
    label,
    label_total,
    loss,
    prediction,
    silence,
)
from gnomon.server.hub.store.tables.records import audit, counter, delivery, webhook
from gnomon.server.hub.store.tables.rollout import (
    IS_ACTIVE,
    environment,
    placement,
    rollout,
    rollout_step,
)
from gnomon.server.hub.store.tables.trust import trust_metadata
from gnomon.server.hub.store.tables.versions import (
    alias,
    approval,
    blob,
    decommission,
    run,
    run_package,
    tag,
    version,
)

__all__ = [
    "IS_ACTIVE",
    "IS_UNREAD",
    "PRODUCTION",
    "alert",
    "alert_node",
    "alias",
    "approval",
    "audit",
    "blob",
    "counter",
    "daily",
    "decommission",
    "delivery",
    "detector_state",
    "drift",
    "environment",
    "event",
    "incident",
    "incident_note",
    "label",
    "label_total",
    "loss",
    "metadata",
    "node",
    "placement",
    "prediction",
    "principal",
    "receipt",
    "refusal",
    "role_grant",
    "rollout",
    "rollout_step",
    "run",
    "run_package",
    "session",
    "silence",
    "tag",
    "tally",
    "token",
    "trust_metadata",
    "trusted_key",
    "version",
    "webhook",
    "window",
]
