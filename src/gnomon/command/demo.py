"""`gnomon demo`: the whole idea on real flights, by real processes, checked."""

import json
import signal
import sys
from pathlib import Path

import click
from rich.console import Console

from gnomon.demo.report import DemoReport
from gnomon.runtime.errors import GnomonError
from gnomon.runtime.stop_signals import StopSignals

#: Wide enough that few lines of a log are wrapped.
_PIPE_COLUMNS = 140


@click.command()
@click.option("--size", type=click.Choice(["full", "small"]), default="full", show_default=True)
@click.option("--seed", default=0, show_default=True, help="The same seed trains the same models.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-data"),
    show_default=True,
    help="State and logs; what an earlier demo left there is removed.",
)
@click.option("--stay", is_flag=True, help="Leave everything up at the end, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON at the end.")
def demo(size: str, seed: int, folder: Path, stay: bool, as_json: bool) -> int:
    """Play the whole idea on 336,776 real flights.

    Trains models, builds signed packages, starts a hub, a server and three devices, replays
    flights, breaks a sensor, kills the hub, rolls one version out and another back, and checks that
    nothing counted was lost. Exits with 1 if anything of it did not happen.
    """
    from gnomon.demo.scenario import Scenario

    console = Console(stderr=as_json, width=None if sys.stdout.isatty() else _PIPE_COLUMNS)
    # However the demo is ended, its processes end with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    report = DemoReport(console)
    scenario = Scenario(folder, size=size, seed=seed, report=report)
    try:
        scenario.run(stay=stay)
        report.summarize()
        scenario.show_links()
        if stay:
            console.print("\nCtrl-C ends it.")
            with StopSignals() as stop:
                stop.wait()
    except GnomonError as error:
        report.check(False, str(error))
        report.summarize()
    finally:
        scenario.close()
    if as_json:
        checks = [
            # `act` is what `step` was called before.
            {"step": one.step, "act": one.step, "what": one.what, "passed": one.passed}
            for one in report.checks
        ]
        click.echo(json.dumps({"passed": report.passed, "checks": checks}, indent=2))
    return 0 if report.passed else 1
