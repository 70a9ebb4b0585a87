"""The root command: finds the others lazily, and turns errors into messages and exit codes."""

import importlib
import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from gnomon.runtime.errors import Fault, GnomonError

#: Command → where it is, and its line in `gnomon --help` (so that help imports none of them).
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("gnomon.command.demo:demo", "Play the whole idea on real flights."),
    "package": (
        "gnomon.command.package.group:package",
        "Build, inspect, verify, push and pull packages.",
    ),
    "pipeline": (
        "gnomon.command.pipeline.group:pipeline",
        "Run builds of steps, by hand or by themselves; see what became of them.",
    ),
    "dataset": (
        "gnomon.command.dataset:dataset",
        "Know data by a fingerprint, and tell what has changed.",
    ),
    "hub": ("gnomon.command.hub.group:hub", "Run the hub, and speak with one."),
    "registry": (
        "gnomon.command.registry.group:registry",
        "Find, name, compare and follow versions; ask what ran when.",
    ),
    "serve": ("gnomon.command.serve:serve", "Serve packages over gRPC and REST."),
    "stream": ("gnomon.command.stream:stream", "Answer the records of a stream."),
    "key": ("gnomon.command.key:key", "Make and revoke the API keys of a server."),
    "agent": ("gnomon.command.agent:agent", "Run an edge agent as a daemon."),
    "predict": ("gnomon.command.predict:predict", "Predict rows with a package, without a server."),
    "bench": ("gnomon.command.bench:bench", "Measure Gnomon beside its peers."),
    "config": ("gnomon.command.config:config", "Show which settings hold, and why."),
}

#: Whose fault → exit code. 1 is kept for "it ran, and the answer is no".
EXIT_CODES = {Fault.CALLER: 2, Fault.PACKAGE: 3, Fault.HUB: 4, Fault.NODE: 5, Fault.US: 70}

EPILOG = """\b
Settings come from gnomon.toml (or --config), then GNOMON_<SECTION>_<NAME>, then flags.
Exit codes: 0 done; 1 the answer is no; 2 wrong call or setting; 3 bad package;
4 hub not reachable or wrong; 5 disk or node; 70 our own fault."""


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gnomon")
@click.option(
    "--config",
    "config_file",
    type=click.Path(exists=True, dir_okay=False),
    envvar="GNOMON_CONFIG",
    help="Settings file (TOML). Default: gnomon.toml here, if there is one.",
)
@click.pass_context
def root(ctx: click.Context, config_file: str | None) -> None:
    """Run models at the edge and on servers, and know how far the world has moved.

    Start with `gnomon demo`: a hub, a server and three devices on real flights.
    """
    ctx.obj = config_file


def run(arguments: Sequence[str]) -> int:
    """Run the command line with these arguments; return the exit code."""
    try:
        result: Any = root.main(list(arguments), prog_name="gnomon", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        return 130
    except GnomonError as error:
        _report(error, as_json="--json" in arguments)
        return EXIT_CODES[error.fault]
    return result if isinstance(result, int) else 0


def _report(error: GnomonError, *, as_json: bool) -> None:
    """Print an error for people on stderr, or as JSON for programs."""
    if as_json:
        payload = {"error": error.code, "message": str(error), "details": list(error.details)}
        click.echo(json.dumps(payload, default=str))
    click.echo(f"gnomon: {error}", err=True)
    sys.stderr.flush()
