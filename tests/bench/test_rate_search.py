"""The search finds the highest rate that meets an objective, and confirms it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.bench.generator.loops import missing_library
from gnomon.bench.honest.answers import MODEL
from gnomon.bench.honest.law import ServiceLaw
from gnomon.bench.honest.server import HonestServer
from gnomon.bench.load.measure import prepare
from gnomon.bench.load.rate_search import LOWEST_RATE, MOST_TRIALS, RateSearch, TrialResult
from gnomon.bench.load.settings import LoadSettings
from gnomon.bench.load.slo import find_rate, slo_report
from gnomon.bench.load.target import parse_target
from gnomon.bench.load.verdict import Verdict
from gnomon.runtime.errors import ConfigurationError

MET, MISSED, VOID = TrialResult


def searched(search: RateSearch, capacity: float, above: TrialResult = MISSED) -> RateSearch:
    while (rate := search.next_rate()) is not None:
        search.add(rate, MET if rate <= capacity else above)
    return search


@given(st.floats(1, 1e6), st.floats(1, 1e6), st.floats(0.01, 0.5), st.integers(1, 4))
def test_what_is_found_is_within_the_precision(
    capacity: float, start: float, precision: float, confirmations: int
) -> None:
    search = searched(RateSearch(start, precision, confirmations), capacity)
    assert search.found is not None
    assert search.found <= capacity < search.found * (1 + precision) * (1 + 1e-9)
    assert not search.is_limited_by_generator
    # Each step halves the logarithm of the interval.
    doublings = abs(math.log2(capacity / start)) + 2
    assert len(search.trials) <= doublings + math.log2(math.log(2) / math.log1p(precision)) + 5


def test_a_server_that_meets_it_at_no_rate_ends_the_search() -> None:
    search = searched(RateSearch(100.0), 0.0)
    assert search.found is None
    assert min(one.rate for one in search.trials) >= LOWEST_RATE


def test_a_rate_that_the_generator_cannot_send_is_its_limit_not_the_servers() -> None:
    search = searched(RateSearch(100.0), 1_000.0, above=VOID)
    assert search.is_limited_by_generator
    assert not searched(RateSearch(100.0), 1_000.0).is_limited_by_generator


def test_one_miss_in_its_confirmation_lowers_what_is_found() -> None:
    search, misses = RateSearch(100.0, precision=0.1), 1
    while (rate := search.next_rate()) is not None:
        is_confirmation = rate == search.low
        missed = rate > 1_000 or (is_confirmation and misses > 0)
        misses -= is_confirmation and missed
        search.add(rate, MISSED if missed else MET)
    (lost,) = {one.rate for one in search.trials if one.result is MISSED and one.rate <= 1_000}
    assert search.found is not None
    assert search.found < lost


@given(st.lists(st.sampled_from(list(TrialResult)), min_size=MOST_TRIALS, max_size=MOST_TRIALS))
def test_no_answers_keep_it_from_ending(results: list[TrialResult]) -> None:
    search = RateSearch(100.0)
    for result in results:
        if (rate := search.next_rate()) is None:
            break
        assert rate >= LOWEST_RATE
        search.add(rate, result)
    assert search.next_rate() is None
    if search.found is not None:
        last = [one.result for one in search.trials if one.rate == search.found][-3:]
        assert last == [MET] * 3


@pytest.mark.skipif(missing_library() is not None, reason=str(missing_library()))
def test_a_server_is_searched() -> None:
    """Its 50 ms of service keep no bound below, and a bound of a minute at every rate."""
    with HonestServer(ServiceLaw(scale=0.05)) as server:
        test = prepare(parse_target(f"grpc://{server.address}"), MODEL)
        given = {"seconds": 0.2, "warm_up": 0.0, "lateness_floor_us": 1e6}
        for bound, verdict in ((10.0, Verdict.MISSED), (60_000.0, Verdict.MET)):
            settings = LoadSettings(rate=1.0, bound_ms=bound, timeout=120.0, **given)
            search = RateSearch(16.0, confirmations=1)
            if verdict is Verdict.MET:
                # As after a search that has come so far: one run confirms the rate.
                search.low, search.high = 16.0, 16.5
            result = find_rate(test, settings, search, lambda *_: None)
            assert result.verdict() is verdict
            assert result.verdict(at_least=1e6) is Verdict.MISSED
            report = slo_report(result)
            assert report["highest_rate_per_second"] == (16.0 if verdict is Verdict.MET else None)
        with pytest.raises(ConfigurationError, match="needs a bound"):
            find_rate(test, LoadSettings(rate=1.0), RateSearch(1.0), lambda *_: None)
