"""The honest server: HTTP/1, HTTP/2 and gRPC on one port, answered by a law of service times."""

import socket
import threading
from types import TracebackType

from gnomon.bench.generator.histogram import Histogram
from gnomon.bench.generator.loops import HonestLoop, missing_library
from gnomon.bench.honest.answers import answers
from gnomon.bench.honest.law import ServiceLaw
from gnomon.runtime.errors import ConfigurationError

__all__ = ["HonestServer"]


class HonestServer:
    """A server in a thread of its own that does not need the interpreter's lock.

    Raises:
        ConfigurationError: the address cannot be used, or libnghttp2 is missing.
    """

    def __init__(self, law: ServiceLaw, host: str = "127.0.0.1", port: int = 0) -> None:
        missing = missing_library()
        if missing is not None:
            raise ConfigurationError(f"the honest server cannot run: {missing}")
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            listener = socket.create_server((host, port), family=family, backlog=1024)
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {host}:{port}: {error}") from error
        port = listener.getsockname()[1]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._loop = HonestLoop(listener, law.as_numbers(), answers())
        self._thread = threading.Thread(target=self._loop.run, name="honest-server", daemon=True)

    def __enter__(self) -> "HonestServer":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.stop()
        self._thread.join()

    @property
    def answered(self) -> int:
        """Return how many requests were answered."""
        return self._loop.answered

    @property
    def lateness(self) -> Histogram:
        """Return how long after they were due answers were sent: the server's own error."""
        return Histogram.from_bytes(self._loop.lateness)
