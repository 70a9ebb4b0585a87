"""gRPC on a Unix socket, on an event loop of its own thread: for a process that has no loop.

An agent's process answers other programs of its user so.
"""

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from gnomon.edge.standalone.standalone_node import NodeProtocol, StandaloneNode
from gnomon.runtime.errors import ConfigurationError, StorageError
from gnomon.runtime.lock import FileLock
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.select_frontend import Frontend, make_frontend
from gnomon.server.serving.settings import FrontendSettings
from gnomon.server.serving.triton.model_repository import ModelRepository

#: Threads of the native event loop, and of calls that need Python: a device has few cores.
_LOOPS = 1
_THREADS = 2

_Result = TypeVar("_Result")


class SocketServer:
    """The Open Inference Protocol and labels for a node, on a socket that only its owner may open.

    Attributes:
        address: as clients of gRPC write it, `unix:path`.
    """

    def __init__(self, node: NodeProtocol, path: Path, choice: str = "auto") -> None:
        """Prepare; `open` opens the socket.

        Args:
            node: answers the calls.
            path: of the socket. A missing folder is made, for its owner only.
            choice: of the frontend: "auto", "native" or "grpcio".
        """
        self.address = f"unix:{path}"
        self._path = path
        self._choice = choice
        self._lock: FileLock | None = None
        self._frontend: Frontend | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="socket-server", daemon=True
        )
        shelf = node if isinstance(node, StandaloneNode) else None
        self._handler = Handler(node.runtime, ModelRepository(node.runtime, shelf), node.label)

    def open(self) -> None:
        """Listen; a socket that an ended process left is replaced.

        Raises:
            ConfigurationError: another process answers there, or the path cannot be used.
        """
        self._lock = self._take_path()
        self._thread.start()
        try:
            self._run(self._open())
        except BaseException:
            self.close(0)
            raise

    def close(self, grace_seconds: float) -> None:
        """Take no new calls, let running ones finish, and cut the rest after the grace."""
        if self._lock is None:
            return
        if self._frontend is not None:
            self._handler.drain()
            self._run(self._frontend.close(grace_seconds))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._lock.release()
        self._lock = None

    async def _open(self) -> None:
        settings = FrontendSettings(socket_path=self._path, loops=_LOOPS, threads=_THREADS)
        frontend = make_frontend(self._choice, self._handler, settings)
        await frontend.open()
        self._frontend = frontend

    def _take_path(self) -> FileLock:
        """Lock the path, so that of two processes that start together only one replaces it."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return FileLock(self._path.with_name(f"{self._path.name}.lock"))
        except (OSError, StorageError) as error:
            raise ConfigurationError(
                f"no agent can answer on unix:{self._path}: {error}; set agent.socket_path to "
                "another path, or agent.frontend to 'none'"
            ) from error

    def _run(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
