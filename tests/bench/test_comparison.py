"""Saved reports are compared by ratios with intervals, if their loads are the same."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gnomon.bench.load.comparison import compare_reports, read_report
from gnomon.command.bench.compare import compare
from gnomon.runtime.errors import ConfigurationError

LOAD = {"loop": "open", "rate_per_second": 100.0, "connections": 1}


def report(*p99: float | None, **load: Any) -> dict[str, Any]:
    runs = [{"p99_ms": one, "answered_per_second": 100.0} for one in p99]
    return {"runs": runs, "load": LOAD | load, "verdict": "met", "is_marked": False}


@given(st.lists(st.floats(0.01, 1e3), min_size=2, max_size=8), st.floats(0.1, 10))
def test_a_ratio_is_that_of_all_runs_and_its_interval_holds_it(
    values: list[float], factor: float
) -> None:
    ratios = compare_reports(report(*values), report(*(one * factor for one in values)))
    (rate, p99) = ratios
    assert (rate.name, rate.ratio) == ("answered_per_second", 1.0)
    assert p99.ratio == pytest.approx(factor)
    assert p99.low <= p99.ratio * (1 + 1e-12)
    assert p99.ratio <= p99.high * (1 + 1e-12)


def test_only_what_is_sure_is_worse() -> None:
    before = report(10.0, 10.1, 9.9)
    (_, steady) = compare_reports(before, report(12.0, 12.1, 11.9))
    assert steady.is_worse(0.05)
    (_, noisy) = compare_reports(before, report(8.0, 12.0, 16.0))
    assert not noisy.is_worse(0.05)
    (_, single) = compare_reports(before, report(20.0))
    assert math.isnan(single.low)
    assert not single.is_worse(0.05)


def test_runs_without_a_figure_are_left_out() -> None:
    (_, p99) = compare_reports(report(10.0, None, 10.0), report(10.0, 10.0))
    assert p99.ratio == 1


@pytest.mark.parametrize("change", [{"loop": "closed"}, {"rate_per_second": 50.0}])
def test_reports_of_different_loads_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"the loads differ: {next(iter(change))}"):
        compare_reports(report(1.0), report(1.0, **change))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"runs": 1, "load": {}}', "[" * 10_000])
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ConfigurationError, match=r"a\.json is no report"):
        read_report(tmp_path / "a.json")


def test_the_command_exits_with_1_if_the_percentile_is_surely_worse(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("before.json", "after.json")]
    for file, values in zip(files, ((10.0, 10.1, 9.9), (12.0, 12.1, 11.9)), strict=True):
        Path(file).write_text(json.dumps(report(*values)))
    for order, code in ((files, 1), (files[::-1], 0)):
        done = CliRunner().invoke(compare, [*order, "--json"], standalone_mode=False)
        assert done.return_value == code
        assert json.loads(done.output)["warnings"] == []
