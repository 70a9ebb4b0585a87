"""A server process: a node and its door, until SIGTERM. A server is an agent with a door."""

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass

from gnomon.edge.settings import NodeSettings
from gnomon.edge.standalone import AnyNode, open_node
from gnomon.server.serving.grpc_door import DoorSettings, GrpcDoor
from gnomon.server.serving.handler import Handler

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ServeSettings(DoorSettings):
    """The door, and how it closes.

    On SIGTERM or SIGINT the server says that it is not ready, takes calls for `notice_seconds` so
    that balancers learn of it, then takes no more and lets those under way end for
    `grace_seconds`.
    """

    notice_seconds: float = 1.0
    grace_seconds: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("notice_seconds", "grace_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} should be 0 or above, got {getattr(self, name)}")


def serve(
    settings: ServeSettings, node_settings: NodeSettings, ready: Callable[[str], None]
) -> None:
    """Serve until SIGTERM or SIGINT; call `ready` with the address once the door is open.

    The door opens before a model is in service: `ServerReady` tells when one is.

    Raises:
        ConfigurationError: the address is taken or not to be opened without authentication.
        GnomonError: the node cannot be opened.
    """
    node = open_node(node_settings)
    try:
        asyncio.run(_serve(settings, node, ready))
    finally:
        node.stop()


async def _serve(settings: ServeSettings, node: AnyNode, ready: Callable[[str], None]) -> None:
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    handler = Handler(node.runtime)
    door = GrpcDoor(handler, settings)
    address = await door.open()
    node.start()
    ready(address)
    await asked_to_stop.wait()
    _log.info("draining")
    handler.drain()
    await asyncio.sleep(settings.notice_seconds)
    await door.close(settings.grace_seconds)
