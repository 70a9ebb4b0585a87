"""The steps from the state in service to the desired state: decisions only, no input or output.

    IDLE → CHECK → DOWNLOAD → VERIFY → EXAMINE → STAGE → WARM → TRIAL → COMMIT → REPORT → IDLE
              └────────┴─────────┴────────┴────────┴──────┴───────┴→ ROLLBACK → REPORT

Each transition is saved first and adopted only once it is durable. So a crash, or a write that
fails, can be resumed at any step: the step that could not be left is executed again. The former
state stays in service until COMMIT has passed. A desired state that failed is rejected: it is
reported with its reason and not tried again; only a newer generation is. Steps in which a model may
end the whole process (STAGE, WARM, TRIAL) are repeated after a crash, up to a limit.

If a step fails for one package or route, the rest is installed without it, from CHECK again. The
whole state is rejected only if then nothing would change.
"""

from collections.abc import Callable

import msgspec

from gnomon.edge.partial_state import PackageRefusal, is_same_content, leave_out
from gnomon.edge.sync_state import (
    MAY_CRASH,
    MAY_FAIL,
    NEXT,
    OPEN_TO_NEWS,
    WIRE_STATES,
    Step,
    SyncState,
    parse_state,
)
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import GnomonError, HubError
from gnomon.runtime.limits import MAXIMUM_GENERATION

#: How often a desired state may end the process before it is rejected.
CRASH_LIMIT = 3


class IllegalTransition(GnomonError):
    """A transition that the current step does not allow."""

    code = "internal"

    def __init__(self, step: Step, wanted: Step) -> None:
        super().__init__(f"a node cannot go from {step.name} to {wanted.name}")


class SyncMachine:
    """Decides the next step; the caller executes it and reports success or failure.

    Every method that changes the state raises what `save` raises, and then changes nothing.
    """

    def __init__(
        self, state: SyncState | None = None, save: Callable[[SyncState], None] | None = None
    ) -> None:
        """Continue with a state; `save` returns once a state is durable."""
        self.state = state or SyncState()
        self._save = save
        self._incomplete = ""
        self._proposals = self._next_repair = 0

    @property
    def step(self) -> Step:
        """Return the current step."""
        return self.state.step

    @property
    def is_open_to_news(self) -> bool:
        """Whether `propose` may be called; if not, the current step must be executed first."""
        return self.step in OPEN_TO_NEWS

    @property
    def in_service(self) -> hub_pb2.DesiredState:
        """Return the state in service, also after a restart."""
        return parse_state(self.state.in_service)

    @property
    def desired(self) -> hub_pb2.DesiredState:
        """Return the state that is being installed, without what failed in it."""
        return leave_out(parse_state(self.state.desired), self.in_service, self.state.excluded)

    def resume(self) -> str:
        """Decide, after a restart, with which step to continue; return why, if one is refused.

        After too many crashes the packages that are not in service are refused by name, since each
        of them may be the cause; the rest is installed without them.
        """
        crashes = self.state.crashes + (self.step in MAY_CRASH)
        if self.step in MAY_CRASH and crashes >= CRASH_LIMIT:
            reason = f"the process crashed {crashes} times, most recently during {self.step.name}"
            self._refuse_new(reason)
            return reason
        if self.step not in (Step.IDLE, Step.ROLLBACK, Step.REPORT):
            self._change(step=Step.CHECK, crashes=crashes)
        return ""

    def propose(self, desired: hub_pb2.DesiredState) -> bool:
        """Accept a desired state from the hub; return whether there is a step to execute.

        Only a state newer than those in service, rejected or being installed is accepted, in the
        order of (epoch, generation). A hub without epochs has the epoch that the node knows.

        Raises:
            IllegalTransition: the current step must end first.
            HubError: the hub's numbers would make newer ones impossible.
        """
        if not self.is_open_to_news:
            raise IllegalTransition(self.step, Step.CHECK)
        if max(desired.epoch, desired.generation) > MAXIMUM_GENERATION:
            raise HubError(
                f"the hub's desired state has epoch {desired.epoch} and generation "
                f"{desired.generation}; both should be at most {MAXIMUM_GENERATION}"
            )
        newest = self._newest()
        if (desired.epoch or newest[0], desired.generation) <= newest:
            return self.step is not Step.IDLE or self._repair() or self._retry(desired)
        self._change(step=Step.CHECK, desired=desired.SerializeToString(), excluded=(), crashes=0)
        return True

    def advance(self) -> None:
        """Go to the next step: the current one succeeded.

        Raises:
            IllegalTransition: there is no step to execute.
        """
        following = NEXT.get(self.step)
        if following is None:
            raise IllegalTransition(self.step, Step.CHECK)
        if self.step is Step.COMMIT:
            self._commit()
        else:
            self._change(step=following)

    def fail(self, reason: str, refusal: PackageRefusal | None = None) -> None:
        """Go on without the package or route that failed, or reject the desired state for good.

        It is rejected if nothing that failed is named, or if the rest of it changes nothing.

        Args:
            reason: why the step failed.
            refusal: the package or route that is at fault, if it is known.

        Raises:
            IllegalTransition: the step cannot fail.
        """
        if self.step not in MAY_FAIL:
            raise IllegalTransition(self.step, Step.ROLLBACK)
        self._go_on_without(() if refusal is None else (refusal,), reason)

    def hold(self, reason: str) -> None:
        """Start again later: the cause is outside of the desired state.

        Raises:
            IllegalTransition: the step cannot be repeated.
        """
        if self.step not in MAY_FAIL:
            raise IllegalTransition(self.step, Step.CHECK)
        self._change(step=Step.CHECK, reason=reason, crashes=0)

    def mark_incomplete(self, reason: str) -> None:
        """Record that the state in service is incomplete; accept any generation again."""
        self._incomplete = reason

    def forget_order(self) -> None:
        """Accept any state again, whatever its number: it is signed by other keys than before.

        Raises:
            IllegalTransition: the current step must end first.
        """
        if not self.is_open_to_news:
            raise IllegalTransition(self.step, Step.CHECK)
        in_service = self.in_service
        in_service.epoch = in_service.generation = 0
        self._change(
            step=Step.IDLE,
            in_service=in_service.SerializeToString(),
            desired=b"",
            excluded=(),
            refused_generation=0,
            refused_epoch=0,
        )

    def reported(self) -> hub_pb2.ReportedState:
        """Return the report to the hub, without the packages in service."""
        epoch, generation = self._order_in_service()
        return hub_pb2.ReportedState(
            generation=generation,
            epoch=epoch,
            state=WIRE_STATES[self.step],
            refused_generation=self.state.refused_generation,
            refused_epoch=self.state.refused_epoch,
            reason=self._incomplete or self.state.reason,
            refused=[refusal.to_message() for refusal in self.state.refused],
        )

    def _repair(self) -> bool:
        """Install the state in service again if it is incomplete; return whether to.

        If it fails, it is tried again after twice as many proposals as before.
        """
        self._proposals += 1
        if not (self._incomplete and self.in_service.packages):
            return False
        if self._proposals < self._next_repair:
            return False
        self._next_repair = self._proposals * 2
        self._change(step=Step.CHECK, desired=self.state.in_service, excluded=(), crashes=0)
        return True

    def _retry(self, desired: hub_pb2.DesiredState) -> bool:
        """Try again, as seldom as a repair, what was refused for a reason that may pass."""
        refused = (self.state.refused_epoch, self.state.refused_generation)
        is_refused = (desired.epoch or refused[0], desired.generation) == refused
        if not (is_refused and any(one.is_temporary for one in self.state.refused)):
            return False
        if self._proposals < self._next_repair:
            return False
        self._next_repair = self._proposals * 2
        self._change(step=Step.CHECK, desired=desired.SerializeToString(), excluded=(), crashes=0)
        return True

    def _refuse_new(self, reason: str) -> None:
        known = {package.digest for package in self.in_service.packages}
        new = [package for package in self.desired.packages if package.digest not in known]
        self._go_on_without(
            tuple(PackageRefusal.of_package(package, reason) for package in new), reason
        )

    def _go_on_without(self, refusals: tuple[PackageRefusal, ...], reason: str) -> None:
        """Install the rest, or reject the whole state if that would change nothing."""
        excluded = (*self.state.excluded, *refusals)
        if refusals and self._changes_without(excluded):
            self._change(step=Step.CHECK, excluded=excluded, crashes=0)
        else:
            self._refuse(reason, excluded)

    def _changes_without(self, excluded: tuple[PackageRefusal, ...]) -> bool:
        """Whether the desired state without these changes anything; a repair drops no route."""
        if self.state.desired == self.state.in_service or excluded == self.state.excluded:
            return False
        rest = leave_out(parse_state(self.state.desired), self.in_service, excluded)
        return not is_same_content(rest, self.in_service)

    def _commit(self) -> None:
        desired, excluded = self.desired, self.state.excluded
        epoch, generation = (
            self._refused_order()
            if excluded
            else (self.state.refused_epoch, self.state.refused_generation)
        )
        self._change(
            step=Step.REPORT,
            in_service=desired.SerializeToString(),
            desired=b"",
            reason="; ".join(one.reason for one in excluded),
            crashes=0,
            excluded=(),
            refused=excluded,
            refused_generation=generation,
            refused_epoch=epoch,
        )
        self._incomplete = ""

    def _newest(self) -> tuple[int, int]:
        """Return the epoch and generation of the newest state that the node has seen."""
        desired = parse_state(self.state.desired)
        refused = (self.state.refused_epoch, self.state.refused_generation)
        return max(self._order_in_service(), (desired.epoch, desired.generation), refused)

    def _order_in_service(self) -> tuple[int, int]:
        if self._incomplete:
            return (0, 0)
        state = self.in_service
        return (state.epoch, state.generation)

    def _refused_order(self) -> tuple[int, int]:
        """Return the newest order that was refused, with the state that is being installed."""
        desired = parse_state(self.state.desired)
        # What is repaired may be older than what was refused before.
        refused = (self.state.refused_epoch, self.state.refused_generation)
        return max((desired.epoch, desired.generation), refused)

    def _refuse(self, reason: str, refused: tuple[PackageRefusal, ...] = ()) -> None:
        epoch, generation = self._refused_order()
        self._change(
            step=Step.ROLLBACK,
            refused_generation=generation,
            refused_epoch=epoch,
            reason=reason,
            desired=b"",
            excluded=(),
            refused=refused,
            crashes=0,
        )

    def _change(self, **changes: object) -> None:
        state = msgspec.structs.replace(self.state, **changes)
        if self._save is not None:
            self._save(state)
        self.state = state
