"""`gnomon bench`: measure Gnomon beside its peers, in one run, interleaved."""

import importlib
from typing import Any

import click

from gnomon.command.output import console, emit, json_option, table

#: What is compared, by CPU time → the modules whose `run()` returns `gnomon.bench.contract.Result`.
COMPARISONS = {
    "core": ("gnomon.bench.contract", "gnomon.bench.window"),
    "predict": ("gnomon.bench.predict",),
    "serving": ("gnomon.bench.serving",),
}

#: Evaluations with flags and tables of their own.
EVALUATIONS = {
    "drift": "gnomon.bench.drift",
    "datasets": "gnomon.bench.datasets",
    "registry": "gnomon.bench.registry",
    "kills": "gnomon.bench.kills",
    "swaps": "gnomon.bench.swaps",
    "batching": "gnomon.bench.batching",
    "startup": "gnomon.bench.startup",
}


@click.group()
def bench() -> None:
    """Measure Gnomon beside its peers: CPU time, interleaved in one run, ratios.

    Peers that are not installed are left out; `pip install 'gnomon[bench]'` brings them.
    """


def _comparison(name: str) -> click.Command:
    modules = COMPARISONS[name]

    @click.command(name, help=f"Compare {' and '.join(modules)} with their peers.")
    @json_option
    def command(as_json: bool) -> int:
        results = [one for module in modules for one in importlib.import_module(module).run()]
        rows = [
            {
                "what": one.what,
                "ours_ns": one.ours,
                "peer_ns": one.peer,
                "per": one.unit,
                "ratio": one.ratio,
                "must": one.must,
            }
            for one in results
        ]
        emit(rows, as_json=as_json, render=lambda: _render(name, rows))
        missed = [
            row for row in rows if row["must"] is not None and not row["ratio"] <= row["must"]
        ]
        return 1 if missed else 0

    return command


def _evaluation(name: str) -> click.Command:
    @click.command(
        name,
        help=f"Run {EVALUATIONS[name]}; its own flags follow (`-- --help`).",
        context_settings={"ignore_unknown_options": True},
    )
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def command(arguments: tuple[str, ...]) -> Any:
        return importlib.import_module(EVALUATIONS[name]).main(list(arguments)) or 0

    return command


for _name in COMPARISONS:
    bench.add_command(_comparison(_name))
for _name in EVALUATIONS:
    bench.add_command(_evaluation(_name))


def _render(title: str, rows: list[dict[str, Any]]) -> None:
    """Show the comparisons; a promise that was missed is red."""
    shown = []
    for row in rows:
        met = row["must"] is None or row["ratio"] <= row["must"]
        ratio = f"{row['ratio']:.2f}"
        shown.append(
            [
                row["what"],
                f"{row['ours_ns']:,.1f}",
                f"{row['peer_ns']:,.1f}",
                row["per"],
                ratio if met else f"[red]{ratio}[/]",
                "" if row["must"] is None else f"≤ {row['must']:g}",
            ]
        )
    columns = ["what", "ours, ns", "peer, ns", "per", "ratio", "must"]
    console.print(table(f"{title}: CPU time, interleaved", columns, shown))
