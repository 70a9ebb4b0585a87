"""Keys that a hub learns or revokes reach nodes with the next exchange, in signed metadata."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gnomon.edge.agent import Agent
from gnomon.runtime.errors import UntrustedMetadata, UntrustedPackage
from gnomon.runtime.packages.signing import Signer
from gnomon.server.hub.fleet import desired
from gnomon.server.hub.process import Hub
from gnomon.server.hub.rollout import rollouts
from gnomon.server.hub.rollout.plan import RolloutPlan
from tests.support.packages import linear_onnx, make_package
from tests.support.restorable_hub import RestorableHub
from tests.support.trusting_node import TrustingNode
from tests.support.waiting import wait_for

GOOD = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}


def test_a_learned_key_reaches_nodes(
    caller: Any, builder: Any, make: Any, device: TrustingNode
) -> None:
    """With the exchange that tells of what it signed; what was refused before is told anew."""
    late = Signer.generate()
    caller.post("keys", key=late.public_key.hex(), name="bob")
    builder.publish(make("2", signer=late))
    caller.post("placements", model="eta", version="2")
    assert device.call() == ["2"]
    device.trust.keys.verify(
        device.machine.in_service.packages[0].digest,
        device.machine.in_service.packages[0].envelopes,
    )


def test_a_revoked_key_reaches_nodes(
    caller: Any, builder: Any, make: Any, device: TrustingNode, signer: Signer
) -> None:
    """What it signed stays in service, also after a restart, and is named; nothing new comes."""
    builder.publish(make("2"))
    device.sent.clear()
    caller.http.delete(f"/api/v1/keys/{signer.public_key.hex()}").raise_for_status()
    assert device.call() == ["1"]
    assert signer.key_id not in device.trust.keys.key_ids
    assert device.trust.status.revoked == ("eta@1",)
    device.restart()
    (package,) = device.machine.in_service.packages
    device.trust.former_keys.verify(package.digest, package.envelopes)
    assert device.trust.note_in_service([package]) == ("eta@1",)
    assert device.call() == ["1"]
    with pytest.raises(UntrustedPackage):
        device.trust.check([package], [])


@pytest.mark.parametrize("take_up", [desired.place, rollouts.create])
def test_the_hub_takes_up_nothing_that_a_revoked_key_signed(
    hub: Hub,
    caller: Any,
    builder: Any,
    make: Any,
    device: TrustingNode,
    signer: Signer,
    take_up: Callable[..., Any],
) -> None:
    builder.publish(make("2"))
    caller.http.delete(f"/api/v1/keys/{signer.public_key.hex()}").raise_for_status()
    plan = [RolloutPlan()] if take_up is rollouts.create else []
    with (
        hub.services.database.change("ada") as change,
        pytest.raises(UntrustedPackage, match="eta@2 is signed by no key that is trusted here now"),
    ):
        take_up(change, "eta", "2", *plan)


def test_a_restored_hub_takes_keys_back_from_a_node(
    caller: Any, restorable: RestorableHub, signer: Signer
) -> None:
    """A revocation that the backup does not know is not lost, nor is a key learned since."""
    device = restorable.device
    device.call()
    restorable.save()
    learned = Signer.generate()
    caller.post("keys", key=learned.public_key.hex(), name="bob")
    device.call()
    caller.http.delete(f"/api/v1/keys/{signer.public_key.hex()}").raise_for_status()
    device.call()
    assert device.trust.keys.key_ids == (learned.key_id,)
    with restorable.restored() as there:
        # The hub asks for what it forgot; until it has it, the node follows nothing older.
        with pytest.raises(UntrustedMetadata, match="version"):
            device.call()
        device.call()
        assert device.trust.keys.key_ids == (learned.key_id,)
        trusted = {one["key"]: one["revoked_at"] for one in there.get("keys")}
        assert trusted[signer.public_key.hex()] is not None
        assert trusted[learned.public_key.hex()] is None
        assert device.trust.status.problem == ""


@pytest.mark.slow
def test_a_restarted_agent_keeps_the_model_of_a_revoked_key(
    hub: Hub, caller: Any, builder: Any, signer: Signer, tmp_path: Path
) -> None:
    def publish(version: str) -> None:
        model = linear_onnx([0.125, 0.1, 0.0, 10.0, 0.0], 0.0)
        folder = tmp_path / f"package-{version}"
        package = make_package(
            folder, signer, name="eta", version=version, model=model, test_passed=True
        )
        builder.publish(package)
        caller.post("placements", model="eta", version=version)

    def agent(**more: Any) -> Agent:
        return Agent(
            name="device-1",
            data=tmp_path / "node",
            hub=hub.addresses.sync,
            enrolment=hub.addresses.enrolment,
            authority_fingerprint=hub.addresses.fingerprint,
            upload_seconds=0.1,
            **more,
        )

    publish("1")
    with agent(token=caller.token("node")["token"]) as first:
        first.wait_ready(30)
        assert first.status().trust.mode == "simple"
        caller.http.delete(f"/api/v1/keys/{signer.public_key.hex()}").raise_for_status()
        wait_for(lambda: first.status().trust.revoked == ("eta@1",))
    with agent() as second:
        assert second.predict(GOOD, model="eta").outputs["air_time"] == pytest.approx(111)
        assert second.status().trust.revoked == ("eta@1",)
        wait_for(lambda: second.status().is_hub_reachable)
    kinds = [one["kind"] for one in caller.get("events")]
    assert kinds.count("in_service_untrusted") == 2
