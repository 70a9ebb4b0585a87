"""No single node decides a rollout: by forged windows, labels or refusals."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.server.hub.fleet import desired
from gnomon.server.hub.fleet.desired_cache import DesiredStates
from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.monitoring.losses import Losses
from gnomon.server.hub.rollout import contributions, rollouts
from gnomon.server.hub.rollout.contributions import Contribution
from gnomon.server.hub.rollout.criteria import Decision, Gates
from gnomon.server.hub.rollout.plan import RolloutPlan
from gnomon.server.hub.rollout.step_evidence import StepEvidence, judge
from gnomon.server.hub.store.database import Database
from tests.server.hub.rollout.test_rollouts import REQUEST, row_of, start
from tests.support.hub_world import World

ALPHA = 0.05 / 12
ONNX = {"engines": "onnx"}
GATES = Gates(minimum_predictions=100)
FORGER, HONEST = "n0", ("n1", "n2", "n3")


def counted(answered: int, failed: int = 0, losses: Losses | None = None) -> Contribution:
    outcomes = Counter({"answered": answered, "failed": failed})
    return Contribution(outcomes, losses=losses or Losses())


def labelled(error: float, count: int = 500) -> Losses:
    return Losses(count, error * count, error * count, 1.2 * error * error * count)


def test_a_forger_cannot_carry_a_candidate_that_fails_at_all_others() -> None:
    """It says so of a hundred times as many requests as all others together."""
    candidate = {FORGER: counted(100_000), **{node: counted(240, 60) for node in HONEST}}
    champion = {FORGER: counted(100_000), **{node: counted(900) for node in HONEST}}
    found = judge(StepEvidence(candidate, champion), GATES, ALPHA)
    assert found.decision is Decision.ROLL_BACK
    assert list(found.contradicting) == [FORGER]
    assert "n0 contradicts its peers" in found.checks[-1].text
    assert (found.nodes, found.single_source) == (4, False)


@pytest.mark.parametrize(
    ("forged", "forged_champion"),
    [
        (labelled(0.001, 100_000), labelled(1.0, 100_000)),  # the candidate is perfect
        (labelled(1.0), labelled(1_000.0)),  # the champion is hopeless
    ],
)
def test_a_forger_cannot_carry_a_candidate_whose_error_is_large_elsewhere(
    forged: Losses, forged_champion: Losses
) -> None:
    candidate = {FORGER: counted(500, losses=forged)}
    champion = {FORGER: counted(500, losses=forged_champion)}
    for node in HONEST:
        candidate[node] = counted(500, losses=labelled(1.6))
        champion[node] = counted(500, losses=labelled(1.0))
    found = judge(StepEvidence(candidate, champion), GATES, ALPHA)
    assert found.decision is not Decision.ADVANCE
    assert FORGER in found.contradicting


def test_with_one_node_the_evidence_is_marked_single_source() -> None:
    step = StepEvidence({"n1": counted(500)}, {"n1": counted(500), "n2": counted(9)})
    found = judge(step, GATES, ALPHA)
    assert found.decision is Decision.ADVANCE
    assert (found.nodes, found.single_source) == (1, True)
    assert found.checks[-1].text == "single source: all evidence comes from n1"


def test_nodes_with_other_data_but_the_same_difference_contradict_no_one() -> None:
    rng = np.random.default_rng(4)
    shares = dict(zip(("n1", "n2", "n3", "n4"), (0.0, 0.05, 0.2, 0.4), strict=True))
    sides = [
        {node: counted(1_000 - hits, hits) for node in shares for hits in [draw(node)]}
        for draw in [lambda node: int(rng.binomial(1_000, shares[node]))] * 2
    ]
    assert contributions.contradictions(sides[0], sides[1], ALPHA) == {}


@given(
    st.dictionaries(st.integers(0, 9), st.integers(0, 10**9), min_size=3),
    st.floats(0.05, 1.0),
)
def test_no_node_has_more_than_its_share(counts: dict[int, int], share: float) -> None:
    side = {f"n{node}": counted(rows) for node, rows in counts.items()}
    together = contributions.total(side, share).requests
    active = [rows for rows in counts.values() if rows]
    assert together <= sum(active)
    if len(active) >= contributions.FEWEST_NODES:
        for node in side:
            others = contributions.total({**side, node: Contribution()}, 1.0).requests
            # The others alone are at least what this node may not have.
            allowed = max(share, 1 / len(active))
            assert together - others <= allowed * together + len(active)
    else:
        assert together == sum(active)


def test_an_alert_names_the_node_that_contradicts_once(world: World, database: Database) -> None:
    digests = world.publish("eta", "1"), world.publish("eta", "2")
    world.place("eta", "1")
    world.node("n1", digests=list(digests), facts=ONNX)
    gates = Gates(minimum_predictions=10**6, maximum_failed_share=0.9)
    rollout_id = start(database, plan=RolloutPlan(steps=(100, 1000), gates=gates))
    rollouts.run_once(database)
    for node in (FORGER, *HONEST):
        world.window(digests[0], node=node, rows=300)
        world.window(digests[1], node=node, rows=150, failed=0 if node in HONEST else 150)
    rollouts.run_once(database)
    rollouts.run_once(database)
    assert row_of(database, rollout_id).state == "running"
    with database.read() as connection:
        found = {one.kind: one for one in alerts.find(connection, open_only=True)}
    assert found["node_contradicts"].source == FORGER
    assert found["node_contradicts"].count == 1
    assert "contradicts its peers about eta@2" in found["node_contradicts"].text


@pytest.mark.parametrize(
    "refused", [lambda now: 2**63 - 1, lambda now: now + 1, lambda now: now - 1]
)
def test_only_a_refusal_of_the_present_state_counts(
    world: World, database: Database, refused: Any
) -> None:
    digests = [world.publish("eta", "1"), world.publish("eta", "2")]
    world.place("eta", "1")
    world.node("n0")
    world.node("n1", digests=digests, facts=ONNX)
    rollout_id = start(database)
    with database.write() as connection:
        generation = desired.for_node(
            connection, "n0", REQUEST, DesiredStates(desired.build)
        ).generation
    world.node("n0", refused_generation=refused(generation), reason="because")
    rollouts.run_once(database)
    assert row_of(database, rollout_id).state == "running"
