"""A node's trust and state machine over a hub's answers, which a test may change on their way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from gnomon.edge.sync import SyncMachine
from gnomon.edge.sync_state import Step
from gnomon.edge.trust import NodeTrust
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import UntrustedPackage
from gnomon.runtime.state_file import unseal


class _File(msgspec.Struct):
    known: dict[str, bytes]


Change = Callable[[hub_pb2.ExchangeResponse], None]


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class TrustingNode:
    """Calls a hub as a node does, and installs what passes the checks of signatures."""

    def __init__(self, party: Any, folder: Path, name: str = "device-1", **options: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.party, self.folder, self.name = party, folder, name
        self.clock = Clock()
        self.machine = SyncMachine()
        self._options = options
        self.change: Change = lambda response: None
        self.sent: list[hub_pb2.ExchangeRequest] = []
        self.restart()

    def restart(self) -> None:
        self.clock = Clock()
        self.trust = NodeTrust(
            self.folder, self.name, lambda: (), clock=self.clock, **self._options
        )

    def exchange(self) -> hub_pb2.ExchangeResponse:
        """Return the hub's answer, unchanged."""
        request = hub_pb2.ExchangeRequest(
            boot="b", facts={"engines": "onnx"}, reported=self.machine.reported()
        )
        self.trust.write_into(request)
        request.known_states.extend(self.trust.known_states)
        self.sent.append(request)
        return self.party.sync.Exchange(request, timeout=20)

    def call(self) -> list[str]:
        """Exchange once; return the versions in service after it."""
        response = self.exchange()
        self.change(response)
        desired = self.trust.take(response)
        if self.trust.is_new_signer:
            self.machine.forget_order()
            self.trust.accept_signer()
        if self.machine.propose(desired):
            present = [package.digest for package in self.machine.in_service.packages]
            try:
                self.trust.check(self.machine.desired.packages, present)
            except UntrustedPackage as error:
                self.machine.fail(str(error))
        while self.machine.step is not Step.IDLE:
            self.machine.advance()
        self.trust.note_in_service(self.machine.in_service.packages)
        return self.versions

    @property
    def known(self) -> dict[str, bytes]:
        """The verified metadata that the node keeps, by role."""
        return msgspec.json.decode(
            unseal((self.folder / "metadata.json").read_bytes()), type=_File
        ).known

    @property
    def versions(self) -> list[str]:
        """The versions in service."""
        return [package.version for package in self.machine.in_service.packages]
