"""Which frontend serves gRPC: the native one if it can, else grpcio's."""

import logging
from typing import Protocol

from gnomon.runtime.engines.onnx import find_library
from gnomon.runtime.errors import ConfigurationError
from gnomon.server.serving.admission.admission import Admission
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.native.frontend import NativeFrontend, why_not
from gnomon.server.serving.settings import FrontendSettings

_log = logging.getLogger(__name__)


class Frontend(Protocol):
    """One listening port for gRPC."""

    async def open(self) -> str:
        """Listen; return the address as clients of gRPC write it: `host:port` or `unix:path`.

        Raises:
            ConfigurationError: the address is taken, or not to be opened without authentication.
        """

    async def close(self, grace_seconds: float) -> None:
        """Take no new calls, let those under way end, then cut what is left after the grace."""


def make_frontend(
    choice: str, handler: Handler, settings: FrontendSettings, admission: Admission | None = None
) -> Frontend:
    """Return the chosen frontend, and log which it is and why.

    Args:
        choice: "auto", "native" or "grpcio".
        handler: answers the calls.
        settings: address, security and limits.
        admission: authenticates and throttles every call; None: made from the settings.

    Raises:
        ConfigurationError: "native" was chosen, and it cannot serve these settings here.
    """
    why = "it was chosen" if choice == "grpcio" else why_not(settings)
    if choice == "auto" and why is None and find_library() is None:
        why = "ONNX Runtime's C interface was not found, and without it all answers are Python's"
    if choice == "native" and why is not None:
        raise ConfigurationError(
            f"frontend 'native' cannot serve here: {why}; take 'auto' or 'grpcio'"
        )
    if why is None:
        _log.info("gRPC is served by the native frontend")
        return NativeFrontend(handler, settings, admission)
    # Imported only if it serves, so that a server starts quickly.
    from gnomon.server.serving.grpcio.frontend import GrpcFrontend

    _log.info("gRPC is served by grpcio, not by the native frontend: %s", why)
    return GrpcFrontend(handler, settings, admission)
