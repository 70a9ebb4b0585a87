"""Reads the status of a node with a hub from its parts."""

from collections.abc import Sequence

from gnomon.edge.hub_reporter import HubReporter
from gnomon.edge.status import NodeStatus
from gnomon.edge.sync_executor import SyncExecutor
from gnomon.edge.telemetry.spool import Spool
from gnomon.edge.trust import NodeTrust
from gnomon.runtime.enrolment.enrolment import Enrolment
from gnomon.runtime.runtime import Runtime


def read_status(
    name: str,
    *,
    sync: SyncExecutor,
    runtime: Runtime,
    enrolment: Enrolment,
    reporter: HubReporter,
    spool: Spool,
    trust: NodeTrust,
    errors: Sequence[tuple[float, str]],
) -> NodeStatus:
    """Return what the node is doing now; any thread may call it.

    Args:
        name: of the node.
        sync: the installation.
        runtime: what is in service.
        enrolment: the certificate.
        reporter: what the last call said of the hub and the clock.
        spool: the telemetry that waits.
        trust: what is trusted.
        errors: time and text of each error that has not been followed by a success.
    """
    reported = sync.machine.reported()
    models = runtime.models
    validity = enrolment.validity
    last_error_at, last_error = max(errors, default=(0.0, ""))
    return NodeStatus(
        name=name,
        step=sync.machine.step.value,
        generation=reported.generation,
        refused_generation=reported.refused_generation,
        reason=reported.reason,
        models={
            route_name: tuple(models[one].reference for one in route.digests if one in models)
            for route_name, route in runtime.routes.items()
        },
        is_enrolled=enrolment.is_enrolled,
        is_hub_reachable=reporter.is_hub_reachable,
        last_error=last_error,
        spool=spool.figures(),
        last_error_at=last_error_at or None,
        clock_offset_seconds=reporter.clock_offset_seconds,
        certificate_expires_at=validity[1].timestamp() if validity else None,
        warnings=tuple(reporter.find_warnings().values()),
        refused={one.name: one.reason for one in sync.machine.state.refused},
        trust=trust.status,
    )
