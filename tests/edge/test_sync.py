"""The state machine of installs: every path ends in service or refused, wherever it breaks off."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.edge.sync import CRASH_LIMIT, IllegalTransition, SyncMachine
from gnomon.edge.sync_executor import SyncExecutor
from gnomon.edge.sync_state import Step, SyncState
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import HubError, StorageError
from gnomon.runtime.state_file import StateFile

HAPPY = [
    Step.CHECK,
    Step.DOWNLOAD,
    Step.VERIFY,
    Step.EXAMINE,
    Step.STAGE,
    Step.WARM,
    Step.TRIAL,
    Step.COMMIT,
    Step.REPORT,
]


def desired(generation: int) -> hub_pb2.DesiredState:
    return hub_pb2.DesiredState(
        generation=generation, packages=[hub_pb2.PackageRef(digest=f"{generation:064x}")]
    )


def steps(machine: SyncMachine) -> list[Step]:
    taken = []
    while machine.step is not Step.IDLE:
        taken.append(machine.step)
        machine.advance()
    return taken


def test_a_new_generation_goes_all_the_way() -> None:
    machine = SyncMachine()
    assert machine.propose(desired(3))
    assert steps(machine) == HAPPY
    assert machine.in_service == desired(3)
    assert machine.reported() == hub_pb2.ReportedState(generation=3, state=hub_pb2.IDLE)
    assert not machine.propose(desired(3))
    assert not machine.propose(desired(2))


@pytest.mark.parametrize("failing", HAPPY[:7])
def test_what_fails_is_rolled_back_reported_and_never_tried_again(failing: Step) -> None:
    machine = SyncMachine()
    machine.propose(desired(1))
    steps(machine)
    machine.propose(desired(2))
    while machine.step is not failing:
        machine.advance()
    machine.fail("golden samples differ")
    assert machine.step is Step.ROLLBACK
    assert machine.reported().state == hub_pb2.ROLLBACK
    assert steps(machine) == [Step.ROLLBACK, Step.REPORT]
    assert machine.in_service == desired(1)
    reported = machine.reported()
    assert (reported.generation, reported.refused_generation) == (1, 2)
    assert reported.reason == "golden samples differ"
    assert not machine.propose(desired(2))
    assert machine.propose(desired(4))
    steps(machine)
    assert machine.reported().generation == 4
    assert machine.reported().reason == ""


def test_a_newer_generation_takes_over_while_downloading() -> None:
    machine = SyncMachine()
    machine.propose(desired(1))
    machine.advance()
    assert machine.step is Step.DOWNLOAD
    assert machine.propose(desired(1))
    assert machine.step is Step.DOWNLOAD
    assert machine.propose(desired(2))
    assert machine.step is Step.CHECK
    steps(machine)
    assert machine.in_service == desired(2)


def test_a_repair_that_fails_is_tried_again_after_twice_as_many_proposals() -> None:
    machine = SyncMachine()
    machine.propose(desired(1))
    steps(machine)
    machine.mark_incomplete("a package is damaged")
    attempts = []
    for number in range(1, 34):
        if machine.propose(desired(1)):
            attempts.append(number)
            machine.fail("it is damaged still")
            steps(machine)
    assert attempts == [1, 2, 3, 5, 9, 17, 33]


def test_a_repair_that_fails_forgets_no_later_refusal() -> None:
    machine = SyncMachine()
    machine.propose(desired(1))
    steps(machine)
    machine.propose(desired(2))
    machine.fail("it cannot be loaded")
    steps(machine)
    machine.mark_incomplete("a package is damaged")
    assert machine.propose(desired(2))
    assert machine.desired == desired(1)
    machine.fail("it is damaged still")
    assert machine.reported().refused_generation == 2


def test_illegal_transitions_name_both_states() -> None:
    machine = SyncMachine()
    with pytest.raises(IllegalTransition, match="IDLE to CHECK"):
        machine.advance()
    with pytest.raises(IllegalTransition, match="IDLE to ROLLBACK"):
        machine.fail("why")
    machine.propose(desired(1))
    for _ in range(7):
        machine.advance()
    with pytest.raises(IllegalTransition, match="COMMIT to ROLLBACK"):
        machine.fail("why")
    with pytest.raises(IllegalTransition, match="COMMIT to CHECK"):
        machine.propose(desired(2))


@given(st.lists(st.sampled_from(["ok", "crash", "fail"]), max_size=60))
def test_crashes_at_any_step_end_in_service_or_refused(events: list[str]) -> None:
    machine = SyncMachine()
    machine.propose(desired(1))
    steps(machine)
    machine.propose(desired(2))
    crashes = 0
    for event in [*events, *["ok"] * 12]:
        if machine.step is Step.IDLE:
            break
        if event == "fail" and machine.step in HAPPY[:7]:
            machine.fail("no")
        elif event == "crash":
            crashes += machine.step in (Step.STAGE, Step.WARM, Step.TRIAL, Step.COMMIT)
            machine = SyncMachine(SyncState.decode(machine.state.encode()))
            machine.resume()
        else:
            machine.advance()
    assert machine.step is Step.IDLE
    reported = machine.reported()
    assert (reported.generation, reported.refused_generation) in [(2, 0), (1, 2)]
    if crashes >= CRASH_LIMIT:
        assert reported.refused_generation == 2


def route(name: str, digest: str) -> hub_pb2.Route:
    return hub_pb2.Route(name=name, targets=[hub_pb2.Target(digest=digest, weight=1000)])


def state_of(generation: int, versions: dict[str, str]) -> hub_pb2.DesiredState:
    """Return a state with the version of each model, whose digest is `name-version`."""
    return hub_pb2.DesiredState(
        generation=generation,
        routes=[route(name, f"{name}-{version}") for name, version in versions.items()],
        packages=[
            hub_pb2.PackageRef(name=name, version=version, digest=f"{name}-{version}")
            for name, version in versions.items()
        ],
    )


def crash(machine: SyncMachine, step: Step) -> tuple[SyncMachine, str]:
    """End the process in a step as often as is allowed; return the last start's machine."""
    reason = ""
    for _ in range(CRASH_LIMIT):
        assert not reason
        while machine.step is not step:
            machine.advance()
        machine = SyncMachine(SyncState.decode(machine.state.encode()))
        reason = machine.resume()
    return machine, reason


@pytest.mark.parametrize("step", [Step.STAGE, Step.WARM, Step.TRIAL, Step.COMMIT])
def test_after_crashes_only_what_was_new_is_refused_by_name(step: Step) -> None:
    machine = SyncMachine()
    machine.propose(state_of(1, {"eta": "1", "rent": "1", "old": "1"}))
    steps(machine)
    machine.propose(state_of(2, {"eta": "2", "rent": "1"}))
    machine, reason = crash(machine, step)
    assert f"the process crashed {CRASH_LIMIT} times" in reason
    steps(machine)
    assert {one.digest for one in machine.in_service.packages} == {"eta-1", "rent-1"}
    reported = machine.reported()
    assert (reported.generation, reported.refused_generation) == (2, 2)
    (refused,) = machine.state.refused
    assert refused.name == "eta@2"
    assert "crashed" in refused.reason
    assert machine.propose(state_of(3, {"eta": "3", "rent": "1"}))


def test_after_crashes_a_state_with_nothing_new_that_could_stay_is_refused() -> None:
    machine = SyncMachine()
    machine.propose(state_of(1, {"eta": "1"}))
    machine, _ = crash(machine, Step.WARM)
    assert machine.step is Step.ROLLBACK
    steps(machine)
    assert [one.name for one in machine.state.refused] == ["eta@1"]
    assert machine.reported().refused_generation == 1


def test_what_crashed_the_process_is_named_to_the_hub(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "sync.json", SyncState.decode)
    state = state_of(1, {"eta": "1"}).SerializeToString()
    file.write(SyncState(step=Step.WARM, desired=state, crashes=CRASH_LIMIT - 1).encode())
    installer: Any = SimpleNamespace(
        installed=frozenset, restore=lambda *_: [], has_routes=False, restore_newest=lambda *_: []
    )
    trust: Any = SimpleNamespace(former_keys=None, revoked=(), note_in_service=lambda _: ())
    events: list[tuple[str, str]] = []
    executor = SyncExecutor(
        file, installer, trust, lambda *event: events.append(event), lambda: False
    )
    executor.restore()
    assert events == [("refused", "eta@1: the process crashed 3 times, most recently during WARM")]


@pytest.mark.parametrize("data", [b"", b"{", b'{"step":"fly"}', b'{"in_service":"/w=="}', b"\xff"])
def test_damaged_state_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="holds no state"):
        SyncState.decode(data)


class Disk:
    """Keeps the last state that was saved; fails as its list of outcomes says."""

    def __init__(self, outcomes: list[bool]) -> None:
        self.outcomes = outcomes
        self.kept = SyncState()

    def save(self, state: SyncState) -> None:
        if self.outcomes and not self.outcomes.pop(0):
            raise StorageError("no space left")
        self.kept = state


@given(st.lists(st.booleans(), max_size=30), st.sampled_from([*HAPPY[:7], None]))
def test_a_state_is_adopted_only_once_it_is_durable(
    outcomes: list[bool], failing: Step | None
) -> None:
    disk = Disk(outcomes)
    machine = SyncMachine(save=disk.save)
    is_proposed = False
    for _ in range(60):
        try:
            if not is_proposed:
                is_proposed = machine.propose(desired(2))
            elif machine.step is failing:
                machine.fail("no")
            elif machine.step is not Step.IDLE:
                machine.advance()
        except StorageError:
            pass
        assert machine.state == disk.kept
        resumed = SyncMachine(disk.kept)
        resumed.resume()
    assert machine.step is Step.IDLE
    expected = (2, 0) if failing is None else (0, 2)
    assert (machine.reported().generation, machine.reported().refused_generation) == expected


@pytest.mark.parametrize("step", [*HAPPY, Step.ROLLBACK])
def test_what_cannot_be_saved_changes_nothing(step: Step) -> None:
    state = SyncState(step=step, desired=desired(2).SerializeToString(), crashes=1)
    machine = SyncMachine(state, Disk([False] * 4).save)
    attempts = [machine.advance]
    if step is not Step.REPORT and step is not Step.ROLLBACK:
        attempts.append(machine.resume)
    if step in HAPPY[:7]:
        attempts += [lambda: machine.fail("no"), lambda: machine.hold("later")]
    for attempt in attempts:
        with pytest.raises(StorageError):
            attempt()
        assert machine.state == state


def numbered(epoch: int, generation: int) -> hub_pb2.DesiredState:
    return hub_pb2.DesiredState(epoch=epoch, generation=generation)


ORDERS = st.tuples(st.integers(1, 3), st.integers(1, 4))


@given(st.lists(st.tuples(ORDERS, st.booleans()), max_size=20))
def test_states_are_taken_in_the_order_of_epoch_and_generation(
    told: list[tuple[tuple[int, int], bool]],
) -> None:
    machine, newest = SyncMachine(), (0, 0)
    for order, is_sound in told:
        machine = SyncMachine(SyncState.decode(machine.state.encode()))
        assert machine.propose(numbered(*order)) == (order > newest)
        newest = max(newest, order)
        if machine.step is not Step.IDLE and not is_sound:
            machine.fail("no")
        steps(machine)
    reported = machine.reported()
    in_service, refused = (
        (reported.epoch, reported.generation),
        (reported.refused_epoch, reported.refused_generation),
    )
    assert max(in_service, refused) == newest


def test_a_hub_without_epochs_is_obeyed_in_the_epoch_that_is_known() -> None:
    machine = SyncMachine()
    machine.propose(numbered(7, 3))
    steps(machine)
    assert not machine.propose(numbered(0, 3))
    assert machine.propose(numbered(0, 4))


@pytest.mark.parametrize("order", [(1, 2**64 - 1), (2**64 - 1, 1), (1, 2**40 + 1)])
def test_a_number_that_leaves_no_room_for_newer_ones_is_refused(order: tuple[int, int]) -> None:
    machine = SyncMachine()
    with pytest.raises(HubError, match="should be at most 1099511627776"):
        machine.propose(numbered(*order))
    assert machine.propose(numbered(1, 1))
