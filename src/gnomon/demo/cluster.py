"""The cluster of the demo: hub, server, three devices and a caller, each a process of its own."""

import shutil
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnomon.client.hub import HubClient
from gnomon.client.registry import BuilderSettings, RegistryClient
from gnomon.delivery.smoke_test import Limits, attest, smoke_test
from gnomon.demo.processes import Process
from gnomon.runtime.errors import HubUnavailable, NotReady
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer, TrustStore

SERVER = "server-1"
#: Each device's name and the engine that it has.
DEVICES = {"device-1": "tflite", "device-2": "onnx", "device-3": "tflite"}
#: Who predicts what share of the flights: the position is the share's number.
SOURCES = (SERVER, *DEVICES)
#: Predictions that a test deployment measures.
_TRIAL_RUNS = 100


@dataclass(frozen=True, slots=True)
class Token:
    """What a new node or builder needs to enrol."""

    token: str
    fingerprint: str


class Cluster:
    """Starts and ends the processes, through the interfaces that users have."""

    def __init__(self, folder: Path) -> None:
        """Empty a folder for all state and logs; files of an earlier demo are removed."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder = folder
        self.flights = folder / "flights.npz"
        rest, self._enrolment_port, self._sync_port = _free_ports(3)
        self._rest_port = rest
        self.signer = Signer.generate()
        #: Where the server answers gRPC; empty until it has started.
        self.server_address = ""
        self._processes: dict[str, Process] = {}
        self.client = HubClient(f"http://127.0.0.1:{rest}")

    def __getitem__(self, name: str) -> Process:
        return self._processes[name]

    @property
    def sync_address(self) -> str:
        """The hub's sync address."""
        return f"127.0.0.1:{self._sync_port}"

    @property
    def enrolment_address(self) -> str:
        """The hub's enrolment address."""
        return f"127.0.0.1:{self._enrolment_port}"

    def start_hub(self) -> None:
        """Start the hub, or start it again on the same data and ports."""
        arguments = ["-m", "gnomon", "hub", "run", "--json"]
        arguments += ["--data-folder", str(self.folder / "hub")]
        arguments += ["--rest-port", str(self._rest_port)]
        arguments += ["--enrolment-port", str(self._enrolment_port)]
        arguments += ["--sync-port", str(self._sync_port)]
        arguments += ["--tick-seconds", "0.2", "--node-call-ms", "300"]
        self._start("hub", arguments)
        self["hub"].wait_ready()

    def enrol_builder(self) -> RegistryClient:
        """Return a builder's connection to the registry, whose key the hub trusts."""
        self.client.post("keys", {"key": self.signer.public_key.hex(), "name": "demo"})
        token = self._token("builder", "builder")
        return RegistryClient(
            BuilderSettings(
                data_folder=self.folder / "builder",
                hub=self.sync_address,
                enrolment=self.enrolment_address,
                token=token.token,
                authority_fingerprint=token.fingerprint,
            )
        )

    def smoke_test(self, package: Package) -> Package:
        """Run and attest a package's smoke test, without which a hub does not place it."""
        trust = TrustStore([self.signer.public_key])
        report = smoke_test(package.path, trust, Limits(runs=_TRIAL_RUNS))
        attest(report, package.path, self.signer)
        return Package.open(package.path, trust)

    def push(self, registry: RegistryClient, packages: Iterable[Package]) -> None:
        """Push packages through the registry."""
        for package in packages:
            registry.push(package)

    def start_nodes(self) -> None:
        """Start server and devices, wait until each has a model in service, then the caller."""
        token = self._token("node", SERVER)
        arguments = ["-m", "gnomon", "serve", "--json", "--port", "0", "--rest-port", "0"]
        arguments += ["--name", SERVER, "--data-folder", str(self.folder / SERVER)]
        arguments += ["--hub", self.sync_address, "--enrolment", self.enrolment_address]
        arguments += ["--token", token.token, "--authority-fingerprint", token.fingerprint]
        arguments += ["--engines", "onnx", "--upload-seconds", "0.3", "--checkpoint-seconds", "1"]
        arguments += ["--longest-pause-seconds", "2"]
        self._start(SERVER, arguments)
        for number, (name, engine) in enumerate(DEVICES.items(), start=1):
            self._start(name, self._device(name, engine, number))
        for name in DEVICES:
            self[name].wait_ready()
        self._wait_for_server()
        arguments = ["-m", "gnomon.demo.caller", "--flights", str(self.flights), "--source", "0"]
        self.server_address = str(self[SERVER].wait_ready()["grpc"])
        self._start("caller", [*arguments, "--server", self.server_address])
        self["caller"].wait_ready()

    @property
    def callers(self) -> dict[str, Process]:
        """The callers, by the node that answers them."""
        return {SERVER: self["caller"], **{name: self[name] for name in DEVICES}}

    def kill_hub(self) -> None:
        """Kill the hub without a shutdown."""
        self["hub"].kill()

    def close(self) -> None:
        """End all processes, those that report to the hub first."""
        self.stop_nodes()
        if hub := self._processes.pop("hub", None):
            hub.stop()
        self.client.close()

    def stop_nodes(self) -> dict[str, int]:
        """Shut down devices, caller and server; return the exit codes."""
        names = [name for name in ("caller", *DEVICES, SERVER) if name in self._processes]
        return {name: self._processes.pop(name).stop() for name in names}

    def _device(self, name: str, engine: str, source: int) -> list[str]:
        token = self._token("node", name)
        arguments = ["-m", "gnomon.demo.device", "--name", name, "--engine", engine]
        arguments += ["--data", str(self.folder / name), "--flights", str(self.flights)]
        arguments += ["--hub", self.sync_address, "--enrolment", self.enrolment_address]
        arguments += ["--token", token.token, "--fingerprint", token.fingerprint]
        return [*arguments, "--source", str(source)]

    def _token(self, role: str, name: str) -> Token:
        answer = self.client.post("tokens", {"role": role, "name": name})
        return Token(answer["token"], answer["fingerprint"])

    def _start(self, name: str, arguments: list[str]) -> None:
        self._processes[name] = Process(name, arguments, self.folder / f"{name}.log")

    def _wait_for_server(self) -> None:
        wait_until(
            lambda: any(
                node["name"] == SERVER and node["reported_generation"] > 0
                for node in self.client.get("nodes")
            ),
            f"{SERVER} to have a model in service",
        )


def wait_until(condition: Callable[[], Any], what: str, *, seconds: float = 60) -> Any:
    """Return the first true answer of `condition`.

    Raises:
        NotReady: when it took longer than `seconds`; the message says what was waited for.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if answer := condition():
                return answer
        except HubUnavailable:
            # A hub that has just been killed may be starting again.
            pass
        time.sleep(0.1)
    raise NotReady(f"waited {seconds:.0f} s for {what}")


def _free_ports(count: int) -> list[int]:
    """Return loopback ports that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
