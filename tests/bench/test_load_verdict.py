"""When a run is void, when runs agree, and how a load test ends: decided without a clock."""

from typing import Any

import numpy as np
import pytest

from gnomon.bench.generator.histogram import Histogram
from gnomon.bench.generator.loops import CELLS, cell_of
from gnomon.bench.load.answers import AnswerCheck
from gnomon.bench.load.html_report import html_page
from gnomon.bench.load.measure import LoadTest, Measured, add_run
from gnomon.bench.load.report import csv_text, report_of
from gnomon.bench.load.results import RunResult, Slot, merge_runs
from gnomon.bench.load.settings import LoadSettings
from gnomon.bench.load.target import parse_target
from gnomon.bench.load.verdict import EXIT_CODES, Verdict, agree, interval_of, void_reason
from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import ConfigurationError

TARGET = parse_target("grpc://127.0.0.1:1")
OPEN = LoadSettings(rate=100.0)


def histogram(microseconds: float, count: int = 100) -> Histogram:
    counts = np.zeros(CELLS, dtype=np.uint64)
    counts[cell_of(round(microseconds * 1e3))] = count
    return Histogram(counts)


def run(
    latency_us: float = 10_000,
    late_us: float = 1,
    outcomes: tuple[int, ...] = (100, 0, 0, 0, 0, 0),
    **more: Any,
) -> RunResult:
    given: dict[str, Any] = {
        "seconds": 1.0,
        "latency": histogram(latency_us),
        "service": histogram(latency_us),
        "lateness": histogram(late_us),
        "outcomes": np.array(outcomes, dtype=np.uint64),
        "statuses": {0: 100},
        "slots": [Slot(np.array(outcomes, dtype=np.uint64), histogram(latency_us))],
        "slot_seconds": 1.0,
        "cpu_seconds": 0.001,
        "waited": 0,
        "reconnects": 0,
        "has_ended_early": False,
        "kept": [],
    }
    return RunResult(**given | more)


def measured(settings: LoadSettings, *runs: RunResult, is_golden: bool = False) -> Measured:
    check = AnswerCheck(TARGET, [{"y": [1.0]}], 0, 0, is_golden)
    found = Measured(LoadTest(TARGET, "<m>", [(b"", None)], check, [], "rows"), settings)
    for one in runs:
        add_run(found, one)
    return found


@pytest.mark.parametrize(
    ("latency_us", "late_us", "settings", "is_void"),
    [
        (10_000, 90, OPEN, False),  # below a hundredth of the percentile
        (10_000, 110, OPEN, True),
        (100, 15, OPEN, False),  # below the floor
        (100, 25, OPEN, True),
        (100, 25, LoadSettings(rate=100.0, lateness_floor_us=30), False),
        (100, 25, LoadSettings(), False),  # a closed loop has no due times
    ],
)
def test_a_run_is_void_if_its_own_lateness_is_more_than_a_hundredth_of_the_percentile(
    latency_us: float, late_us: float, settings: LoadSettings, is_void: bool
) -> None:
    reason = void_reason(run(latency_us, late_us), settings)
    assert (reason is not None) == is_void
    if reason is not None:
        assert f"{late_us:,.0f} µs late" in reason


def test_a_run_without_a_request_is_void() -> None:
    nothing = run(outcomes=(0, 0, 0, 0, 0, 0), latency=Histogram.empty())
    assert void_reason(nothing, LoadSettings()) == "no request was due in the measured time"


def test_runs_agree_if_they_are_near_their_median() -> None:
    assert agree([run(10_000), run(10_500), run(9_600)], OPEN)
    assert not agree([run(10_000), run(12_000), run(10_000)], OPEN)
    assert not agree([run(), run(), run(outcomes=(50, 50, 0, 0, 0, 0))], OPEN)
    assert not agree([run(), run(), run(latency=Histogram.empty())], OPEN)


def test_the_interval_is_that_of_students_t() -> None:
    found = interval_of([1.0, 2.0, 3.0])
    assert found.mean == 2
    assert found.high - 2 == pytest.approx(4.303 / 3**0.5)
    assert interval_of([1.0]).low != interval_of([1.0]).low


@pytest.mark.parametrize(
    ("settings", "runs", "is_golden", "verdict"),
    [
        (OPEN, [run()] * 3, False, Verdict.MET),
        (LoadSettings(bound_ms=11.0), [run()] * 3, False, Verdict.MET),
        (LoadSettings(bound_ms=9.0), [run()] * 3, False, Verdict.MISSED),
        (OPEN, [run()] * 2, False, Verdict.VOID),
        (OPEN, [run(late_us=500)] * 6, False, Verdict.VOID),
        (OPEN, [run(), run(20_000)] * 3, False, Verdict.UNSTABLE),
        (OPEN, [run(outcomes=(99, 1, 0, 0, 0, 0))] * 3, False, Verdict.ERRORS),
        (LoadSettings(most_errors=0.02), [run(outcomes=(99, 1, 0, 0, 0, 0))] * 3, False, "met"),
        (OPEN, [run(kept=[(0, b"\0\0\0\0\0")])] * 3, True, Verdict.WRONG),
        (OPEN, [run(kept=[(0, b"\0\0\0\0\0")])] * 3, False, Verdict.MET),
        (OPEN, [run(), run(has_ended_early=True)], False, Verdict.UNREACHABLE),
        (OPEN, [], False, Verdict.UNREACHABLE),
    ],
)
def test_a_load_test_ends_with_the_gravest_of_what_holds(
    settings: LoadSettings, runs: list[RunResult], is_golden: bool, verdict: str
) -> None:
    found = measured(settings, *runs, is_golden=is_golden)
    assert found.verdict == verdict
    # Whatever the verdict, there is a report.
    assert report_of(found)["verdict"] == verdict
    assert csv_text(found).count("\n") == len(runs) + 1
    assert "<svg" in html_page(found) or not runs


def test_each_verdict_has_its_exit_code() -> None:
    codes = {one.value: code for one, code in EXIT_CODES.items()}
    assert codes == {
        **{"unreachable": 4, "wrong answers": 1, "errors": 1},
        **{"void": 6, "unstable": 6, "bound missed": 1, "met": 0},
    }


def test_the_page_escapes_what_others_have_named_and_needs_no_network() -> None:
    page = html_page(measured(OPEN, *[run()] * 3))
    assert "<m>" not in page
    assert "&lt;m&gt;" in page
    assert not any(word in page for word in ("http:", "https:", "src=", "href="))


def test_void_runs_are_repeated_and_told_of() -> None:
    found = measured(OPEN, run(late_us=500), run(), run(), run())
    assert found.verdict is Verdict.MET
    assert len(found.void) == 1
    assert len(found.kept) == 3


def test_merged_runs_have_the_sum_of_what_was_counted() -> None:
    both = merge_runs([run(), run(20_000)], at_once=False)
    assert (both.requests, both.seconds, len(both.slots)) == (200, 2.0, 2)
    at_once = merge_runs([run(), run(20_000)], at_once=True)
    assert (at_once.requests, at_once.seconds, len(at_once.slots)) == (200, 1.0, 1)
    assert at_once.slots[0].latency.total == 200
    assert at_once.per_second == 200


@pytest.mark.parametrize(
    "change",
    [
        {"rate": float("nan")},
        {"rate": 0.0},
        {"connections": 0},
        {"percentile": 100.0},
        {"bound_ms": -1.0},
        {"seconds": float("inf")},
        {"threads": 2},
        {"repeats": 3, "most_repeats": 2},
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        LoadSettings(**change)


@pytest.mark.parametrize(
    "text",
    ["ftp://h:1", "grpc://h", "http://h:1/path", "grpc://h:x", "grpcs://h:1", "grpc://u@h:1"],
)
def test_a_target_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_target(text)


def test_golden_outputs_agree_within_their_tolerance() -> None:
    check = AnswerCheck(TARGET, [{"y": [100.0]}, {"y": ["a"]}], 1e-5, 1e-2, is_golden=True)

    def answer(values: list[float]) -> bytes:
        message = oip.ModelInferResponse()
        output = message.outputs.add(name="y", datatype="FP64", shape=[len(values), 1])
        output.contents.fp64_contents.extend(values)
        encoded: bytes = message.SerializeToString()
        return encoded

    assert check.fault(0, answer([100.9])) is None
    assert check.fault(0, answer([102.0])) == "row 0: 'y' is [102.0], expected [100.0]"
    assert check.fault(0, answer([float("nan")])) is not None
    assert check.fault(0, answer([100.0, 100.0])) is not None
    assert check.fault(1, answer([1.0])) is not None
    assert check.fault(0, b"") == "row 0: there is no output 'y'"
    assert "no answer of the protocol" in str(check.fault(0, b"\xff"))
