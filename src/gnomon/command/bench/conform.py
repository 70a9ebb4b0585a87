"""`gnomon bench conform`: hold a server against the Open Inference Protocol."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.output import emit, json_option, show, styled, table

if TYPE_CHECKING:
    from gnomon.bench.conform.suite import CaseResult

#: How each outcome is shown.
STYLES = {"failed": "red", "advice": "yellow"}


@click.command()
@click.argument("target")
@click.argument("model")
@click.option(
    "--rows",
    "rows_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON lines or CSV with a good row. Default: made from the metadata.",
)
@click.option("--all", "shows_all", is_flag=True, help="Also show the cases that passed.")
@json_option
def conform(target: str, model: str, rows_file: Path | None, shows_all: bool, as_json: bool) -> int:
    """Check a server against the Open Inference Protocol, version 2, clause by clause.

    TARGET is grpc://host:port or http://host:port (REST); MODEL is one that it serves. Every case
    is a call on the wire: health, metadata, good requests, and requests that must be refused.
    Exits with 0 if no case failed, 1 if one did, 4 if the server cannot be reached.

    An advice is no failure: the specification is kept, but a fault of the caller is called one of
    the server (500, INTERNAL, UNKNOWN).
    """
    from gnomon.bench.conform.subject import find_subject
    from gnomon.bench.conform.suite import conform_report, run_suite
    from gnomon.bench.load.rows import read_rows
    from gnomon.bench.load.target import parse_target

    rows = None if rows_file is None else list(read_rows(rows_file))
    subject = find_subject(parse_target(target), model, rows)
    results = run_suite(subject, lambda _: None)
    report = conform_report(subject, results)
    emit(report, as_json=as_json, render=lambda: _render(report, results, shows_all=shows_all))
    return 1 if report["counts"]["failed"] else 0


def _render(report: dict[str, Any], results: list["CaseResult"], *, shows_all: bool) -> None:
    shown = [
        [
            one.case.name,
            one.case.clause,
            styled(one.outcome.value, STYLES.get(one.outcome, "")),
            one.note,
        ]
        for one in results
        if shows_all or one.outcome.value in STYLES
    ]
    if shown:
        show(table("cases", ["case", "clause", "outcome", "note"], shown))
    rows = [[clause, *counts.values()] for clause, counts in report["clauses"].items()]
    show(table("clauses", ["clause", *report["counts"]], rows))
    counts = ", ".join(f"{count} {name}" for name, count in report["counts"].items())
    show(
        styled(f"{report['model']} at {report['target']} ({report['protocol']}): {counts}", "bold")
    )
