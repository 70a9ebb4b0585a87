"""What a node reports to its hub with each call, and what the call says of hub and clock."""

import logging
import time
from collections.abc import Callable, Mapping

from gnomon.edge.node_warnings import find_warnings
from gnomon.edge.sync_executor import SyncExecutor
from gnomon.edge.telemetry.spool import Spool
from gnomon.edge.trust import NodeTrust
from gnomon.proto import hub_pb2
from gnomon.runtime.enrolment.enrolment import Enrolment
from gnomon.runtime.enrolment.hub_channel import HubChannel
from gnomon.runtime.errors import GnomonError, HubUnavailable
from gnomon.runtime.ids import now_ms
from gnomon.runtime.runtime import Runtime

_log = logging.getLogger(__name__)

#: How often the hub is asked whether it still has what it acknowledged.
_CHECK_SECONDS = 60.0
#: A hub takes facts of this length, with a margin for their name.
_WARNINGS_CHARACTERS = 1_000
#: Kinds of events of warnings of which the hub raises an alert.
_EVENT_KINDS = {"audit_chain": "audit_chain"}


class HubReporter:
    """Reports to the hub; one thread calls `exchange`, any thread may call the rest.

    Attributes:
        is_hub_reachable: whether the last report reached the hub.
        clock_offset_seconds: the hub's clock minus this machine's; None: not known.
    """

    def __init__(
        self,
        facts: Mapping[str, str],
        spool: Spool,
        runtime: Runtime,
        sync: SyncExecutor,
        trust: NodeTrust,
        enrolment: Enrolment,
        record_event: Callable[[str, str], None],
    ) -> None:
        """Report nothing yet.

        Args:
            facts: about the machine.
            spool: whose figures are reported.
            runtime: whose routes are reported.
            sync: whose state is reported.
            trust: reports its metadata.
            enrolment: explains calls that fail.
            record_event: records an event of a kind, with a detail.
        """
        self.is_hub_reachable = False
        self.clock_offset_seconds: float | None = None
        self._facts = facts
        self._spool = spool
        self._runtime = runtime
        self._sync = sync
        self._trust = trust
        self._enrolment = enrolment
        self._record_event = record_event
        self._calls = 0
        self._epoch = 0
        self._checked_at = -_CHECK_SECONDS
        self._warned: set[str] = set()
        self._has_lost = False

    @property
    def may_upload(self) -> bool:
        """Whether the hub is there, and has been shown what it has lost."""
        return self.is_hub_reachable and not self._has_lost

    def note_lost(self) -> None:
        """Show the hub with the next call what it gave this node: it has lost records."""
        self._has_lost = True

    def exchange(self, channel: HubChannel) -> hub_pb2.ExchangeResponse:
        """Report to the hub; this call alone decides whether the hub counts as reachable.

        Raises:
            HubUnavailable: the hub cannot be reached.
            GnomonError: the hub refused the node; the error is the hub's.
        """
        report = self._make_report()
        # What the upload learns while this call is under way is for the next one.
        has_lost, checked_at = self._has_lost, time.monotonic()
        checks = has_lost or checked_at - self._checked_at >= _CHECK_SECONDS
        if checks:
            report.acknowledged.update(self._spool.watermarks())
            report.known_states.extend(self._trust.known_states)
        sent_ms = now_ms()
        try:
            response = channel.exchange(report)
        except GnomonError as error:
            if isinstance(error, HubUnavailable):
                self.is_hub_reachable = False
            raise self._enrolment.explain_failure(error) from error
        self._enrolment.record_success()
        self.is_hub_reachable = True
        self._checked_at = checked_at if checks else self._checked_at
        if has_lost:
            self._has_lost = False
        for boot_id, watermark in response.watermarks.items():
            self._spool.rewind(boot_id, watermark)
        if response.hub_time_unix_ms:
            self.clock_offset_seconds = (
                response.hub_time_unix_ms - (sent_ms + now_ms()) / 2
            ) / 1000
        return response

    def note_epoch(self, epoch: int) -> None:
        """Ask with the next call what the hub has lost, if it was restored since."""
        if epoch != self._epoch:
            self._epoch, self._checked_at = epoch, -_CHECK_SECONDS

    def find_warnings(self) -> dict[str, str]:
        """Return what an operator should know, a sentence by kind of condition."""
        return find_warnings(
            self._spool.figures(),
            is_hub_reachable=self.is_hub_reachable,
            clock_offset_seconds=self.clock_offset_seconds,
            validity=self._enrolment.validity,
            damage=tuple(
                filter(None, (self._sync.damage, self._trust.damage, *self._enrolment.damage))
            ),
            audit_findings=self._trust.audit_findings,
            overdue=self._sync.overdue,
        )

    def _make_report(self) -> hub_pb2.ExchangeRequest:
        self._calls += 1
        figures = self._spool.figures()
        reported = self._sync.machine.reported()
        routes = self._runtime.routes.values()
        reported.digests.extend(sorted({d for route in routes for d in route.digests}))
        facts = dict(self._facts)
        if warnings := self._report_warnings():
            facts["warnings"] = "; ".join(warnings)[:_WARNINGS_CHARACTERS]
        request = hub_pb2.ExchangeRequest(
            boot=self._spool.boot_id,
            sequence=self._calls,
            reported=reported,
            spool=hub_pb2.SpoolFigures(
                records=figures.records,
                bytes=figures.bytes,
                merged=figures.merged,
                dropped=figures.dropped,
            ),
            facts=facts,
        )
        self._trust.write_into(request)
        return request

    def _report_warnings(self) -> list[str]:
        """Return all warnings; record each that is new as an event."""
        found = self.find_warnings()
        # What waits is in the spool's figures, and changes with each report.
        found.pop("telemetry_waiting", None)
        for kind in found.keys() - self._warned:
            _log.warning("%s", found[kind])
            self._record_event(_EVENT_KINDS.get(kind, "warning"), found[kind])
        self._warned = set(found)
        return list(found.values())
