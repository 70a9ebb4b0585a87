"""One refused package or route leaves all others to be installed, and no half of a route."""

from hypothesis import given
from hypothesis import strategies as st

from gnomon.edge.partial_state import PackageRefusal, leave_out
from gnomon.edge.sync import SyncMachine
from gnomon.edge.sync_state import Step, SyncState
from gnomon.proto import hub_pb2
from gnomon.runtime.routing.routes import from_message

MODELS = ("eta", "price", "risk")


def state(generation: int, **versions: tuple[str, ...]) -> hub_pb2.DesiredState:
    """Return a state: the champion of each model, and a candidate with a tenth of its traffic."""
    made = hub_pb2.DesiredState(generation=generation, epoch=1)
    for model, (champion, *candidates) in versions.items():
        route = made.routes.add(name=model)
        route.targets.add(digest=model + champion, weight=900 if candidates else 1000)
        for candidate in candidates:
            route.targets.add(digest=model + candidate, weight=100)
            route.fallback_digest = model + champion
        for version in (champion, *candidates):
            made.packages.add(name=model, version=version, digest=model + version)
    return made


def refusal(model: str, version: str = "") -> PackageRefusal:
    digest = model + version if version else ""
    return PackageRefusal(route=model, digest=digest, version=version, reason="because")


def shares(made: hub_pb2.DesiredState) -> dict[str, list[tuple[str, int]]]:
    return {one.name: [(t.digest, t.weight) for t in one.targets] for one in made.routes}


def test_a_route_without_its_candidate_leads_to_its_champion() -> None:
    desired = state(2, eta=("2", "3"), price=("1",))
    kept = leave_out(desired, state(1, eta=("1",)), [refusal("eta", "3")])
    assert shares(kept) == {"eta": [("eta2", 1000)], "price": [("price1", 1000)]}
    assert sorted(one.digest for one in kept.packages) == ["eta2", "price1"]


def test_a_route_without_its_champion_stays_as_it_is_in_service() -> None:
    desired = state(2, eta=("2", "3"), price=("2",), risk=("1",))
    in_service = state(1, eta=("1",), price=("1",))
    kept = leave_out(desired, in_service, [refusal("eta", "2"), refusal("risk", "1")])
    assert shares(kept) == {"eta": [("eta1", 1000)], "price": [("price2", 1000)]}
    kept = leave_out(desired, in_service, [refusal("price"), refusal("eta", "1")])
    assert shares(kept) == {
        "eta": [("eta2", 900), ("eta3", 100)],
        "price": [("price1", 1000)],
        "risk": [("risk1", 1000)],
    }


VERSIONS = st.lists(st.sampled_from("123"), min_size=1, max_size=2, unique=True).map(tuple)
STATES = st.dictionaries(st.sampled_from(MODELS), VERSIONS)
BAD = st.sets(st.sampled_from([model + version for model in MODELS for version in ("", *"123")]))


@given(STATES, STATES, BAD)
def test_all_but_what_fails_goes_into_service_whole(
    before: dict[str, tuple[str, ...]], after: dict[str, tuple[str, ...]], bad: set[str]
) -> None:
    machine = SyncMachine()
    machine.propose(state(1, **before))
    while machine.step is not Step.IDLE:
        machine.advance()
    machine.propose(state(2, **after))
    for _ in range(200):
        machine = SyncMachine(SyncState.decode(machine.state.encode()))
        desired = machine.desired
        # What is in service already does not fail again.
        served = _digests(machine.in_service)
        failing = [refusal(one.name, one.version) for one in desired.packages]
        failing = [one for one in failing if one.digest in bad - served]
        changed = [one.name for one in desired.routes if one not in machine.in_service.routes]
        failing += [refusal(name) for name in changed if name in bad]
        if machine.step is Step.STAGE and failing:
            machine.fail("because", failing[0])
        elif machine.step is Step.IDLE:
            break
        else:
            machine.advance()
    assert machine.step is Step.IDLE
    served, refused = machine.in_service, machine.state.refused
    for route in served.routes:
        assert set(from_message(route).digests) <= _digests(served)
    for model, versions in after.items():
        (wanted,) = state(2, **{model: versions}).routes
        is_bad = model in bad or {model + version for version in versions} & bad
        if not is_bad:
            assert wanted in served.routes
        elif wanted not in served.routes:
            assert any(one.route == model for one in refused)
    if refused:
        assert machine.reported().refused_generation == 2
        assert machine.reported().refused[0].reason == "because"


def _digests(made: hub_pb2.DesiredState) -> set[str]:
    return {one.digest for one in made.packages}


def test_what_was_refused_is_reported_until_a_state_without_it_is_in_service() -> None:
    machine = SyncMachine()
    machine.propose(state(1, eta=("1",), price=("1",)))
    while machine.step is not Step.IDLE:
        machine.advance()
    machine.propose(state(2, eta=("2",), price=("2",)))
    machine.fail("because", refusal("eta", "2"))
    while machine.step is not Step.IDLE:
        machine.advance()
    reported = machine.reported()
    assert (reported.generation, reported.refused_generation) == (2, 2)
    assert [(one.route, one.digest) for one in reported.refused] == [("eta", "eta2")]
    assert reported.reason == "because"
    machine.propose(state(3, eta=("3",), price=("2",)))
    assert machine.reported().refused
    while machine.step is not Step.IDLE:
        machine.advance()
    assert not machine.reported().refused
    assert not machine.reported().reason


def test_a_repair_drops_no_route() -> None:
    machine = SyncMachine()
    machine.propose(state(1, eta=("1",), price=("1",)))
    while machine.step is not Step.IDLE:
        machine.advance()
    machine.mark_incomplete("eta@1 is damaged")
    assert machine.propose(state(1, eta=("1",), price=("1",)))
    machine.fail("it is damaged still", refusal("eta", "1"))
    assert machine.step is Step.ROLLBACK
    assert len(machine.in_service.routes) == 2
