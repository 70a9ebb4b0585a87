"""`gnomon bench`: the group, and comparisons with peers in one run, interleaved."""

import importlib
from typing import Any

import click

from gnomon.command.bench.compare import compare
from gnomon.command.bench.conform import conform
from gnomon.command.bench.honest_server import honest_server
from gnomon.command.bench.load import load
from gnomon.command.bench.slo import slo
from gnomon.command.shared.output import emit, json_option, show, styled, table

#: What is compared, by CPU time → the modules whose `run()` returns `contract.CostComparison`.
COMPARISONS = {
    "core": ("gnomon.bench.core.contract", "gnomon.bench.core.window"),
    "predict": ("gnomon.bench.core.predict",),
    "trees": ("gnomon.bench.core.trees",),
    "serving": ("gnomon.bench.servers.serving",),
    "tls": ("gnomon.bench.servers.serving_tls",),
    "admission": ("gnomon.bench.servers.admission",),
    "generator": ("gnomon.bench.generator_peers",),
}

#: Former name of a comparison → its name.
DEPRECATED = {"gates": "admission"}

#: Evaluations with flags and tables of their own.
EVALUATIONS = {
    "commits": "gnomon.bench.commits",
    "drift": "gnomon.bench.drift_detection.drift",
    "datasets": "gnomon.bench.data.datasets",
    "registry": "gnomon.bench.hub.registry",
    "kills": "gnomon.bench.hub.kills",
    "node-calls": "gnomon.bench.hub.node_calls",
    "uploads": "gnomon.bench.hub.uploads",
    "swaps": "gnomon.bench.servers.swaps",
    "batching": "gnomon.bench.servers.batching",
    "batch": "gnomon.bench.data.batch",
    "trees-parity": "gnomon.bench.core.tree_parity",
    "onnx-models": "gnomon.bench.models.onnx_models",
    "startup": "gnomon.bench.servers.startup",
    "open-loop": "gnomon.bench.servers.open_loop",
    "drains": "gnomon.bench.servers.drains",
    "attacks": "gnomon.bench.attacks",
    "perf-analyzer": "gnomon.bench.servers.perf_analyzer",
}


@click.group()
def bench() -> None:
    """Load and check any model server, or measure Gnomon beside its peers.

    `load` and `slo` measure a server at an address, and `conform` holds it against the protocol.
    `honest-server` is one whose true percentiles are known. The others start what they measure
    themselves: CPU time, interleaved in one run, ratios. Peers that are not installed are left out;
    `pip install 'gnomon[bench]'` brings them.
    """


def _comparison(name: str, current: str = "") -> click.Command:
    modules = COMPARISONS[current or name]

    @click.command(
        name,
        help=f"Compare {' and '.join(modules)} with their peers.",
        hidden=bool(current),
        deprecated=f"use `gnomon bench {current}`." if current else False,
    )
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


bench.add_command(load)
bench.add_command(slo)
bench.add_command(conform)
bench.add_command(compare)
bench.add_command(honest_server)
for _name in COMPARISONS:
    bench.add_command(_comparison(_name))
for _name, _current in DEPRECATED.items():
    bench.add_command(_comparison(_name, _current))
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
                ratio if met else styled(ratio, "red"),
                "" if row["must"] is None else f"≤ {row['must']:g}",
            ]
        )
    columns = ["what", "ours, ns", "peer, ns", "per", "ratio", "must"]
    show(table(f"{title}: CPU time, interleaved", columns, shown))
