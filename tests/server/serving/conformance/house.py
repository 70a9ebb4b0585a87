"""All frontends over one runtime, in this process."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from gnomon.runtime.packages.package import Package
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.admission.admission import make_admission
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.native.loop import missing_library
from gnomon.server.serving.rest.frontend import RestFrontend
from gnomon.server.serving.select_frontend import make_frontend
from gnomon.server.serving.settings import FrontendSettings
from gnomon.server.serving.triton.model_repository import ModelRepository

GRPC_FRONTENDS = ("native", "grpcio")


class House:
    """Packages behind every frontend; `addresses` by the frontend's name, all as `host:port`.

    Where the native frontend cannot open here it has no address.
    """

    def __init__(
        self,
        packages: Sequence[Package],
        shelf: Any = None,
        only: Sequence[str] = GRPC_FRONTENDS,
        **settings: Any,
    ) -> None:
        self.runtime = shelf.runtime if shelf is not None else Runtime(MemorySink())
        if shelf is None:
            for package in packages:
                self.runtime.load(package)
            self.runtime.apply(
                [single(package.manifest.name, package.digest) for package in packages]
            )
        self.handler = Handler(self.runtime, ModelRepository(self.runtime, shelf))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.settings = FrontendSettings(port=0, **settings)
        admission = make_admission(self.settings, self.handler)
        self.addresses: dict[str, str] = {}
        self.frontends: dict[str, Any] = {}
        for name in only:
            if name == "grpcio" or missing_library() is None:
                self.frontends[name] = self.run(self._make(name, admission))
                self.addresses[name] = self.run(self.frontends[name].open())
        self.rest = RestFrontend(self.handler, self.runtime, self.settings, 0, admission)
        self.rest.open()
        self.addresses["rest"] = self.rest.url.removeprefix("http://")

    async def _make(self, name: str, admission: Any) -> Any:
        return make_frontend(name, self.handler, self.settings, admission)

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def address(self, frontend: str) -> str:
        """Return a frontend's address; skips aloud where it cannot be opened here."""
        if frontend not in self.addresses:
            pytest.skip(f"the frontend {frontend} is not here: {missing_library()}")
        return self.addresses[frontend]

    def close(self) -> None:
        for frontend in self.frontends.values():
            self.run(frontend.close(1))
        self.rest.close(1)
        self.runtime.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
