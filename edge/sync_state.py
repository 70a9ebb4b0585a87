"""The state of a node's installation, which survives a restart."""

import enum
from typing import Self

import msgspec
from google.protobuf.message import DecodeError

from gnomon.edge.partial_state import PackageRefusal
from gnomon.proto import hub_pb2
from gnomon.runtime.decoding import UNDECODABLE


class Step(enum.StrEnum):
    """What the node is about to do."""

    IDLE = "idle"
    CHECK = "check"  # signatures, formats, requirements: before any download
    DOWNLOAD = "download"  # missing chunks, by hash
    VERIFY = "verify"  # each package as a whole, then into its slot
    EXAMINE = "examine"  # load and try each new package in a process of its own
    STAGE = "stage"  # load beside the packages in service
    WARM = "warm"  # golden samples on the loaded models
    TRIAL = "trial"  # the new routes answer; the former ones stay loaded
    COMMIT = "commit"  # the former packages are unloaded
    ROLLBACK = "rollback"  # the former routes answer again
    REPORT = "report"  # the outcome is reported to the hub


#: The step that follows a step that succeeded.
NEXT = {
    Step.CHECK: Step.DOWNLOAD,
    Step.DOWNLOAD: Step.VERIFY,
    Step.VERIFY: Step.EXAMINE,
    Step.EXAMINE: Step.STAGE,
    Step.STAGE: Step.WARM,
    Step.WARM: Step.TRIAL,
    Step.TRIAL: Step.COMMIT,
    Step.COMMIT: Step.REPORT,
    Step.ROLLBACK: Step.REPORT,
    Step.REPORT: Step.IDLE,
}
MAY_FAIL = (
    Step.CHECK,
    Step.DOWNLOAD,
    Step.VERIFY,
    Step.EXAMINE,
    Step.STAGE,
    Step.WARM,
    Step.TRIAL,
)
MAY_CRASH = (Step.STAGE, Step.WARM, Step.TRIAL, Step.COMMIT)
OPEN_TO_NEWS = (Step.IDLE, Step.CHECK, Step.DOWNLOAD, Step.EXAMINE)

_WIRE_NAMES = {Step.REPORT: "IDLE", Step.EXAMINE: "STAGE"}
WIRE_STATES = {step: hub_pb2.InstallState.Value(_WIRE_NAMES.get(step, step.name)) for step in Step}


class SyncState(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What must survive a restart; `in_service` and `desired` are serialized `DesiredState`s.

    `excluded` is what the installation goes on without, `refused` what the last one ended without.
    """

    step: Step = Step.IDLE
    in_service: bytes = b""
    desired: bytes = b""
    refused_generation: int = 0
    refused_epoch: int = 0
    reason: str = ""
    crashes: int = 0
    excluded: tuple[PackageRefusal, ...] = ()
    refused: tuple[PackageRefusal, ...] = ()

    def encode(self) -> bytes:
        """Return the state as JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` returned.

        Raises:
            ValueError: the data are damaged.
        """
        try:
            state = msgspec.json.decode(data, type=cls)
            parse_state(state.in_service)
            parse_state(state.desired)
        except (*UNDECODABLE, DecodeError) as error:
            raise ValueError(f"it holds no state: {error}") from error
        return state


def parse_state(data: bytes) -> hub_pb2.DesiredState:
    """Return a serialized state; raise DecodeError if the bytes are damaged."""
    message = hub_pb2.DesiredState()
    message.ParseFromString(data)
    return message
