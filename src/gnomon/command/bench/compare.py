"""`gnomon bench compare`: two saved reports of load tests."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.output import emit, json_option, show, styled, table

if TYPE_CHECKING:
    from gnomon.bench.load.comparison import FigureRatio

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("before", type=FILE)
@click.argument("after", type=FILE)
@click.option("--percentile", type=float, default=99.0, show_default=True, help="Latency watched.")
@click.option(
    "--most-worse", type=float, default=0.05, show_default=True, help="Share by which it may grow."
)
@json_option
def compare(before: Path, after: Path, percentile: float, most_worse: float, as_json: bool) -> int:
    """Compare BEFORE and AFTER, reports that `gnomon bench load --json` has printed.

    Prints the ratio of answers a second and of each percentile, with 95 % confidence intervals over
    runs. Exits with 1 if the percentile has surely grown by more than --most-worse: if all of its
    interval is above. Reports of different loads are refused.
    """
    from gnomon.bench.load.comparison import compare_reports, read_report

    reports = [read_report(before), read_report(after)]
    ratios = compare_reports(*reports)
    rows = [_row(one) for one in ratios]
    warnings = [
        f"{path}: {report.get('verdict')}{', beside other work' if report.get('is_marked') else ''}"
        for path, report in zip((before, after), reports, strict=True)
        if report.get("verdict") != "met" or report.get("is_marked")
    ]
    emit(
        {"ratios": rows, "warnings": warnings},
        as_json=as_json,
        render=lambda: _render(rows, warnings),
    )
    name = f"p{percentile:g}_ms"
    return int(any(one.is_worse(most_worse) for one in ratios if one.name == name))


def _row(one: "FigureRatio") -> dict[str, Any]:
    return {
        "figure": one.name,
        "before": one.before,
        "after": one.after,
        "ratio": one.ratio,
        "low": None if math.isnan(one.low) else one.low,
        "high": None if math.isnan(one.high) else one.high,
    }


def _render(rows: list[dict[str, Any]], warnings: list[str]) -> None:
    shown = [
        [
            row["figure"],
            *(f"{row[name]:.4g}" for name in ("before", "after", "ratio")),
            "one run" if row["low"] is None else f"{row['low']:.3g} to {row['high']:.3g}",
        ]
        for row in rows
    ]
    show(table("after to before", ["figure", "before", "after", "ratio", "95 % interval"], shown))
    for one in warnings:
        show(styled(one, "red"))
