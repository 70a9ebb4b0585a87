"""`gnomon key`: the API keys of a server (setting `serve.keys_file`)."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gnomon.command.shared.listing import render_list
from gnomon.command.shared.output import emit, json_option, show, styled

FILE = click.option(
    "--file",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("keys.json"),
    show_default=True,
    help="The file of keys; it holds their hashes.",
)


@click.group()
def key() -> None:
    """Make, list and revoke the API keys of `gnomon serve --keys-file`.

    A running server applies changes of the file at once.
    """


@key.command()
@click.argument("name")
@click.option("--model", "models", multiple=True, help="Only for this model; may be repeated.")
@FILE
@json_option
def create(name: str, models: tuple[str, ...], file: Path, as_json: bool) -> None:
    """Make a key for NAME and show it, once: only its hash is kept."""
    from gnomon.server.serving.admission.key_file import create_key

    made = create_key(file, name, models)
    payload = {"name": name, "models": list(models) or ["*"], "key": made}
    emit(
        payload,
        as_json=as_json,
        render=lambda: show("shown only now: ", styled(made, "bold")),
    )


@key.command("list")
@FILE
@json_option
def list_keys(file: Path, as_json: bool) -> None:
    """List the keys by id, with owner and models."""
    from gnomon.server.serving.admission.key_file import read_keys

    keys = read_keys(file)
    payload: list[dict[str, Any]] = [
        {
            "id": one.id,
            "name": one.name,
            "models": list(one.models),
            "created_at": datetime.fromtimestamp(one.created_at, UTC).isoformat(),
        }
        for one in keys
    ]
    times = (round(one.created_at * 1_000) for one in keys)
    shown = [one | {"created_at": time} for one, time in zip(payload, times, strict=True)]
    emit(payload, as_json=as_json, render=lambda: render_list(f"Keys in {file}", shown))


@key.command()
@click.argument("identity", metavar="ID")
@FILE
def revoke(identity: str, file: Path) -> None:
    """Take the key with ID out of the file."""
    from gnomon.server.serving.admission.key_file import revoke_key

    revoke_key(file, identity)
    show(f"revoked {identity}")
