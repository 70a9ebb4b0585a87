"""A server process: a node and its frontends, until SIGTERM."""

import asyncio
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from gnomon.edge.settings import NodeSettings
from gnomon.edge.standalone.standalone_node import NodeProtocol, StandaloneNode, open_node
from gnomon.server.serving.admission.admission import Admission, make_admission
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.rest.address import listen_rest, url_of
from gnomon.server.serving.select_frontend import make_frontend
from gnomon.server.serving.settings import NO_PORT, ServeSettings
from gnomon.server.serving.triton.model_repository import ModelRepository

if TYPE_CHECKING:
    from gnomon.server.serving.rest.frontend import RestFrontend

_log = logging.getLogger(__name__)


class ServeAddresses(NamedTuple):
    """The addresses of a server: gRPC as `host:port`, REST as a URL or None."""

    grpc: str
    rest: str | None


def serve(
    settings: ServeSettings,
    node_settings: NodeSettings,
    ready: Callable[[ServeAddresses], None],
) -> None:
    """Serve until SIGTERM or SIGINT; call `ready` with the addresses once both accept connections.

    With a hub, the frontends open before a model is in service; `ServerReady` reports when one is.
    REST takes a moment longer to answer. SIGHUP makes the node reload its packages and routes.

    Sets the interpreter's switch interval for the whole process.

    Raises:
        ConfigurationError: the address is in use, or not local and without authentication.
        GnomonError: the node cannot be opened.
    """
    sys.setswitchinterval(settings.switch_interval_seconds)
    node = open_node(node_settings)
    try:
        asyncio.run(_serve(settings, node, ready))
    finally:
        node.stop()


async def _serve(
    settings: ServeSettings, node: NodeProtocol, ready: Callable[[ServeAddresses], None]
) -> None:
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    shelf = node if isinstance(node, StandaloneNode) else None
    handler = Handler(node.runtime, ModelRepository(node.runtime, shelf))
    admission = make_admission(settings, handler)
    listener = None
    if settings.rest_port != NO_PORT:
        listener = listen_rest(settings, settings.rest_port)
    rest: RestFrontend | None = None
    try:
        frontend = make_frontend(settings.frontend, handler, settings, admission)
        address = await frontend.open()
        try:
            node.start()
            loop.add_signal_handler(signal.SIGHUP, _reload, node)
            ready(ServeAddresses(address, url_of(settings, listener) if listener else None))
            if listener is not None:
                # The imports of REST take as long as all others; gRPC does not wait for them.
                rest = await asyncio.to_thread(_open, settings, handler, node, admission, listener)
            await asked_to_stop.wait()
            _log.info("draining")
            handler.drain()
            await asyncio.sleep(settings.notice_seconds)
        finally:
            await frontend.close(settings.grace_seconds)
    finally:
        if rest is not None:
            await asyncio.to_thread(rest.close, settings.grace_seconds)
        elif listener is not None:
            listener.close()
        await asyncio.to_thread(admission.close)


def _open(
    settings: ServeSettings,
    handler: Handler,
    node: NodeProtocol,
    admission: Admission,
    listener: socket.socket,
) -> "RestFrontend":
    """Return the REST frontend, open."""
    from gnomon.server.serving.rest.frontend import RestFrontend

    frontend = RestFrontend(handler, node.runtime, settings, listener, admission)
    frontend.open(settings.grace_seconds)
    return frontend


def _reload(node: NodeProtocol) -> None:
    """Reload the node's packages and routes on a thread of its own."""
    threading.Thread(target=node.reload, name="reload", daemon=True).start()
