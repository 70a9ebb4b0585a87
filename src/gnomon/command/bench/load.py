"""`gnomon bench load`: measure a model server at an address."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.output import emit, json_option, show, styled

if TYPE_CHECKING:
    from gnomon.bench.load.measure import Measured
    from gnomon.bench.load.results import RunResult

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("target")
@click.argument("model")
@click.option("--rate", type=float, help="Requests a second, an open loop; default: closed loop.")
@click.option(
    "--arrivals",
    type=click.Choice(["constant", "poisson", "gamma"]),
    default="constant",
    show_default=True,
    help="Pattern of the requests of an open loop.",
)
@click.option(
    "--burstiness", type=float, default=1.0, show_default=True, help="Of gamma; 1 is Poisson."
)
@click.option("--connections", type=int, default=1, show_default=True, help="To the server.")
@click.option(
    "--streams",
    type=int,
    default=0,
    help="Requests at the same time on each connection. Default: 1 in a closed loop, 100 in an "
    "open one, 1 over HTTP/1.",
)
@click.option("--threads", type=int, default=1, show_default=True, help="Cores for the generator.")
@click.option("--seconds", type=float, default=5.0, show_default=True, help="Length of each run.")
@click.option(
    "--warm-up", type=float, default=1.0, show_default=True, help="Seconds before, not counted."
)
@click.option("--timeout", type=float, default=10.0, show_default=True, help="Of each request, s.")
@click.option(
    "--repeats",
    type=int,
    default=3,
    show_default=True,
    help="Runs that must agree.",
)
@click.option(
    "--most-repeats", type=int, help="Runs that are tried at most. Default: twice the repeats."
)
@click.option(
    "--percentile", type=float, default=99.0, show_default=True, help="The one that is promised."
)
@click.option("--bound", "bound_ms", type=float, help="Milliseconds the percentile must keep.")
@click.option(
    "--most-errors", type=float, default=0.0, show_default=True, help="Share that may fail."
)
@click.option(
    "--stability", type=float, default=0.1, show_default=True, help="By how much runs may differ."
)
@click.option(
    "--rows", "rows_file", type=FILE, help="JSON lines or CSV. Default: made from the metadata."
)
@click.option(
    "--golden",
    "golden_file",
    type=click.Path(path_type=Path),
    help="Rows and right outputs: a package's folder, or a file such as its golden.json.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of rows and arrivals.")
@click.option("--csv", "csv_file", type=FILE, help="Write one line for each run.")
@click.option("--html", "html_file", type=FILE, help="Write a page with curves.")
@json_option
def load(
    target: str,
    model: str,
    arrivals: str,
    rows_file: Path | None,
    golden_file: Path | None,
    csv_file: Path | None,
    html_file: Path | None,
    as_json: bool,
    most_repeats: int | None,
    **given: Any,
) -> int:
    """Measure the MODEL of a server of the Open Inference Protocol at TARGET.

    TARGET is grpc://host:port, http://host:port (REST over HTTP/1) or h2c://host:port (REST over
    HTTP/2). Rows are made from what the server says of the model, unless --rows or --golden gives
    them, and each is sent once before the runs.

    With --rate, latency counts from when a request was due. A run in which the generator itself was
    late is void. Exits with 0 if the bound is met, 1 if not, or if answers were wrong or failed, 2
    for a wrong call, 4 if the server cannot be reached or has left, 6 if runs are void or differ.
    """
    from gnomon.bench.generator.arrivals import Arrivals
    from gnomon.bench.load.measure import prepare, run_load
    from gnomon.bench.load.report import report_of
    from gnomon.bench.load.settings import LoadSettings
    from gnomon.bench.load.target import parse_target
    from gnomon.bench.load.verdict import EXIT_CODES

    settings = LoadSettings(
        arrivals=Arrivals(arrivals), most_repeats=most_repeats or 2 * given["repeats"], **given
    )
    test = prepare(
        parse_target(target),
        model,
        rows_file=rows_file,
        golden_file=golden_file,
        seed=settings.seed,
    )
    measured = run_load(test, settings, _show_run)
    _write_files(measured, csv_file, html_file)
    emit(report_of(measured), as_json=as_json, render=lambda: _render(measured))
    return 130 if measured.was_interrupted else EXIT_CODES[measured.verdict]


def _show_run(run: "RunResult", void: str | None) -> None:
    """Say on standard error what a run has found, as soon as it has ended."""
    p50, p99 = (run.latency.percentile(one) / 1e6 for one in (50, 99))
    line = f"{run.per_second:,.0f} answers/s, p50 {p50:,.3f} ms, p99 {p99:,.3f} ms"
    failed = f", {run.requests - run.answered} failed" if run.requests > run.answered else ""
    click.echo(f"{line}{failed}{'' if void is None else f'; void: {void}'}", err=True)


def _write_files(measured: "Measured", csv_file: Path | None, html_file: Path | None) -> None:
    from gnomon.bench.load.html_report import html_page
    from gnomon.bench.load.report import csv_text

    if csv_file is not None:
        csv_file.write_text(csv_text(measured), encoding="utf-8")
    if html_file is not None:
        html_file.write_text(html_page(measured), encoding="utf-8")


def _render(measured: "Measured") -> None:
    from gnomon.bench.load.report import report_of

    report = report_of(measured)
    show(styled(f"{report['model']} at {report['target']}: {report['verdict']}", "bold"))
    show(report["load"]["meaning"])
    for name, value in (report["figures"] or {}).items():
        show(f"  {name}: ", "unknown" if value is None else value)
    for name, interval in report["intervals_95"].items():
        if interval is not None and interval["low"] is not None:
            ends = f"{interval['low']} to {interval['high']}"
            show(f"  {name}, mean of runs: {interval['mean']} ({ends})")
    failed = {name: count for name, count in (report["outcomes"] or {}).items() if count}
    show(f"  outcomes: {failed}; statuses: {report['statuses']}")
    answers = report["answers"]
    show(f"  answers held against {answers['checked_against']}: {answers['other_bytes']} differ")
    for one in (*answers["wrong"], *answers["other_values"]):
        show(styled(f"  {one}", "red"))
    for one in report["void_runs"]:
        show(styled(f"  void run: {one}", "red"))
    if report["is_marked"]:
        share = report["machine"]["busy_before"]
        show(
            styled(f"  taken beside other work: {share:.0%} of the cores were in use before", "red")
        )
