"""`gnomon agent`: an edge agent as a daemon."""

import json
import signal
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.output import json_option, show, styled
from gnomon.command.shared.settings_options import load_settings, settings_command
from gnomon.runtime.errors import NotReady

if TYPE_CHECKING:
    from gnomon.edge.node_protocol import NodeProtocol

_POLL_SECONDS = 0.1


@click.command(cls=settings_command("node", is_long_running=True))
@click.option("--wait-seconds", default=60.0, help="How long the first model may take to come.")
@json_option
@click.pass_obj
def agent(config_file: str | None, /, wait_seconds: float, as_json: bool, **flags: Any) -> None:
    """Run a device's agent, which syncs packages and telemetry with its hub, until stopped.

    Prints the agent's status once a model is in service. Programs that predict in their own
    process embed `gnomon.Agent` instead.
    """
    from gnomon.edge.standalone.standalone_node import open_node

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    node = open_node(load_settings("node", config_file, flags))
    node.start()
    try:
        if not _wait_ready(node, wait_seconds, stop):
            if stop.is_set():
                return
            status = node.status()
            raise NotReady(
                f"no model is in service after {wait_seconds:g} s: "
                + (status.reason or status.last_error or "the hub has assigned no model yet")
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


def _wait_ready(node: "NodeProtocol", seconds: float, stop: threading.Event) -> bool:
    """Wait for a model to be in service, until the time is over or `stop` is set."""
    deadline = time.monotonic() + seconds
    while not node.ready(0):
        if time.monotonic() >= deadline or stop.wait(_POLL_SECONDS):
            return False
    return True
