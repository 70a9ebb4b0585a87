"""`gnomon agent`: an edge agent as a daemon."""

import json
import signal
import threading
from dataclasses import asdict
from typing import Any

import click

from gnomon import logs
from gnomon.command.shared.output import json_option, show, styled
from gnomon.command.shared.settings_options import settings_command, take
from gnomon.runtime.errors import NotReady


@click.command(cls=settings_command("node"))
@click.option("--wait-seconds", default=60.0, help="How long the first model may take to come.")
@json_option
@click.pass_obj
def agent(config_file: str | None, /, wait_seconds: float, as_json: bool, **flags: Any) -> None:
    """Keep a device's packages, telemetry and trust in step with its hub, until told to stop.

    Prints the agent's status once a model is in service. Programs that predict in their own
    process embed `gnomon.Agent` instead.
    """
    from gnomon.edge.standalone.node import open_node

    logs.to_standard_error()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    node = open_node(take("node", config_file, flags))
    node.start()
    try:
        if not node.ready(wait_seconds):
            status = node.status()
            raise NotReady(
                f"no model is in service after {wait_seconds:g} s: "
                + (status.reason or status.last_error or "the hub wants none of it yet")
            )
        status = node.status()
        if as_json:
            click.echo(json.dumps(asdict(status)))
        else:
            models = ", ".join(version for found in status.models.values() for version in found)
            show("agent ", styled(status.name, "bold"), f" is ready: {models}")
        stop.wait()
    finally:
        node.stop()
