"""What a hub, or whoever answers in its name, cannot make a node do; each class of attack by name.

The hub is real. What lies between it and the node is changed as an attacker would, who holds those
of its keys that the test says.
"""

import copy
import dataclasses
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile

from gnomon.edge.agent import Agent
from gnomon.edge.installer import Installer
from gnomon.edge.sync_state import Step
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import ExpiredMetadata, HubError, UntrustedMetadata
from gnomon.runtime.packages.signing import Signer, TrustStore
from gnomon.runtime.trust.signed_state import sign_state
from gnomon.server.hub.process import Hub
from gnomon.server.hub.settings import HubSettings
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.trust.signing_keys import SigningKeys
from tests.support.packages import make_package
from tests.support.trusting_node import TrustingNode
from tests.support.waiting import wait_for

DAY = 86_400.0


@pytest.fixture
def device(caller: Any, builder: Any, make: Any, tmp_path: Path) -> TrustingNode:
    """A node with eta@1 in service."""
    builder.publish(make("1"))
    builder.publish(make("2"))
    caller.post("placements", model="eta", version="1")
    device = TrustingNode(caller.enrol("node", "device-1"), tmp_path / "device")
    assert device.call() == ["1"]
    return device


@pytest.fixture
def held(hub: Hub) -> SigningKeys:
    """The hub's keys, as whoever broke into it has them."""
    services = hub.services
    return SigningKeys(services.settings.data_folder, services.authority)


def new_version(caller: Any, device: TrustingNode) -> None:
    """Make the hub sign newer metadata, and have the node take it."""
    caller.post("keys", key=Signer.generate().public_key.hex(), name="bob")
    device.call()


def replace(response: hub_pb2.ExchangeResponse, role: str, data: bytes) -> None:
    version = Metadata.from_bytes(data).signed.version
    for one in list(response.metadata):
        if one.role == role:
            response.metadata.remove(one)
    response.metadata.add(role=role, version=version, data=data)


def signed(metadata: Metadata[Any], *signers: CryptoSigner) -> bytes:
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def test_a_node_says_what_it_trusts(device: TrustingNode) -> None:
    status = device.trust.status
    assert status.mode == "simple"
    assert set(status.versions) == {"root", "timestamp", "snapshot", "targets"}
    assert status.expires_at is not None
    assert (status.problem, status.revoked) == ("", ())


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_rollback(caller: Any, device: TrustingNode, held: SigningKeys, role: str) -> None:
    """Metadata that the hub signed earlier is refused, also if newer metadata names it."""
    old = {one: Metadata.from_bytes(device.known[one]) for one in ("timestamp", role)}
    new_version(caller, device)
    before = device.trust.status.versions

    def roll_back(response: hub_pb2.ExchangeResponse) -> None:
        if role == "timestamp":
            replace(response, role, old[role].to_bytes())
            return
        replace(response, role, old[role].to_bytes())
        known = device.known
        snapshot = Metadata.from_bytes(known["snapshot"])
        timestamp = Metadata.from_bytes(known["timestamp"])
        if role == "targets":
            snapshot.signed.version += 1
            snapshot.signed.meta["targets.json"] = MetaFile(old[role].signed.version)
            replace(response, "snapshot", signed(snapshot, held.first("snapshot")))
        named = snapshot.signed.version if role == "targets" else old[role].signed.version
        timestamp.signed.version += 1
        timestamp.signed.snapshot_meta = MetaFile(named)
        replace(response, "timestamp", signed(timestamp, held.first("timestamp")))

    device.change = roll_back
    with pytest.raises(UntrustedMetadata, match=r"version|must be|Expected"):
        device.call()
    assert device.trust.status.versions["targets"] == before["targets"]
    assert device.versions == ["1"]
    assert "signed metadata" in device.trust.status.problem


def test_rollback_of_the_desired_state(caller: Any, device: TrustingNode) -> None:
    earlier = device.exchange().signed
    caller.post("placements", model="eta", version="2")
    assert device.call() == ["2"]
    device.change = lambda response: response.signed.CopyFrom(earlier)
    assert device.call() == ["2"]


def test_freeze(caller: Any, device: TrustingNode) -> None:
    """Who withholds news stops installs once the timestamp is over; the model stays in service."""
    caller.post("placements", model="eta", version="2")
    newest = device.exchange()
    device.clock.seconds += 4 * DAY

    def withhold(response: hub_pb2.ExchangeResponse) -> None:
        response.CopyFrom(newest)
        del response.metadata[:]

    device.change = withhold
    for _ in range(2):
        with pytest.raises(ExpiredMetadata, match="expired"):
            device.call()
    assert device.versions == ["1"]
    assert "expired" in device.trust.status.problem


@pytest.mark.parametrize("wall", ["1970-01-02", "2099-12-31"])
def test_a_wrong_clock_of_the_device_changes_nothing(
    caller: Any, device: TrustingNode, wall: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.fromisoformat(wall).replace(tzinfo=tz)

    wrong = SimpleNamespace(datetime=Wrong, timezone=timezone)
    monkeypatch.setattr("tuf.ngclient._internal.trusted_metadata_set.datetime", wrong)
    device.restart()
    caller.post("placements", model="eta", version="2")
    assert device.call() == ["2"]
    assert abs((device.trust.now - datetime.now(UTC)).total_seconds()) < DAY


def test_what_was_verified_works_without_the_hub(device: TrustingNode) -> None:
    """Also long after it expired: for what is in service, not for what is new."""
    package = device.machine.in_service.packages[0]
    device.restart()
    device.clock.seconds += 1_000 * DAY
    device.trust.former_keys.verify(package.digest, package.envelopes)
    with pytest.raises(ExpiredMetadata):
        device.trust.check([package], [])


def test_mix_and_match(caller: Any, device: TrustingNode, held: SigningKeys) -> None:
    """A snapshot of one time beside targets of another is refused."""
    targets = Metadata.from_bytes(device.known["targets"])
    caller.post("keys", key=Signer.generate().public_key.hex(), name="bob")

    def mix(response: hub_pb2.ExchangeResponse) -> None:
        mixed = copy.deepcopy(targets)
        mixed.signed.version = next(
            one.version for one in response.metadata if one.role == "targets"
        )
        replace(response, "targets", targets.to_bytes())
        response.metadata[-1].version = mixed.signed.version

    device.change = mix
    with pytest.raises(UntrustedMetadata, match="targets: Expected targets v"):
        device.call()
    assert device.versions == ["1"]


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_endless_data(caller: Any, device: TrustingNode, role: str) -> None:
    caller.post("keys", key=Signer.generate().public_key.hex(), name="bob")

    def fill(response: hub_pb2.ExchangeResponse) -> None:
        versions = {one.role: one.version for one in response.metadata} | {"root": 2}
        kept = [one for one in response.metadata if one.role != role]
        del response.metadata[:]
        response.metadata.extend(kept)
        response.metadata.add(role=role, version=versions[role], data=b" " * 5_000_001)

    device.change = fill
    with pytest.raises(UntrustedMetadata, match=rf"{role}: it has 5000001 bytes; at most \d+"):
        device.call()


def test_endless_roots(device: TrustingNode) -> None:
    """Roots that are not signed by the one before are not followed."""

    def fill(response: hub_pb2.ExchangeResponse) -> None:
        root = Metadata.from_bytes(device.known["root"])
        for version in range(2, 400):
            root.signed.version = version
            data = signed(root, CryptoSigner.generate_ed25519())
            response.metadata.add(role="root", version=version, data=data)

    device.change = fill
    with pytest.raises(UntrustedMetadata, match="root: root was signed by 0/1 keys"):
        device.call()


def test_fast_forward(caller: Any, device: TrustingNode, held: SigningKeys) -> None:
    """Numbers that a thief of the online keys drove up are forgotten once the keys are replaced."""

    def drive(response: hub_pb2.ExchangeResponse) -> None:
        timestamp = Metadata.from_bytes(device.known["timestamp"])
        timestamp.signed.version = 2**40
        timestamp.signed.expires += timedelta(days=36_500)
        timestamp.signed.unrecognized_fields["x-gnomon"] = {"signed_at": 4_000_000_000_000}
        replace(response, "timestamp", signed(timestamp, held.first("timestamp")))
        state = hub_pb2.DesiredState.FromString(response.signed.state)
        state.epoch = state.generation = 2**40
        response.signed.CopyFrom(sign_state(state, held.first("desired")))

    device.change = drive
    with pytest.raises(ExpiredMetadata):
        device.call()  # the snapshot is over at the time that the thief proved
    device.change = lambda response: None
    with pytest.raises(UntrustedMetadata):
        device.call()
    caller.post("trust/rotate")
    caller.post("placements", model="eta", version="2")
    assert device.call() == ["2"]
    assert device.trust.status.versions["timestamp"] < 1_000
    assert device.trust.now < datetime.now(UTC) + timedelta(days=1)


@pytest.mark.parametrize("role", ["targets", "root"])
def test_key_compromise_below_the_threshold(
    hub: Hub, device: TrustingNode, held: SigningKeys, role: str
) -> None:
    """Keys of snapshot, timestamp and desired states sign neither package keys nor a root."""
    online = [held.first(one) for one in ("snapshot", "timestamp", "desired")]
    thief = Signer.generate()

    def forge(response: hub_pb2.ExchangeResponse) -> None:
        known = device.known
        forged = Metadata.from_bytes(known[role])
        forged.signed.version += 1
        if role == "targets":
            forged.signed.unrecognized_fields["x-gnomon"] = {
                "package_keys": [thief.public_key.hex()]
            }
        replace(response, role, signed(forged, *online))
        snapshot = Metadata.from_bytes(known["snapshot"])
        timestamp = Metadata.from_bytes(known["timestamp"])
        if role == "targets":
            snapshot.signed.meta["targets.json"] = MetaFile(forged.signed.version)
        snapshot.signed.version += 1
        timestamp.signed.version += 1
        timestamp.signed.snapshot_meta = MetaFile(snapshot.signed.version)
        replace(response, "snapshot", signed(snapshot, held.first("snapshot")))
        replace(response, "timestamp", signed(timestamp, held.first("timestamp")))

    device.change = forge
    with pytest.raises(UntrustedMetadata, match=f"{role} was signed by 0/1 keys"):
        device.call()
    assert thief.key_id not in device.trust.keys.key_ids


def test_root_rotation(caller: Any, device: TrustingNode, tmp_path: Path) -> None:
    """Nodes follow every rotation, one by one, also after they were away for several."""
    late = TrustingNode(caller.enrol("node", "device-2"), tmp_path / "late", "device-2")
    late.call()
    for _ in range(3):
        caller.post("trust/rotate")
        device.call()
    caller.post("placements", model="eta", version="2")
    assert device.call() == late.call() == ["2"]
    assert late.trust.status.versions["root"] == 4
    assert late.trust.status == device.trust.status


def test_a_state_without_a_signature_is_refused_once_there_is_metadata(
    device: TrustingNode,
) -> None:
    def strip(response: hub_pb2.ExchangeResponse) -> None:
        response.desired.ParseFromString(response.signed.state)
        response.desired.generation += 1
        response.ClearField("signed")
        del response.metadata[:]

    device.change = strip
    with pytest.raises(UntrustedMetadata, match="is not signed by it"):
        device.call()


def test_the_state_of_another_node_is_refused(
    caller: Any, device: TrustingNode, tmp_path: Path
) -> None:
    other = TrustingNode(caller.enrol("node", "device-2"), tmp_path / "other", "device-2")
    theirs = other.exchange().signed
    device.change = lambda response: response.signed.CopyFrom(theirs)
    with pytest.raises(UntrustedMetadata, match="'device-2', not 'device-1'"):
        device.call()


def test_an_older_hub_is_obeyed_by_the_keys_of_the_enrolment(
    device: TrustingNode, tmp_path: Path
) -> None:
    """And by a node that has not seen metadata only."""
    answer = hub_pb2.ExchangeResponse(desired=hub_pb2.DesiredState(generation=4))
    fresh = TrustingNode(device.party, tmp_path / "fresh")
    assert fresh.trust.take(answer).generation == 4
    assert fresh.trust.status.mode == "enrolment"
    with pytest.raises(UntrustedMetadata):
        device.trust.take(answer)


def test_wrong_target(signer: Signer, tmp_path: Path, make: Callable[..., Any]) -> None:
    """A route of one model leads to packages of that model only, with a fallback of their own."""
    toy = make_package(tmp_path / "toy", signer, name="toy", version="1")
    eta = make("1")
    trust = TrustStore([signer.public_key])
    nothing: Any = None
    installer, channel = Installer(nothing, nothing, ("onnx",), nothing), nothing
    for package in (toy, eta):
        manifest = package.manifest
        state = hub_pb2.DesiredState(
            packages=[
                hub_pb2.PackageRef(
                    name=manifest.name,
                    version=manifest.version,
                    digest=package.digest,
                    format=manifest.format,
                    envelopes=package.envelopes,
                )
            ],
            routes=[
                hub_pb2.Route(
                    name="eta", targets=[hub_pb2.Target(digest=package.digest, weight=1000)]
                )
            ],
        )
        if package is eta:
            installer.execute_step(Step.CHECK, state, channel, trust)
            continue
        with pytest.raises(HubError, match=r"route 'eta' leads to \['toy'\], another model"):
            installer.execute_step(Step.CHECK, state, channel, trust)


@pytest.mark.slow
def test_no_pause_of_the_hub_exceeds_the_nodes_setting(
    settings: HubSettings, caller_of: Callable[..., Any], tmp_path: Path
) -> None:
    """A hub that asks for 49 days is called again after the node's own longest pause."""
    hub = Hub(dataclasses.replace(settings, node_call_ms=2**32 - 1))
    hub.start()
    caller = caller_of(hub.addresses)
    try:
        with Agent(
            name="device-1",
            data=tmp_path / "node",
            hub=hub.addresses.sync,
            enrolment=hub.addresses.enrolment,
            authority_fingerprint=hub.addresses.fingerprint,
            token=caller.token("node")["token"],
            sync_seconds=0.1,
            upload_seconds=0.1,
            longest_pause_seconds=0.2,
        ) as agent:
            wait_for(lambda: agent.status().trust.versions.get("targets") == 1)
            time.sleep(0.5)  # calls that bring news follow each other without a pause
            caller.post("keys", key=Signer.generate().public_key.hex(), name="bob")
            wait_for(lambda: agent.status().trust.versions.get("targets") == 2)
    finally:
        hub.stop()


@pytest.mark.parametrize("days", [-20_000, 21, 26_000])
def test_a_clock_of_the_hub_that_was_wrong_for_a_moment_stops_no_install(
    caller: Any, device: TrustingNode, days: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed time never goes back, and goes ahead by little at once."""
    modules = ("signing", "stored", "repository")
    with monkeypatch.context() as wrong:
        at = now_ms() + days * 86_400_000
        for module in modules:
            wrong.setattr(f"gnomon.server.hub.trust.{module}.now_ms", lambda: at)
        caller.post("keys", key=Signer.generate().public_key.hex(), name="bob")
        assert device.call() == ["1"]
    assert device.trust.now < datetime.now(UTC) + timedelta(days=31)
    caller.post("placements", model="eta", version="2")
    assert device.call() == ["2"]
    device.clock.seconds += 2 * DAY
    new_version(caller, device)
    assert device.trust.status.problem == ""
