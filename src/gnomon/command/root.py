"""The root command: imports the others lazily, and converts errors to messages and exit codes."""

import difflib
import importlib
import io
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from gnomon.command.shared.log_options import defer_log_of, log_options
from gnomon.command.shared.times import zone_option
from gnomon.runtime.errors import Fault, GnomonError

#: Command → its place and its line in `gnomon --help`, so that help imports none of them.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("gnomon.command.demo:demo", "Run the demo on real flights."),
    "package": (
        "gnomon.command.package.group:package",
        "Build, inspect, verify, push and pull packages.",
    ),
    "pipeline": (
        "gnomon.command.pipeline.group:pipeline",
        "Run builds of steps, once or on a schedule; list their runs.",
    ),
    "dataset": (
        "gnomon.command.dataset:dataset",
        "Fingerprint data, find changes, and profile tables.",
    ),
    "hub": ("gnomon.command.hub.group:hub", "Run a hub, and call one."),
    "alert": (
        "gnomon.command.hub.alert:alert",
        "See and silence a hub's alerts; test where they are sent.",
    ),
    "incident": (
        "gnomon.command.hub.incident:incident",
        "Open, note, resolve and search incidents.",
    ),
    "registry": (
        "gnomon.command.registry.group:registry",
        "Find, name, compare and trace versions; see what ran when.",
    ),
    "serve": ("gnomon.command.serve:serve", "Serve packages over gRPC and REST."),
    "stream": ("gnomon.command.stream:stream", "Answer the records of a stream."),
    "key": ("gnomon.command.key:key", "Make and revoke the API keys of a server."),
    "trust": (
        "gnomon.command.trust:trust",
        "Say what nodes trust; sign it offline; replace keys.",
    ),
    "agent": ("gnomon.command.agent.group:agent", "Run an edge agent as a daemon."),
    "predict": ("gnomon.command.predict:predict", "Predict rows with a package, without a server."),
    "batch": ("gnomon.command.batch:batch", "Score the rows of files, each part exactly once."),
    "bench": (
        "gnomon.command.bench.group:bench",
        "Load and check model servers, compare Gnomon with its peers.",
    ),
    "config": ("gnomon.command.config:config", "Show the settings and the source of each."),
}

#: Fault → exit code. 1 is reserved for "it ran, and the answer is no".
EXIT_CODES = {Fault.CALLER: 2, Fault.PACKAGE: 3, Fault.HUB: 4, Fault.NODE: 5, Fault.US: 70}

#: As of a process that SIGPIPE ended.
_BROKEN_PIPE = 128 + 13

EPILOG = """\b
Settings come from gnomon.toml (or --config), then GNOMON_<SECTION>_<NAME>, then flags.
Exit codes: 0 done; 1 the answer is no; 2 wrong call or setting; 3 bad package;
4 hub or server under test not reachable or wrong; 5 disk or node; 6 load test void or
unstable; 70 our own fault: an unexpected error is one line, and a file named in it has
the traceback."""


class _InterceptedError(Exception):
    """Carries an error past click, which would end with 1 or say that it was interrupted."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class LazyGroup(click.Group):
    """A group that imports a command when it is called."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; raise what click would mistake for its own as `_InterceptedError`."""
        try:
            return super().invoke(ctx)
        except (BrokenPipeError, EOFError) as error:
            raise _InterceptedError(error) from error

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

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the names that complete a word, without importing their commands."""
        found = [
            CompletionItem(name, help=line)
            for name, (_, line) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments call; suggest names near an unknown one."""
        name = args[0]
        if name in COMMANDS or name.startswith("-"):
            return super().resolve_command(ctx, args)
        near = " or ".join(map(repr, difflib.get_close_matches(name, COMMANDS)))
        hint = f" (did you mean {near}?)" if near else ""
        ctx.fail(f"No such command {name!r}{hint}.")

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
def root(ctx: click.Context, /, config_file: str | None, **_flags: Any) -> None:
    """Run models at the edge and on servers, and measure how far data have drifted.

    Start with `gnomon demo`: a hub, a server and three devices on real flights.
    """
    ctx.obj = config_file
    defer_log_of(ctx, config_file)


root.params += [zone_option(), *log_options()]


def run(arguments: Sequence[str]) -> int:
    """Run the command line with these arguments; return the exit code.

    No exception leaves it: an unexpected error becomes one line and a file with the traceback.
    """
    _escape_unencodable()
    try:
        result: Any = root.main(list(arguments), prog_name="gnomon", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        # 1 would say that the command ran, and that the answer is no.
        return max(error.exit_code, EXIT_CODES[Fault.CALLER])
    except click.Abort:
        click.echo("interrupted", err=True)
        return 130
    except GnomonError as error:
        _report(error, as_json="--json" in arguments)
        return EXIT_CODES[error.fault]
    except Exception as error:
        return _end_after(error.error if isinstance(error, _InterceptedError) else error, arguments)
    return result if isinstance(result, int) else 0


def _end_after(error: Exception, arguments: Sequence[str]) -> int:
    """Report an error that is not of our family; return the exit code."""
    if isinstance(error, BrokenPipeError):
        # The reader has enough, as `head` has. What is still buffered must not be written either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    from gnomon.command.failures import command_words, known_failure, report_unexpected

    command = command_words(root, arguments)
    known = known_failure(error, command, arguments)
    if known is None:
        report_unexpected(error, command)
        return EXIT_CODES[Fault.US]
    _report(known, as_json="--json" in arguments)
    return EXIT_CODES[known.fault]


def _escape_unencodable() -> None:
    """Let characters that the terminal's encoding lacks be shown by number, and fail nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _report(error: GnomonError, *, as_json: bool) -> None:
    """Print an error for people on stderr, or as JSON for programs."""
    if as_json:
        payload = {"error": error.code, "message": str(error), "details": list(error.details)}
        click.echo(json.dumps(payload, default=str))
    click.echo(f"gnomon: {error}", err=True)
    sys.stderr.flush()
