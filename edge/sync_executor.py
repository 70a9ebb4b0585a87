"""Brings desired states into service: executes and resumes the steps of `gnomon.edge.sync`."""

import contextlib
import logging
import threading
from collections.abc import Callable

from gnomon.edge.installer import Installer
from gnomon.edge.partial_state import PackageRefusal
from gnomon.edge.step_thread import StepThread, StepUnderWay
from gnomon.edge.sync import SyncMachine
from gnomon.edge.sync_state import Step, SyncState
from gnomon.edge.trust import NodeTrust
from gnomon.proto import hub_pb2
from gnomon.runtime.enrolment.download import ContentUnavailable
from gnomon.runtime.enrolment.hub_channel import HubChannel
from gnomon.runtime.errors import ExpiredMetadata, GnomonError, HubUnavailable, StorageError
from gnomon.runtime.state_file import StateFile

_log = logging.getLogger(__name__)

#: Steps in which models are loaded and tried in this process.
_APART = (Step.STAGE, Step.WARM, Step.TRIAL)
#: How long one of them is waited for before the hub is called again.
_WAIT_SECONDS = 2.0
#: How long a step may take for each package, if nothing else is said.
_STEP_SECONDS = 300.0


class SyncExecutor:
    """Keeps the state of a node's installation and executes its steps; for one thread.

    Attributes:
        machine: decides the steps.
        ready: set once a route is in service.
    """

    def __init__(
        self,
        state_file: "StateFile[SyncState]",
        installer: Installer,
        trust: NodeTrust,
        record_event: Callable[[str, str], None],
        is_stopping: Callable[[], bool],
        step_seconds: float = 0.0,
        wait_seconds: float = _WAIT_SECONDS,
    ) -> None:
        """Read the state.

        Args:
            state_file: of the machine's state.
            installer: executes the steps.
            trust: decides whose packages count.
            record_event: records an event of a kind, with a detail.
            is_stopping: whether the node stops; its next start then continues the installation.
            step_seconds: how long a step that loads models may take for each package; 0: as usual.
            wait_seconds: how long such a step is waited for before the hub is called again.
        """
        self._steps = StepThread(wait_seconds)
        self._step_seconds = step_seconds or _STEP_SECONDS
        self._state_file = state_file
        self._installer = installer
        self._trust = trust
        self._record_event = record_event
        self._is_stopping = is_stopping
        self._has_resumed = False
        state = state_file.read()
        self._is_lost = state is None
        # Only these were in service once: what is installed later may be what is rejected.
        self._installed_at_start = installer.installed()
        self.machine = SyncMachine(state, lambda changed: state_file.write(changed.encode()))
        self.ready = threading.Event()

    @property
    def damage(self) -> str:
        """What was wrong with the file of the state when it was read; empty: nothing."""
        return self._state_file.damage

    @property
    def is_busy(self) -> bool:
        """Whether a step must end before another desired state is taken."""
        return not self.machine.is_open_to_news

    @property
    def overdue(self) -> str:
        """What takes longer than it may; empty: nothing. Any thread may ask."""
        return self._steps.overdue

    def join(self, seconds: float) -> None:
        """Wait for a step that loads models, at most this time."""
        self._steps.join(seconds)

    def _resume(self) -> None:
        """Decide, once after the start, with which step to continue; raise `StorageError`."""
        if not self._has_resumed:
            reason = self.machine.resume()
            self._has_resumed = True
            if reason:
                self._report_crashes(reason)

    def _report_crashes(self, reason: str) -> None:
        state = self.machine.state
        names = ", ".join(one.name for one in state.excluded or state.refused)
        _log.warning("%s; refused: %s", reason, names or "the whole desired state")
        self._record_event("refused", f"{names or 'the whole desired state'}: {reason}")

    def restore(self) -> None:
        """Serve, after a start, what was in service; say what cannot be served."""
        try:
            self._resume()
        except StorageError as error:
            _log.warning("%s", error)  # the packages in service do not depend on it
        failures = self._restore_in_service()
        if failures:
            _log.error("not all packages in service can be restored: %s", "; ".join(failures))
            self.machine.mark_incomplete("; ".join(failures))
            self._record_event("restore_failed", "; ".join(failures))
        self.note_revoked()
        if self._installer.has_routes:
            self.ready.set()

    def _restore_in_service(self) -> list[str]:
        """Serve the state in service, or what is there if that is lost; return what failed."""
        trust = self._trust.former_keys
        failures = self._installer.restore(self.machine.in_service, trust)
        is_lost = self._is_lost and not self.machine.state.in_service
        if (failures or is_lost) and not self._installer.has_routes:
            served = self._installer.restore_newest(self._installed_at_start, trust)
            if served or failures or self.damage:
                problem = self.damage or "what was in service is lost or cannot be restored"
                failures.append(f"{problem}; in service for now: {', '.join(served) or 'nothing'}")
        return failures

    def note_revoked(self) -> None:
        """Say once which packages stay in service although no key signed them that is trusted."""
        before = self._trust.revoked
        revoked = self._trust.note_in_service(self.machine.in_service.packages)
        if revoked and revoked != before:
            text = f"{', '.join(revoked)}: in service, signed by no key that is trusted now"
            _log.warning("%s", text)
            self._record_event("in_service_untrusted", text)

    def complete_interrupted(self, channel: HubChannel) -> GnomonError | None:
        """Continue steps that a write that failed cut off; return why they cannot be completed.

        The hub is informed even if they cannot.
        """
        try:
            self._resume()
            step = self.machine.step
            is_open = self.machine.is_open_to_news or step is Step.REPORT
            if step is Step.EXAMINE or not is_open:
                self.install(channel)
        except GnomonError as error:
            return error
        return None

    def install(self, channel: HubChannel) -> None:
        """Execute steps until the proposed state is in service or rejected, or is examined.

        While packages are examined apart, or models loaded, the hub is called between two calls of
        this.

        Raises:
            HubUnavailable: the hub cannot be reached; the installation continues later.
            StorageError: the disk cannot be written; the interrupted step is executed again.
        """
        machine = self.machine
        while machine.step not in (Step.IDLE, Step.REPORT):
            if self._is_stopping() and machine.step not in (Step.COMMIT, Step.ROLLBACK):
                machine.hold("the node was stopped")
                return
            try:
                self._execute_step(machine.step, channel)
            except StepUnderWay:
                return
            except Exception as error:
                self._handle_failure(error)
                continue
            is_committed = machine.step is Step.COMMIT
            machine.advance()
            if is_committed:
                self._record_event("installed", f"generation {machine.in_service.generation}")
                self.note_revoked()
        if machine.step is Step.REPORT:
            self._installer.remove_unused(machine.in_service)

    def _handle_failure(self, error: Exception) -> None:
        """Reject the generation, or raise `error` if the step is to be executed again."""
        step = self.machine.step
        if step in (Step.COMMIT, Step.ROLLBACK):
            raise error
        if isinstance(error, HubUnavailable | StorageError | ExpiredMetadata):
            with contextlib.suppress(StorageError):  # then this very step is executed again
                self.machine.hold(str(error))
            raise error
        if step is Step.TRIAL:  # before anything is written, which a full disk may prevent
            self._restore_in_service()
        self._reject_generation(error)

    def _execute_step(self, step: Step, channel: HubChannel) -> None:
        if step is Step.ROLLBACK:
            self._restore_in_service()
        elif step is Step.COMMIT:
            self.ready.set()
        else:
            desired = self.machine.desired
            if step is Step.CHECK:
                in_service = [package.digest for package in self.machine.in_service.packages]
                for package in self._installer.each(desired.packages):
                    self._trust.check([package], in_service)
            trust = self._trust.former_keys

            def execute() -> None:
                self._installer.execute_step(step, desired, channel, trust)

            if step not in _APART:
                execute()
                return
            name = f"{step.name} of generation {desired.generation}"
            self._steps.run(execute, name, self._step_seconds * max(1, len(desired.packages)))

    def _reject_generation(self, error: Exception) -> None:
        """Reject the generation, or only the package or route that is at fault."""
        if not isinstance(error, GnomonError):
            _log.error("%s failed", self.machine.step.name, exc_info=error)
        where, generation = self.machine.step.name, self.machine.desired.generation
        reason = f"{where}: {error if isinstance(error, GnomonError) else type(error).__name__}"
        is_temporary = isinstance(error, ContentUnavailable)
        refusal = _refusal_of(self._installer.subject, reason, is_temporary)
        self.machine.fail(reason, refusal)
        if self.machine.step is not Step.ROLLBACK and refusal is not None:
            _log.warning("generation %d goes on without %s: %s", generation, refusal.name, reason)
            self._installer.unload_refused(refusal.digest, self.machine.in_service)
            self._record_event("refused", f"generation {generation}, {refusal.name}: {reason}")
            return
        _log.warning("generation %d rejected: %s", generation, reason)
        self._record_event("rolled_back", f"generation {generation}: {reason}")


def _refusal_of(
    subject: hub_pb2.PackageRef | str, reason: str, is_temporary: bool
) -> PackageRefusal | None:
    """Return the refusal of a package or of a route by its name; None if neither is named."""
    if isinstance(subject, str):
        return PackageRefusal(route=subject, reason=reason) if subject else None
    return PackageRefusal.of_package(subject, reason, is_temporary=is_temporary)
