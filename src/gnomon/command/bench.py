"""`gnomon bench`: measure Gnomon beside its peers, in one run, interleaved."""

import importlib
from typing import Any

import click

from gnomon.command.output import console, emit, json_option, table

#: What can be measured → the modules whose `run()` returns rows (what, ours, peer, ratio, must).
SUITES = {
    "core": ("gnomon.bench.contract", "gnomon.bench.window"),
    "predict": ("gnomon.bench.predict",),
}


@click.group()
def bench() -> None:
    """Measure Gnomon beside its peers: CPU time, interleaved in one run, ratios."""


def _suite(name: str) -> click.Command:
    @json_option
    def command(as_json: bool) -> None:
        rows: list[dict[str, Any]] = []
        for module in SUITES[name]:
            rows += importlib.import_module(module).run()
        emit(rows, as_json=as_json, render=lambda: _render(name, rows))

    help_text = f"Measure {name}: {', '.join(SUITES[name])}."
    return click.command(name, help=help_text)(command)


for _name in SUITES:
    bench.add_command(_suite(_name))


def _render(title: str, rows: list[dict[str, Any]]) -> None:
    columns = list(rows[0]) if rows else []
    console.print(table(title, columns, [[row[column] for column in columns] for row in rows]))
