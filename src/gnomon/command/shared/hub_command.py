"""Commands that call a hub: what finds the hub, and what shows its answer."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate

import click

from gnomon.command.shared.listing import render_list
from gnomon.command.shared.output import emit, json_option, show, table
from gnomon.runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient

DEFAULT_URL = "http://127.0.0.1:8600"
_KEY_FILE = "gnomon.api_key_file"
_AUTHORITY_FILE = "gnomon.authority_file"

environment_option = click.option(
    "--env", "environment", default="production", show_default=True, help="The environment."
)
reason_option = click.option("--reason", default="", help="Why; it is written to the audit record.")


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command prints, and its exit code.

    Attributes:
        payload: what `--json` prints.
        render: shows it to a person.
        exit_code: 0, or 1 if the answer is no.
    """

    payload: Any
    render: Callable[[], None]
    exit_code: int = 0


def as_list(
    payload: Sequence[Mapping[str, Any]], title: str, columns: Sequence[str]
) -> CommandResult:
    """Return an answer that is shown as a table of records, with these columns or `--wide`."""
    return CommandResult(payload, lambda: render_list(title, payload, columns))


def as_line(payload: Any, *parts: object) -> CommandResult:
    """Return an answer that is shown as one line of these parts."""
    return CommandResult(payload, lambda: show(*parts))


def as_table(
    payload: Any, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> CommandResult:
    """Return an answer that is shown as a table.

    Args:
        payload: what `--json` prints.
        title: above the table.
        columns: their headings.
        rows: one value a column.
    """
    return CommandResult(payload, lambda: show(table(title, columns, rows)))


def _remember(name: str) -> Callable[[click.Context, click.Parameter, Path | None], None]:
    def remember(context: click.Context, _: click.Parameter, file: Path | None) -> None:
        context.meta[name] = file

    return remember


def _key_or_file(context: click.Context, _: click.Parameter, key: str | None) -> str | None:
    """Return the key that was given, or else that of the file.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    file = context.meta.get(_KEY_FILE)
    if key or file is None:
        return key
    try:
        return str(file.read_text(encoding="ascii").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"no API key can be read from {file}: {error}") from error


def client_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags by which a hub is found, and `--json`."""
    for option in (
        click.option("--url", envvar="GNOMON_HUB_URL", default=DEFAULT_URL, show_default=True),
        click.option(
            "--api-key",
            envvar="GNOMON_HUB_API_KEY",
            callback=_key_or_file,
            help="Not needed for a hub of the same user on this machine.",
        ),
        click.option(
            "--api-key-file",
            envvar="GNOMON_HUB_API_KEY_FILE",
            type=click.Path(path_type=Path, dir_okay=False),
            is_eager=True,
            expose_value=False,
            callback=_remember(_KEY_FILE),
            help="A file that holds the API key, such as local.key in the hub's data folder.",
        ),
        click.option(
            "--authority-file",
            envvar="GNOMON_HUB_AUTHORITY_FILE",
            type=click.Path(path_type=Path, dir_okay=False),
            expose_value=False,
            callback=_remember(_AUTHORITY_FILE),
            help="Certificates by which the hub's TLS is verified, PEM.",
        ),
        json_option,
    ):
        command = option(command)
    return command


def connect(url: str, api_key: str | None) -> "HubClient":
    """Return a client of the hub that the flags of the running command name."""
    from gnomon.client.hub import HubClient

    authority_file = click.get_current_context().meta.get(_AUTHORITY_FILE)
    return HubClient(url, api_key=api_key, authority_file=authority_file)


def hub_command(
    function: "Callable[Concatenate[HubClient, ...], CommandResult]",
) -> Callable[..., Any]:
    """Call a function with a client of the hub that the flags name, and print its answer.

    The client is the first argument and is closed afterwards. Its import waits for the call.
    """

    @functools.wraps(function)
    def command(url: str, api_key: str | None, as_json: bool, **arguments: Any) -> int:
        with connect(url, api_key) as client:
            answer = function(client, **arguments)
        emit(answer.payload, as_json=as_json, render=answer.render)
        return answer.exit_code

    return client_options(command)


def without_none(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that were given: all that are not None."""
    return {name: value for name, value in parameters.items() if value is not None}
