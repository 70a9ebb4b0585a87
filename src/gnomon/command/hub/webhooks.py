"""`gnomon hub webhook`: whom the hub tells what happens."""

import click

from gnomon.client.hub import HubClient
from gnomon.command.shared.hub_options import client_options, given
from gnomon.command.shared.output import emit, render_list, show


@click.group()
def webhook() -> None:
    """Say whom the hub tells what happens, and see what was told."""


@webhook.command()
@click.argument("name")
@click.argument("target")
@click.option("--event", "events", multiple=True, help="A name or pattern; default: all.")
@click.option("--models", default="*", show_default=True, help="Pattern of the models.")
@client_options
def add(
    name: str,
    target: str,
    events: tuple[str, ...],
    models: str,
    url: str,
    api_key: str | None,
    as_json: bool,
) -> None:
    """Tell the URL TARGET, as NAME, what happens from now on; its secret is shown only now."""
    body = {"name": name, "url": target, "events": list(events), "models": models}
    with HubClient(url, api_key=api_key) as client:
        payload = client.post("webhooks", body)
    emit(payload, as_json=as_json, render=lambda: show(f"secret: {payload['secret']}"))


@webhook.command("list")
@client_options
def list_webhooks(url: str, api_key: str | None, as_json: bool) -> None:
    """List the webhooks, and how many deliveries wait or are dead."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.get("webhooks")
    emit(payload, as_json=as_json, render=lambda: render_list("Webhooks", payload))


@webhook.command()
@click.argument("name")
@client_options
def remove(name: str, url: str, api_key: str | None, as_json: bool) -> None:
    """Tell NAME nothing any more."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.delete(f"webhooks/{name}")
    emit(payload, as_json=as_json, render=lambda: show(f"removed {name}"))


@webhook.command()
@click.argument("name")
@click.option("--state", type=click.Choice(["waiting", "delivered", "dead"]))
@client_options
def deliveries(name: str, state: str | None, url: str, api_key: str | None, as_json: bool) -> None:
    """List what NAME was or is to be told, newest first."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.get(f"webhooks/{name}/deliveries", **given({"state": state}))
    emit(payload, as_json=as_json, render=lambda: render_list("Deliveries", payload))


@webhook.command()
@click.argument("name")
@click.argument("delivery")
@client_options
def retry(name: str, delivery: str, url: str, api_key: str | None, as_json: bool) -> None:
    """Try the dead DELIVERY of NAME again."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.post(f"webhooks/{name}/deliveries/{delivery}/retry")
    emit(payload, as_json=as_json, render=lambda: show(f"waiting again: {delivery}"))
