"""What a node does next to become what the hub wants of it: decisions only, no input or output.

    IDLE → CHECK → DOWNLOAD → VERIFY → STAGE → WARM → TRIAL → COMMIT → REPORT → IDLE
              └────────┴─────────┴───────┴──────┴───────┴→ ROLLBACK → REPORT

The state is saved before each step is taken, so a crash at any instruction resumes. What was in
service stays in service until COMMIT has been passed. A desired state that failed is refused: it is
reported with its reason and not tried again; only a newer generation is. Steps in which a model may
take the whole process down (STAGE, WARM, TRIAL) are tried again after a crash, but not for ever.
"""

import enum
from typing import Self

import msgspec
from google.protobuf.message import DecodeError

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import GnomonError

#: How often a desired state may take the process down before it is refused.
CRASH_LIMIT = 3


class Step(enum.StrEnum):
    """What the node is about to do."""

    IDLE = "idle"
    CHECK = "check"  # signatures, formats, needs: before anything is fetched
    DOWNLOAD = "download"  # what is missing, by its hashes
    VERIFY = "verify"  # the packages as a whole, into their slots
    STAGE = "stage"  # load beside what is in service
    WARM = "warm"  # golden samples on the loaded models
    TRIAL = "trial"  # the new routes answer; the old ones are kept ready
    COMMIT = "commit"  # the old ones are given up
    ROLLBACK = "rollback"  # the old routes answer again
    REPORT = "report"  # the hub learns how it ended


_NEXT = {
    Step.CHECK: Step.DOWNLOAD,
    Step.DOWNLOAD: Step.VERIFY,
    Step.VERIFY: Step.STAGE,
    Step.STAGE: Step.WARM,
    Step.WARM: Step.TRIAL,
    Step.TRIAL: Step.COMMIT,
    Step.COMMIT: Step.REPORT,
    Step.ROLLBACK: Step.REPORT,
    Step.REPORT: Step.IDLE,
}
_MAY_FAIL = (Step.CHECK, Step.DOWNLOAD, Step.VERIFY, Step.STAGE, Step.WARM, Step.TRIAL)
_MAY_CRASH = (Step.STAGE, Step.WARM, Step.TRIAL, Step.COMMIT)
_OPEN_TO_NEWS = (Step.IDLE, Step.CHECK, Step.DOWNLOAD)

_WIRE_STATES = {
    step: hub_pb2.InstallState.Value(step.name) for step in Step if step is not Step.REPORT
} | {Step.REPORT: hub_pb2.InstallState.IDLE}


class IllegalTransition(GnomonError):
    """The node was told to leave a step in a way that the step does not know."""

    code = "internal"

    def __init__(self, step: Step, wanted: Step) -> None:
        super().__init__(f"a node cannot go from {step.name} to {wanted.name}")


class SyncState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that must survive a restart. The two states are serialized `DesiredState` messages."""

    step: Step = Step.IDLE
    in_service: bytes = b""
    desired: bytes = b""
    refused_generation: int = 0
    reason: str = ""
    crashes: int = 0

    def encode(self) -> bytes:
        """Return the state as JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` gave; damage gives the state of a node that knows nothing yet."""
        try:
            state = msgspec.json.decode(data, type=cls)
            _parse(state.in_service)
            _parse(state.desired)
        except (msgspec.DecodeError, DecodeError, ValueError):
            return cls()
        return state


def _parse(data: bytes) -> hub_pb2.DesiredState:
    message = hub_pb2.DesiredState()
    message.ParseFromString(data)
    return message


class SyncMachine:
    """Says which step comes next; the shell takes it and says how it went."""

    def __init__(self, state: SyncState | None = None) -> None:
        self.state = state or SyncState()
        self._incomplete = False

    @property
    def step(self) -> Step:
        """Return what is to be done now."""
        return self.state.step

    @property
    def in_service(self) -> hub_pb2.DesiredState:
        """Return what the node answers with, also after a restart."""
        return _parse(self.state.in_service)

    @property
    def desired(self) -> hub_pb2.DesiredState:
        """Return what is being put into service."""
        return _parse(self.state.desired)

    def resume(self) -> None:
        """Decide, after a restart, where to go on."""
        if self.step in _MAY_CRASH:
            crashes = self.state.crashes + 1
            self._change(crashes=crashes)
            if crashes >= CRASH_LIMIT:
                where = self.step.name
                self._refuse(f"the process ended {crashes} times, at last during {where}")
                return
        if self.step not in (Step.IDLE, Step.ROLLBACK, Step.REPORT):
            self._change(step=Step.CHECK)

    def propose(self, desired: hub_pb2.DesiredState) -> bool:
        """Take note of what the hub wants; return whether there is something to do about it.

        Only what is newer than all that was put into service, refused or is under way counts.

        Raises:
            IllegalTransition: a step is under way that must end first.
        """
        if self.step not in _OPEN_TO_NEWS:
            raise IllegalTransition(self.step, Step.CHECK)
        newest = max(self._generation(), self.desired.generation, self.state.refused_generation)
        if desired.generation <= newest:
            return self.step is not Step.IDLE
        self._change(step=Step.CHECK, desired=desired.SerializeToString(), crashes=0)
        return True

    def advance(self) -> None:
        """Go on: the step has been taken.

        Raises:
            IllegalTransition: there is nothing to be done.
        """
        following = _NEXT.get(self.step)
        if following is None:
            raise IllegalTransition(self.step, Step.CHECK)
        if self.step is Step.COMMIT:
            self._change(in_service=self.state.desired, desired=b"", reason="", crashes=0)
            self._incomplete = False
        self._change(step=following)

    def fail(self, reason: str) -> None:
        """Refuse the desired state for good: the step cannot be taken.

        Raises:
            IllegalTransition: the step is not one that can be refused.
        """
        if self.step not in _MAY_FAIL:
            raise IllegalTransition(self.step, Step.ROLLBACK)
        self._refuse(reason)

    def hold(self, reason: str) -> None:
        """Begin the steps anew later: what went wrong lies outside the desired state.

        Raises:
            IllegalTransition: no step is under way that could be taken again.
        """
        if self.step not in _MAY_FAIL:
            raise IllegalTransition(self.step, Step.CHECK)
        self._change(step=Step.CHECK, reason=reason, crashes=0)

    def mark_incomplete(self, reason: str) -> None:
        """Note that not all that was in service could be restored: the hub's word counts anew."""
        self._incomplete = True
        self._change(reason=reason)

    def reported(self) -> hub_pb2.ReportedState:
        """Return what the hub is told, but for the packages in service."""
        return hub_pb2.ReportedState(
            generation=self._generation(),
            state=_WIRE_STATES[self.step],
            refused_generation=self.state.refused_generation,
            reason=self.state.reason,
        )

    def _generation(self) -> int:
        return 0 if self._incomplete else int(self.in_service.generation)

    def _refuse(self, reason: str) -> None:
        self._change(
            step=Step.ROLLBACK,
            refused_generation=self.desired.generation,
            reason=reason,
            desired=b"",
            crashes=0,
        )

    def _change(self, **changes: object) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)
