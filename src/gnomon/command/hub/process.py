"""`gnomon hub run`: a hub, until it is stopped."""

import json
from typing import Any

import click

from gnomon.command.shared.output import json_option, show, styled
from gnomon.command.shared.settings_options import load_settings, settings_command


@click.command(cls=settings_command("hub", is_long_running=True))
@json_option
@click.pass_obj
def run(config_file: str | None, /, as_json: bool, **flags: Any) -> None:
    """Run a hub until it is stopped (SIGTERM, Ctrl-C)."""
    from gnomon.server.hub.process import run_hub
    from gnomon.server.hub.settings import HubAddresses

    def show_addresses(addresses: HubAddresses) -> None:
        payload = {
            "rest": addresses.rest,
            "enrolment": addresses.enrolment,
            "sync": addresses.sync,
            "fingerprint": addresses.fingerprint,
        }
        if as_json:
            click.echo(json.dumps(payload))
        else:
            show(
                "hub is ready: ",
                styled(addresses.rest, "bold"),
                f"\nnodes enrol at {addresses.enrolment}, "
                f"sync at {addresses.sync}\nauthority SHA-256 {addresses.fingerprint}",
            )

    run_hub(load_settings("hub", config_file, flags), show_addresses)
