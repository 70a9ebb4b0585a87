"""Runs an agent as a process of its own, with a socket for other programs."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from gnomon.command.agent.log_file import log_to_file
from gnomon.command.agent.monitor import DaemonMonitor
from gnomon.command.shared.output import show, styled
from gnomon.command.shared.settings_options import load_settings
from gnomon.runtime.errors import ConfigurationError, NotReady
from gnomon.runtime.extras import EXTRA_OF_MODULE, missing_extra
from gnomon.runtime.stop_signals import StopSignals

if TYPE_CHECKING:
    from pathlib import Path

    from gnomon.edge.daemon_settings import DaemonSettings
    from gnomon.edge.node_protocol import NodeProtocol
    from gnomon.server.serving.socket_server import SocketServer

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
#: How long calls under way may take when the agent stops.
_GRACE_SECONDS = 5.0


def run_agent(
    config_file: str | None, flags: dict[str, Any], wait_seconds: float, *, as_json: bool
) -> None:
    """Run an agent until SIGTERM or SIGINT.

    Args:
        config_file: the settings file, if not `gnomon.toml`.
        flags: settings given as flags.
        wait_seconds: how long the first model may take to come.
        as_json: whether the status is printed as JSON.

    Raises:
        NotReady: no model is in service in time.
        GnomonError: the node or its socket cannot be opened, or the node cannot enrol.
    """
    from gnomon.edge.standalone.standalone_node import open_node

    settings = load_settings("node", config_file, flags)
    daemon = load_settings("agent", config_file, flags)
    with ExitStack() as opened:
        stop = opened.enter_context(StopSignals())
        node = open_node(settings)
        opened.callback(node.stop)
        log_to_file(settings.data_folder)
        with _answer(node, daemon, settings.data_folder) as address:
            node.start()
            monitor = DaemonMonitor(node, settings.data_folder, address)
            try:
                _wait_ready(node, wait_seconds, stop, monitor)
                if not stop.is_set():
                    _report(node, address, as_json=as_json)
                while not stop.wait(monitor.pause_seconds):
                    monitor.tick()
            finally:
                monitor.stop()


@contextmanager
def _answer(node: "NodeProtocol", settings: "DaemonSettings", data_folder: "Path") -> Iterator[str]:
    """Answer other programs on the socket; yield its address, empty without one.

    If only the default socket fails, the agent runs without it, and the log says why.

    Raises:
        ConfigurationError: the socket or frontend that was set cannot be opened.
    """
    if settings.frontend == "none":
        yield ""
        return
    try:
        server = _open_server(node, settings, data_folder)
    except ConfigurationError as error:
        if settings.frontend != "auto" or settings.socket_path is not None:
            raise
        _log.error("no other program is answered: %s", error)
        yield ""
        return
    try:
        yield server.address
    finally:
        server.close(_GRACE_SECONDS)


def _open_server(
    node: "NodeProtocol", settings: "DaemonSettings", data_folder: "Path"
) -> "SocketServer":
    try:
        from gnomon.server.serving.socket_server import SocketServer
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in EXTRA_OF_MODULE:
            raise
        raise ConfigurationError(missing_extra("the agent's socket", library, "server")) from error
    server = SocketServer(node, settings.path_in(data_folder), settings.frontend)
    server.open()
    return server


def _report(node: "NodeProtocol", address: str, *, as_json: bool) -> None:
    status = node.status()
    if as_json:
        click.echo(json.dumps(asdict(status) | {"socket": address}))
        return
    models = ", ".join(version for found in status.models.values() for version in found)
    show("agent ", styled(status.name, "bold"), f" is ready: {models}")
    if address:
        show("answers gRPC at ", styled(address, "bold"))


def _wait_ready(
    node: "NodeProtocol", seconds: float, stop: StopSignals, monitor: DaemonMonitor
) -> None:
    """Wait for a model to be in service, or for `stop`.

    Raises:
        NotReady: the time is over.
        GnomonError: the hub refused the enrolment, or there is no token: the caller's fault.
    """
    deadline = time.monotonic() + seconds
    next_tick = 0.0
    while not node.ready(0) and not stop.wait(_POLL_SECONDS):
        now = time.monotonic()
        if now >= next_tick:
            next_tick = now + monitor.pause_seconds
            monitor.tick()
        refusal = node.refusal()
        if refusal is not None:
            # Another try changes nothing, and systemd makes none after this error's exit code.
            raise refusal
        if now >= deadline:
            status = node.status()
            raise NotReady(
                f"no model is in service after {seconds:g} s: "
                + (status.reason or status.last_error or "the hub has assigned no model yet")
            )
    monitor.tick()
