"""The hub and the builder that `gnomon.bench.hub.kills` kills, as processes."""

import dataclasses
import logging
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import msgspec

from gnomon.bench.core.dense_network import dense_network
from gnomon.bench.servers.serving_package import make_package
from gnomon.client.hub import HubClient
from gnomon.client.registry import BuilderSettings, RegistryClient
from gnomon.logs.setup import set_up_logging
from gnomon.runtime.errors import GnomonError, NotReady
from gnomon.runtime.packages.layout import GOLDEN, PROFILE
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer
from gnomon.runtime.packages.writing import write_package
from gnomon.server.hub.process import run_hub
from gnomon.server.hub.settings import HubAddresses, HubSettings

__all__ = ["Builder", "HubProcess", "Packages"]

_SECONDS = 120

# Imports once what every life needs and forks it; the parent's threads and channels stay out of it.
_LIVES = multiprocessing.get_context("forkserver")
_LIVES.set_forkserver_preload(["gnomon.server.hub.process", "gnomon.client.registry"])


class HubProcess:
    """A hub in a process of its own, on the same ports and data in each of its lives."""

    def __init__(self, settings: HubSettings) -> None:
        self.settings = settings
        self.start()

    def start(self) -> None:
        """Start the hub, and wait until it answers.

        Raises:
            NotReady: it does not start in time.
        """
        ours, theirs = _LIVES.Pipe(duplex=False)
        self._process: BaseProcess = _LIVES.Process(
            target=_run_hub, args=(self.settings, theirs.send)
        )
        self._process.start()
        theirs.close()
        try:
            if not ours.poll(_SECONDS):
                raise NotReady("the hub does not come up")
            self.addresses = ours.recv()
        except EOFError as error:
            raise NotReady("the hub ended while it started") from error
        finally:
            ours.close()
        self.settings = dataclasses.replace(
            self.settings,
            rest_port=_port(self.addresses.rest),
            enrolment_port=_port(self.addresses.enrolment),
            sync_port=_port(self.addresses.sync),
        )

    def kill(self) -> None:
        """End it as a power cut would."""
        _kill(self._process)


class Builder:
    """A builder, enrolled; each push can be a process of its own."""

    def __init__(self, hub: HubProcess, folder: Path, signer: Signer) -> None:
        with HubClient(hub.addresses.rest) as client:
            client.post("keys", {"key": signer.public_key.hex(), "name": "bench"})
            token = client.post("tokens", {"role": "builder", "name": "bench"})
        self.settings = BuilderSettings(
            name="bench",
            data_folder=folder,
            hub=token["sync"],
            enrolment=token["enrolment"],
            token=token["token"],
            authority_fingerprint=token["fingerprint"],
        )
        RegistryClient(self.settings).close()
        self._process: BaseProcess | None = None

    def start_push(self, path: Path) -> None:
        """Begin to push a package from another process."""
        self._process = _LIVES.Process(target=_push, args=(self.settings, path))
        self._process.start()

    def kill(self) -> None:
        """End the push as a power cut would."""
        if self._process is not None:
            _kill(self._process)

    def wait(self) -> None:
        """Wait until the push has ended, well or not."""
        if self._process is not None:
            self._process.join(_SECONDS)
            self.kill()


class Packages:
    """Versions of one package, each with content of its own."""

    _LAYERS = (10, 400, 400, 1)

    def __init__(self, folder: Path, signer: Signer) -> None:
        self._folder = folder
        self._signer = signer
        self._base = make_package(folder / "base")

    def make(self, version: int) -> Package:
        """Write a version: some 600 kB, of which no other version has a chunk."""
        fields = msgspec.json.decode(self._base.manifest_bytes) | {"version": str(version)}
        del fields["files"]
        files: dict[str, bytes | Path] = {
            "model.onnx": dense_network(self._LAYERS, "score", seed=version),
            PROFILE: self._base.read(PROFILE),
            GOLDEN: self._base.read(GOLDEN),
        }
        return write_package(self._folder / str(version), fields, files, self._signer)


def _run_hub(settings: HubSettings, ready: Callable[[HubAddresses], None]) -> None:
    set_up_logging(automatic=logging.WARNING)
    run_hub(settings, ready)


def _push(settings: BuilderSettings, path: Path) -> None:
    try:
        with RegistryClient(settings) as registry:
            registry.push(registry.open(path))
    except GnomonError:
        # The hub was killed; whoever looks at its state judges.
        os._exit(1)


def _kill(process: BaseProcess) -> None:
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join(_SECONDS)


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
