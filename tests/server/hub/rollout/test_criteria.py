"""Gates: bounds that hold at all looks, and verdicts that never contradict them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.server.hub.monitoring.losses import Losses
from gnomon.server.hub.rollout.bounds import (
    mean_bounds,
    mean_without_largest,
    quantile_levels,
    share_bounds,
)
from gnomon.server.hub.rollout.criteria import (
    Decision,
    Evidence,
    GateCheck,
    GateFinding,
    Gates,
    Latency,
    Side,
    evaluate,
)

ALPHA = 0.05 / 12


def losses_of(errors: np.ndarray) -> Losses:
    return Losses(
        len(errors), float(errors.sum()), float(np.abs(errors).sum()), float((errors**2).sum())
    )


def side(predictions: int = 1_000, **parts: object) -> Side:
    latency = Latency(predictions, 10.0, 9.5, 10.5)
    return Side(**{"predictions": predictions, "latency": latency, **parts})  # type: ignore[arg-type]


def check_of(gates: Gates, candidate: Side, champion: Side, name: str) -> GateCheck:
    found = evaluate(gates, Evidence(candidate, champion), ALPHA)
    return next(check for check in found.checks if check.name == name)


def naive_share_inside(share: float, hits: int, n: int, alpha: float) -> bool:
    """The definition, by numeric integration of the mixture."""
    grid = (np.arange(20_000) + 0.5) / 20_000
    mixture = np.mean(grid**hits * (1 - grid) ** (n - hits))
    return bool(mixture < share**hits * (1 - share) ** (n - hits) / alpha)


@given(st.integers(0, 30), st.integers(0, 30), st.sampled_from([0.2, 0.05, 0.004]))
@settings(max_examples=40, deadline=None)
def test_share_bounds_are_where_the_definition_ends(hits: int, misses: int, alpha: float) -> None:
    n = hits + misses
    low, high = share_bounds(hits, n, alpha)
    assert 0.0 <= low <= high <= 1.0
    if n:
        assert low <= hits / n <= high
    for edge, outwards in ((low, -1e-3), (high, 1e-3)):
        if n and 0.002 < edge < 0.998:
            assert naive_share_inside(edge - outwards, hits, n, alpha)
            assert not naive_share_inside(edge + outwards, hits, n, alpha)


@given(st.integers(2, 400), st.floats(0.05, 0.95), st.floats(0.001, 0.3))
@settings(max_examples=60, deadline=None)
def test_quantile_levels_are_the_extreme_ranks_that_share_bounds_allow(
    n: int, level: float, alpha: float
) -> None:
    low, high = quantile_levels(level, n, alpha)
    allowed = [
        k for k in range(n + 1) if (lambda b: b.lower < level < b.upper)(share_bounds(k, n, alpha))
    ]
    assert low == pytest.approx(min(allowed) / n)
    assert high == (pytest.approx((max(allowed) + 1) / n) if max(allowed) < n else math.inf)


def test_mean_bounds_cover_at_all_looks_at_once() -> None:
    """Of 300 runs with 40 looks each, the truth may leave the bounds in about 5 % at most."""
    random = np.random.default_rng(7)
    missed = plain_missed = 0
    for _ in range(300):
        values = random.exponential(5.0, 4_000)
        totals, squares = values.cumsum(), (values**2).cumsum()
        looks = np.arange(100, 4_001, 100)
        bounds = [mean_bounds(int(n), totals[n - 1], squares[n - 1], 0.05, 500) for n in looks]
        missed += any(not low < 5.0 < high for low, high in bounds)
        deviations = 1.96 * np.sqrt(squares[looks - 1] / looks - (totals[looks - 1] / looks) ** 2)
        plain = deviations / np.sqrt(looks)
        plain_missed += bool((np.abs(totals[looks - 1] / looks - 5.0) > plain).any())
    assert missed <= 0.08 * 300
    assert plain_missed > 0.2 * 300  # what a 95 % interval does when it is looked at again


@given(
    st.integers(0, 300),
    st.integers(0, 300),
    st.integers(0, 300),
    st.integers(0, 300),
    st.floats(0.0, 0.2),
    st.integers(0, 500),
)
def test_a_verdict_follows_from_its_checks(
    answered: int, failed: int, refused: int, champion_refused: int, limit: float, wanted: int
) -> None:
    gates = Gates(minimum_predictions=wanted, maximum_failed_share=limit)
    candidate = side(answered + failed + refused, failed=failed, refused=refused)
    champion = side(500 + champion_refused, refused=champion_refused)
    found = evaluate(gates, Evidence(candidate, champion), ALPHA)
    findings = {check.finding for check in found.checks}
    if GateFinding.FAILED in findings:
        assert found.decision is Decision.ROLL_BACK
    elif GateFinding.WAITING in findings:
        assert found.decision is Decision.HOLD
    else:
        assert found.decision is Decision.ADVANCE
        assert candidate.predictions >= wanted
        assert candidate.failed <= limit * candidate.predictions
    # Worse beyond all doubt is never advanced, good beyond all doubt never sent back.
    if failed == candidate.predictions > 20:
        assert found.decision is Decision.ROLL_BACK
    if failed == refused == 0:
        assert found.decision is not Decision.ROLL_BACK


def test_a_few_failures_of_many_hold_and_a_row_of_failures_goes_back_at_once() -> None:
    gates = Gates(maximum_failed_share=0.01, minimum_predictions=10)
    assert check_of(gates, side(1, failed=1), side(), "failed").finding is GateFinding.WAITING
    assert check_of(gates, side(2, failed=2), side(), "failed").finding is GateFinding.FAILED
    assert check_of(gates, side(1_000, failed=12), side(), "failed").finding is GateFinding.WAITING
    assert check_of(gates, side(1_000, failed=9), side(), "failed").finding is GateFinding.PASSED


def test_refusals_are_compared_with_the_champions() -> None:
    gates = Gates(maximum_refused_share_increase=0.02)
    world = side(1_000, refused=300)
    assert check_of(gates, side(1_000, refused=305), world, "refused").finding is GateFinding.PASSED
    assert (
        check_of(gates, side(1_000, refused=305), side(), "refused").finding is GateFinding.FAILED
    )


@pytest.mark.parametrize(
    ("mine", "theirs", "finding"),
    [
        (Latency(100, 10.0, 9.0, 11.0), Latency(900, 9.0, 8.5, 9.5), GateFinding.PASSED),
        (Latency(100, 15.0, 12.0, 19.0), Latency(900, 9.0, 8.5, 9.5), GateFinding.WAITING),
        (Latency(100, 25.0, 20.0, 29.0), Latency(900, 9.0, 8.5, 9.5), GateFinding.FAILED),
        (Latency(3, 25.0, 0.0, math.inf), Latency(900, 9.0, 8.5, 9.5), GateFinding.WAITING),
        (Latency(), Latency(900, 9.0, 8.5, 9.5), GateFinding.PASSED),
        # A model that answers in microseconds may take thrice as many.
        (Latency(900, 0.09, 0.08, 0.1), Latency(900, 0.03, 0.02, 0.04), GateFinding.PASSED),
    ],
)
def test_latency(mine: Latency, theirs: Latency, finding: GateFinding) -> None:
    gates = Gates(maximum_latency_ratio=1.5)
    found = check_of(gates, side(latency=mine), side(latency=theirs), "latency")
    assert found.finding is finding


def test_a_clearly_worse_error_goes_back_before_the_labels_wanted_are_there() -> None:
    random = np.random.default_rng(3)
    gates = Gates(minimum_labels=5_000, maximum_error_ratio=1.1)
    champion = side(losses=losses_of(random.normal(0, 5, 900)))
    candidate = side(losses=losses_of(random.normal(30, 5, 60)))
    found = check_of(gates, candidate, champion, "error")
    assert found.finding is GateFinding.FAILED
    assert "60 and 900 labels" in found.text


def test_proof_takes_more_labels_than_an_estimate() -> None:
    random = np.random.default_rng(4)
    champion = side(losses=losses_of(random.normal(0, 5, 4_000)))
    estimate = Gates(minimum_labels=100, maximum_error_ratio=1.2)
    proof = estimate.model_copy(update={"require_proof": True})
    few = side(losses=losses_of(random.normal(0, 5, 150)))
    many = side(losses=losses_of(random.normal(0, 5, 4_000)))
    assert check_of(estimate, few, champion, "error").finding is GateFinding.PASSED
    assert check_of(proof, few, champion, "error").finding is GateFinding.WAITING
    assert check_of(proof, many, champion, "error").finding is GateFinding.PASSED


def test_no_labels_wait_only_where_labels_are_wanted() -> None:
    assert check_of(Gates(), side(), side(), "error").finding is GateFinding.PASSED
    assert check_of(Gates(minimum_labels=1), side(), side(), "error").finding is GateFinding.WAITING
    assert (
        check_of(Gates(require_proof=True), side(), side(), "error").finding is GateFinding.WAITING
    )


def test_a_refusal_by_a_node_goes_back_in_its_words() -> None:
    found = evaluate(Gates(), Evidence(side(), side(), ("n1 refused it: golden sample 3",)), ALPHA)
    assert found.decision is Decision.ROLL_BACK
    assert "golden sample 3" in found.reason


def test_without_champion_traffic_only_the_candidates_own_limits_count() -> None:
    candidate = side(200, refused=200)
    assert evaluate(Gates(), Evidence(candidate, None), ALPHA).decision is Decision.ADVANCE
    candidate = side(200, failed=50)
    assert evaluate(Gates(), Evidence(candidate, None), ALPHA).decision is Decision.ROLL_BACK


@pytest.mark.slow
def test_an_equal_candidate_is_rarely_rolled_back_though_it_is_looked_at_all_the_time() -> None:
    """200 rollouts, 50 looks each, equal error, tolerance 0: at most 1 in 20 may go back."""
    random = np.random.default_rng(11)
    gates = Gates(minimum_labels=10_000, maximum_error_ratio=1.0)
    rolled_back = 0
    for _ in range(200):
        mine, theirs = random.lognormal(1, 0.8, 2_000), random.lognormal(1, 0.8, 2_000)
        for n in range(40, 2_001, 40):
            found = check_of(
                gates,
                side(losses=losses_of(mine[:n])),
                side(losses=losses_of(theirs[:n])),
                "error",
            )
            if found.finding is GateFinding.FAILED:
                rolled_back += 1
                break
    assert rolled_back <= 10


def with_label(losses: Losses, error: float) -> Losses:
    return losses + Losses(1, error, abs(error), error * error)


_any_error = st.one_of(
    st.floats(min_value=0.0),
    st.floats(min_value=0.0, max_value=1e7),
    st.sampled_from([0.0, 1.7e308, math.inf, math.nan, 1e154, 1e100, 1e6]),
)


@given(
    seed=st.integers(0, 10_000),
    counts=st.tuples(st.integers(30, 600), st.integers(30, 600)),
    spread=st.sampled_from([0.0, 1e-9, 0.01, 0.3, 1.0, 2.0]),
    worse=st.floats(1.0, 200.0),
    error=st.one_of(_any_error, st.floats(0.5, 2.0).map(lambda part: -part)),
    is_champions=st.booleans(),
    require_proof=st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_no_single_label_turns_failed_into_passed(
    seed: int,
    counts: tuple[int, int],
    spread: float,
    worse: float,
    error: float,
    is_champions: bool,
    require_proof: bool,
) -> None:
    random = np.random.default_rng(seed)
    gates = Gates(require_proof=require_proof)
    theirs = losses_of(random.lognormal(0, spread, counts[0]))
    mine = losses_of(worse * random.lognormal(0, spread, counts[1]))
    if check_of(gates, side(losses=mine), side(losses=theirs), "error").finding is not (
        GateFinding.FAILED
    ):
        return
    if error < 0:  # as much as makes the means just comparable
        wanted = mine.absolute_error / mine.count / gates.maximum_error_ratio
        error *= -1.0 * (wanted * (theirs.count + 1) - theirs.absolute_error)
    if is_champions:
        theirs = with_label(theirs, error)
    else:
        mine = with_label(mine, error)
    found = check_of(gates, side(losses=mine), side(losses=theirs), "error")
    assert found.finding is not GateFinding.PASSED


@pytest.mark.parametrize("error", [1e6, 45_000.0, 1e100, 1.7e308, math.inf, math.nan])
@pytest.mark.parametrize("require_proof", [False, True])
def test_one_label_of_the_champion_does_not_open_the_gate(
    error: float, require_proof: bool
) -> None:
    """A candidate with a mean error of 100, where the champion's is 1."""
    gates = Gates(require_proof=require_proof)
    candidate = side(losses=losses_of(np.full(500, 100.0)))
    champion = losses_of(np.ones(500))
    assert check_of(gates, candidate, side(losses=champion), "error").finding is GateFinding.FAILED
    opened = side(losses=with_label(champion, error))
    assert check_of(gates, candidate, opened, "error").finding is GateFinding.WAITING
    assert evaluate(gates, Evidence(candidate, opened), ALPHA).decision is Decision.HOLD


def test_a_few_labels_with_huge_errors_do_not_open_the_gate_either() -> None:
    candidate = side(losses=losses_of(np.full(500, 100.0)))
    champion = losses_of(np.concatenate([np.ones(500), np.full(5, 1e6)]))
    found = check_of(Gates(), candidate, side(losses=champion), "error")
    assert found.finding is GateFinding.WAITING
    assert "scatter too much" in found.text


@given(
    st.tuples(*[st.sampled_from([0.0, 1.0, 1e300, math.inf, -math.inf, math.nan])] * 3),
    st.booleans(),
    st.booleans(),
)
def test_sums_that_are_not_finite_pass_nothing(
    sums: tuple[float, float, float], is_champions: bool, require_proof: bool
) -> None:
    good, odd = losses_of(np.ones(500)), Losses(500, *sums)
    mine, theirs = (good, odd) if is_champions else (odd, good)
    found = check_of(
        Gates(require_proof=require_proof), side(losses=mine), side(losses=theirs), "error"
    )
    if not all(map(math.isfinite, sums[1:])):
        assert found.finding is GateFinding.WAITING


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("is_champions", [False, True])
def test_a_latency_that_is_not_finite_passes_nothing(value: float, is_champions: bool) -> None:
    good, odd = Latency(100, 10.0, 9.5, 10.5), Latency(100, value, 0.0, math.inf)
    mine, theirs = (good, odd) if is_champions else (odd, good)
    found = check_of(Gates(), side(latency=mine), side(latency=theirs), "latency")
    assert found.finding is GateFinding.WAITING


@given(st.lists(st.integers(0, 10**9).map(lambda n: n / 1_000), min_size=2, max_size=30))
def test_the_mean_without_the_largest_value_is_bounded_from_sums(values: list[float]) -> None:
    array = np.array(values)
    rest = (array.sum() - array.max()) / (len(values) - 1)
    bound = mean_without_largest(len(values), float(array.sum()), float((array**2).sum()))
    assert bound <= rest + 1e-6 * array.mean()


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_limit_is_finite(number: float) -> None:
    with pytest.raises(ValueError, match="maximum_error_ratio"):
        Gates(maximum_error_ratio=number)
