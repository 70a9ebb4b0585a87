"""What the calls of a node cost a hub: `python -m gnomon.bench.hub.node_calls`.

A hub on SQLite runs in a process of its own, with one node that has a package in service. Measured
is the hub's CPU time for each `Exchange` of a node whose state has not changed, and for each upload
of one window. `gnomon bench commits` compares two checkouts by them (`hub`).
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.bench.hub.kills_parties import Packages
from gnomon.bench.servers.processes import Server
from gnomon.client.hub import HubClient
from gnomon.client.registry import BuilderSettings, RegistryClient
from gnomon.core.contract import Contract
from gnomon.core.fields import Field, Kind
from gnomon.core.window import ANSWERED_CODE, Window
from gnomon.proto import hub_pb2
from gnomon.runtime.enrolment.enrolment import Enrolment
from gnomon.runtime.enrolment.hub_channel import HubChannel
from gnomon.runtime.packages.layout import PROFILE
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.profile import decode_profile
from gnomon.runtime.packages.signing import Signer

__all__ = ["NodeCalls", "main", "running", "running_nodes"]

#: Calls of one measurement.
CALLS = 500
#: The roles whose metadata a node has.
_ROLES = ("root", "targets", "snapshot", "timestamp")
_ROWS = 300
_INTERVAL_MS = 60_000


@dataclass(frozen=True)
class _NodeSettings:
    """How the node enrols."""

    name: str
    data_folder: Path
    hub: str
    enrolment: str
    token: str
    authority_fingerprint: str
    authority_file: Path | None = None


class NodeCalls:
    """A hub, and a node that has a package in service there."""

    def __init__(self, server: Server, channel: HubChannel, package: Package) -> None:
        """Take a package into service as the node would."""
        self._server, self._channel, self._sent = server, channel, 0
        #: Of the hub, by port: `rest`, `enrolment`, `sync`.
        self.addresses: dict[str, str] = json.loads(server.address)
        self._window = _window(package)
        self._digest = package.digest
        self._request = hub_pb2.ExchangeRequest(boot="bench", facts={"engines": "onnx"})
        self._request.metadata_versions.update(dict.fromkeys(_ROLES, 0))
        for _ in range(3):  # a first answer, the state in service, and what follows from that
            self._follow(channel.exchange(self._request))

    def _follow(self, answer: hub_pb2.ExchangeResponse) -> None:
        desired = answer.desired
        if answer.HasField("signed"):
            desired = hub_pb2.DesiredState.FromString(answer.signed.state)
        reported = self._request.reported
        reported.generation, reported.epoch = desired.generation, desired.epoch
        reported.state = hub_pb2.IDLE
        reported.digests[:] = [package.digest for package in desired.packages]
        self._request.metadata_versions.update({one.role: one.version for one in answer.metadata})

    @property
    def pid(self) -> int:
        """The hub's process."""
        return self._server.pid

    def exchange(self) -> None:
        """Report the same again; raises the hub's errors."""
        self._channel.exchange(self._request)

    def measure(self) -> dict[str, float]:
        """Return the hub's CPU time of each call by its name, in nanoseconds."""
        exchanged = self._cost(self.exchange)
        return {"unchanged Exchange": exchanged, "Upload of a window": self._cost(self._upload)}

    def _cost(self, call: Any) -> float:
        for _ in range(20):
            call()
        before = self._server.cpu_seconds()
        for _ in range(CALLS):
            call()
        return (self._server.cpu_seconds() - before) / CALLS * 1e9

    def _upload(self) -> None:
        self.upload(1)

    def upload(self, windows: int) -> None:
        """Upload new windows, one for each minute; raises the hub's errors."""
        request = hub_pb2.UploadRequest(boot="bench")
        for _ in range(windows):
            self._sent += 1
            at = self._sent * _INTERVAL_MS
            window = hub_pb2.Window(
                digest=self._digest,
                route="bench",
                started_at_unix_ms=at,
                ended_at_unix_ms=at + _INTERVAL_MS,
                rows=_ROWS,
                window=self._window,
            )
            record = hub_pb2.Record(sequence=self._sent, recorded_at_unix_ms=at, window=window)
            request.records.append(record.SerializeToString())
        self._channel.upload(request)

    def cpu_seconds(self) -> float:
        """Return the CPU time of the hub so far."""
        return self._server.cpu_seconds()


@contextmanager
def running(checkout: Path) -> Iterator[NodeCalls]:
    """Run the hub of a checkout, and a node of this one.

    Raises:
        GnomonError: the hub refused a package or the node.
    """
    with running_nodes(checkout, 1) as (node,):
        yield node


@contextmanager
def running_nodes(
    checkout: Path, nodes: int, options: Sequence[str] = ()
) -> Iterator[list[NodeCalls]]:
    """Run the hub of a checkout, and nodes of this one.

    Args:
        checkout: whose hub it is.
        nodes: how many nodes.
        options: more options of `gnomon hub run`.

    Raises:
        GnomonError: the hub refused a package or a node.
    """
    with tempfile.TemporaryDirectory() as text, ExitStack() as opened:
        folder = Path(text)
        server = _start_hub(checkout, folder, options)
        opened.callback(server.stop)
        signer = Signer.generate()
        signed = Packages(folder, signer).make(1)
        with HubClient(json.loads(server.address)["rest"]) as client:
            _publish(client, signed, signer, folder / "builder")
            client.post("placements", {"model": "bench", "version": "1"})
            channels = [_enrol(client, folder, f"node-{number}") for number in range(nodes)]
        for channel in channels:
            opened.enter_context(closing(channel))
        yield [NodeCalls(server, channel, signed) for channel in channels]


def _start_hub(checkout: Path, folder: Path, options: Sequence[str]) -> Server:
    (folder / "hub").mkdir(mode=0o700)
    ports = [f"--{name}-port=0" for name in ("rest", "enrolment", "sync")]
    state = [f"--data-folder={folder / 'hub'}", "--tick-seconds=3600", "--promote-untested=true"]
    command = [sys.executable, "-m", "gnomon", "hub", "run", "--json", *state, *ports, *options]
    environment = ["env", f"PYTHONPATH={checkout / 'src'}", "GNOMON_LOG_LEVEL=error"]
    return Server([*environment, *command])


def _publish(client: HubClient, package: Package, signer: Signer, folder: Path) -> None:
    client.post("keys", {"key": signer.public_key.hex(), "name": "bench"})
    token = client.post("tokens", {"role": "builder", "name": "builder"})
    with RegistryClient(BuilderSettings(name="builder", data_folder=folder, **_way(token))) as one:
        one.push(package)


def _enrol(client: HubClient, folder: Path, name: str) -> HubChannel:
    token = client.post("tokens", {"role": "node", "name": name})
    settings = _NodeSettings(name=name, data_folder=folder / name, **_way(token))
    return Enrolment(settings, {"engines": "onnx"}).connect()


def _way(token: dict[str, str]) -> dict[str, Any]:
    return {
        "hub": token["sync"],
        "enrolment": token["enrolment"],
        "token": token["token"],
        "authority_fingerprint": token["fingerprint"],
    }


def _window(package: Package) -> bytes:
    """Return a window of rows that differ in all fields."""
    profile = decode_profile(package.read(PROFILE))
    window: Window = profile.new_window()
    random = np.random.default_rng(5)
    fields = [Field(name=one.name, kind=Kind.FLOAT64) for one in profile.inputs]
    columns, _ = Contract(fields).check_columns(
        {one.name: random.normal(size=_ROWS) for one in fields}
    )
    window.update_columns(columns)
    for _ in range(_ROWS):
        window.observe(ANSWERED_CODE, 1_000_000)
    return window.to_bytes()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures of this checkout, or of another one that is built."""
    parser = argparse.ArgumentParser(prog="gnomon bench node-calls", description=__doc__)
    parser.add_argument("--checkout", type=Path, default=Path(__file__).resolve().parents[2])
    given = parser.parse_args(arguments)
    with running(given.checkout) as calls:
        for name, ns in calls.measure().items():
            print(f"{name:30}{ns / 1_000:10,.0f} us of the hub's CPU time")


if __name__ == "__main__":
    main()
