"""`gnomon bench slo`: the highest rate at which a server keeps its objective."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.output import emit, json_option, show, styled, table

if TYPE_CHECKING:
    from gnomon.bench.load.rate_search import TrialResult
    from gnomon.bench.load.results import RunResult


@click.command()
@click.argument("target")
@click.argument("model")
@click.option(
    "--bound", "bound_ms", type=float, required=True, help="Milliseconds the percentile must keep."
)
@click.option("--percentile", type=float, default=99.0, show_default=True, help="Of the latency.")
@click.option(
    "--most-errors", type=float, default=0.0, show_default=True, help="Share that may fail."
)
@click.option("--at-least", type=float, help="Requests a second that are promised.")
@click.option(
    "--start", type=float, default=100.0, show_default=True, help="Requests a second tried first."
)
@click.option(
    "--precision", type=float, default=0.05, show_default=True, help="At which the search ends."
)
@click.option(
    "--confirmations", type=int, default=3, show_default=True, help="Runs that must meet it."
)
@click.option(
    "--arrivals",
    type=click.Choice(["constant", "poisson", "gamma"]),
    default="poisson",
    show_default=True,
    help="Pattern of the requests.",
)
@click.option(
    "--burstiness", type=float, default=1.0, show_default=True, help="Of gamma; 1 is Poisson."
)
@click.option("--connections", type=int, default=8, show_default=True, help="To the server.")
@click.option("--threads", type=int, default=1, show_default=True, help="Cores for the generator.")
@click.option("--seconds", type=float, default=5.0, show_default=True, help="Length of each run.")
@click.option("--timeout", type=float, default=5.0, show_default=True, help="Of each request, s.")
@click.option(
    "--rows",
    "rows_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON lines or CSV. Default: made from the metadata.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of rows and arrivals.")
@json_option
def slo(
    target: str,
    model: str,
    at_least: float | None,
    start: float,
    precision: float,
    confirmations: int,
    arrivals: str,
    rows_file: Path | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Find the highest rate at which the MODEL at TARGET keeps a percentile under a bound.

    Each trial is an open loop: latency counts from when a request was due. The rate is doubled
    until a run misses the objective, then the interval is halved, and the rate that is left must
    meet it in several runs. TARGET is as for `gnomon bench load`. Exits with 0 if a rate was found
    that is at least the promised one, 1 if not, 4 if the server cannot be reached or has left, 6 if
    the generator is the limit.
    """
    from gnomon.bench.generator.arrivals import Arrivals
    from gnomon.bench.load.measure import prepare
    from gnomon.bench.load.rate_search import RateSearch
    from gnomon.bench.load.settings import LoadSettings
    from gnomon.bench.load.slo import find_rate, slo_report
    from gnomon.bench.load.target import parse_target
    from gnomon.bench.load.verdict import EXIT_CODES

    settings = LoadSettings(rate=start, arrivals=Arrivals(arrivals), **given)
    search = RateSearch(start, precision, confirmations)
    test = prepare(parse_target(target), model, rows_file=rows_file, seed=settings.seed)
    result = find_rate(test, settings, search, _show_trial)
    report = slo_report(result, at_least)
    emit(report, as_json=as_json, render=lambda: _render(report))
    return EXIT_CODES[result.verdict(at_least)]


def _show_trial(rate: float, run: "RunResult", shown: "TrialResult") -> None:
    """Say on standard error what a run has shown, as soon as it has ended."""
    p99 = run.latency.percentile(99) / 1e6
    click.echo(f"{rate:,.1f} requests/s: {shown.value}, p99 {p99:,.3f} ms", err=True)


def _render(report: dict[str, Any]) -> None:
    found, missed = report["highest_rate_per_second"], report["lowest_rate_missed_per_second"]
    objective = report["objective"]
    words = f"p{objective['percentile']:g} at most {objective['bound_ms']:g} ms"
    rate = "no rate" if found is None else f"{found:,.1f} requests/s"
    show(styled(f"{report['model']} at {report['target']}: {words}: {rate}", "bold"))
    if missed is not None:
        show(f"missed at {missed:,.1f} requests/s; confirmed by {report['confirmations']} runs")
    if report["is_limited_by_generator"]:
        show(styled("above, the generator was late: the server may keep more", "red"))
    columns = ["rate", "goodput", "p50 ms", "p99 ms", "errors"]
    rows = [
        [
            f"{one['rate']:,.1f}",
            f"{one['goodput_per_second']:,.1f}",
            one["p50_ms"],
            one["p99_ms"],
            one["error_share"],
        ]
        for one in report["runs"]
    ]
    show(table("runs, in their order", columns, rows))
    if report["is_marked"]:
        share = report["machine"]["busy_before"]
        show(styled(f"taken beside other work: {share:.0%} of all cores were in use", "red"))
