"""`gnomon registry alias` and `tag`: names that move, and facts about a version."""

from typing import TYPE_CHECKING

import click

from gnomon.command.shared.hub_command import CommandResult, as_table, hub_command
from gnomon.command.shared.references import resolve_reference
from gnomon.runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient


@click.command()
@click.argument("reference", metavar="NAME[@VERSION]")
@click.argument("name", metavar="ALIAS", required=False)
@click.option("--remove", is_flag=True, help="Remove ALIAS.")
@hub_command
def alias(client: "HubClient", reference: str, name: str | None, remove: bool) -> CommandResult:
    """Point ALIAS to NAME@VERSION, or, without ALIAS, list the aliases of NAME."""
    if name is None or remove:
        model, version = reference.partition("@")[0], None
    else:
        model, version = resolve_reference(client, reference)
    path = f"models/{model}/aliases"
    if name is None:
        payload = client.get(path)
    else:
        payload = client.post(path, {"alias": name, "version": version})
    return as_table(payload, "Aliases", ["alias", "version"], payload.items())


@click.command()
@click.argument("reference", metavar="NAME@VERSION")
@click.argument("tags", metavar="KEY=VALUE...", nargs=-1)
@click.option("--remove", multiple=True, metavar="KEY", help="Take a tag away.")
@hub_command
def tag(
    client: "HubClient", reference: str, tags: tuple[str, ...], remove: tuple[str, ...]
) -> CommandResult:
    """Set tags of NAME@VERSION, each as KEY=VALUE."""
    name, version = resolve_reference(client, reference)
    body: dict[str, str | None] = dict.fromkeys(remove)
    for one in tags:
        key, separator, value = one.partition("=")
        if not separator:
            raise ConfigurationError(f"{one!r} should be KEY=VALUE")
        body[key] = value
    payload = client.post(f"models/{name}/versions/{version}/tags", {"tags": body})
    return as_table(payload, "Tags", ["tag", "value"], payload.items())
