"""A hub whose memory is older than its nodes' is obeyed; no report deafens a node or the hub."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gnomon.edge.agent import Agent
from gnomon.edge.sync import SyncMachine
from gnomon.proto import hub_pb2
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.server.hub import backup
from gnomon.server.hub.process import Hub
from gnomon.server.hub.settings import HubSettings
from tests.support.hub import new_key
from tests.support.hub_process import HubProcess
from tests.support.node_story import GOOD
from tests.support.packages import make_package
from tests.support.restorable_hub import RestorableHub
from tests.support.waiting import wait_for

ONNX = {"engines": "onnx"}


class Device:
    """A node that puts into service whatever its hub tells it, by the node's own rules."""

    def __init__(self, party: Any) -> None:
        self.party = party
        self.machine = SyncMachine()

    def follow(self, *, is_sound: bool = True) -> list[str]:
        """Call the hub once; return the packages in service after it."""
        reported = self.machine.reported()
        desired = self.party.exchange(facts=ONNX, reported=reported).desired
        if self.machine.propose(desired) and not is_sound:
            self.machine.fail("golden samples differ")
        while self.machine.step.name != "IDLE":
            self.machine.advance()
        return [package.version for package in self.machine.in_service.packages]


@pytest.fixture
def restored(settings: HubSettings, caller_of: Callable[..., Any], tmp_path: Path) -> Any:
    """Start a hub from a backup; return its caller."""
    started = []

    def restored(saved: Path) -> Any:
        folder = tmp_path / f"restored-{len(started)}"
        backup.restore(saved, folder)
        started.append(Hub(dataclasses.replace(settings, data_folder=folder)))
        started[-1].start()
        return caller_of(started[-1].addresses)

    yield restored
    for hub in started:
        hub.stop()


@pytest.fixture
def enrolled(caller: Any, fresh_key: Any) -> Any:
    """Enrol a node; return how it connects to a hub with this authority."""
    token, key = caller.token("node", "device-1"), fresh_key()
    answer = caller.stranger(token).enrol(token["token"], key, "device-1")
    return lambda other: other.known(answer.authority, key, answer.certificate)


def test_a_restored_hub_is_obeyed(
    settings: HubSettings,
    caller: Any,
    builder: Any,
    make: Any,
    enrolled: Any,
    restored: Any,
    tmp_path: Path,
) -> None:
    """What the hub forgot is taken back; placements count at once; a second restore counts too."""
    builder.publish(make("1"))
    builder.publish(make("2"))
    caller.post("placements", model="eta", version="1")
    device = Device(enrolled(caller))
    assert device.follow() == ["1"]
    backup.backup(settings.data_folder, tmp_path / "saved")
    for version in ("2", "1", "2"):
        caller.post("placements", model="eta", version=version)
        assert device.follow() == [version]
    for _ in range(2):
        other = restored(tmp_path / "saved")
        device.party = enrolled(other)
        assert device.follow() == ["1"]
        other.post("placements", model="eta", version="2")
        assert device.follow() == ["2"]
        device.follow()
        (node,) = [one for one in other.get("nodes") if one["role"] == "node"]
        assert node["reported_generation"] == node["generation"]


def upload_of(package: Package) -> hub_pb2.UploadRequest:
    """Return the upload of the window of one prediction by a package."""
    runtime = Runtime(sink := MemorySink())
    runtime.load(package)
    runtime.apply([single("eta", package.digest)])
    runtime.predict("eta", GOOD)
    runtime.close()
    (record,) = (one for one in sink.records if one.WhichOneof("body") == "window")
    record.sequence = 1
    return hub_pb2.UploadRequest(boot="b", records=[record.SerializeToString()])


@pytest.mark.parametrize("shown", ["its own", "of another", "altered", "nothing"])
def test_a_hub_that_forgot_an_assignment_believes_what_it_signed(
    caller: Any, builder: Any, make: Any, restorable: RestorableHub, shown: str
) -> None:
    """So what nodes of a restored hub send again is read, and nothing that they make up is."""
    device = restorable.device
    builder.publish(make("1"))
    builder.publish(package := make("2"))
    caller.post("placements", model="eta", version="1")
    device.call()
    restorable.save()
    caller.post("placements", model="eta", version="2")
    device.call()
    states = device.trust.known_states
    with restorable.restored() as there:
        request = hub_pb2.ExchangeRequest(facts=ONNX)
        device.trust.write_into(request)
        if shown == "its own":
            request.known_states.extend(states)
        elif shown == "altered":
            request.known_states.extend(states)
            for one in request.known_states:
                one.state = one.state.replace(b"onnx", b"ONNX")
        elif shown == "of another":
            token, key = there.token("node", "device-2"), new_key()
            answer = there.stranger(token).enrol(token["token"], key, "device-2")
            other = there.known(answer.authority, key, answer.certificate)
            other.sync.Exchange(hub_pb2.ExchangeRequest(known_states=states), timeout=20)
            device.party = other
        device.party.sync.Exchange(request, timeout=20)
        assert device.party.sync.Upload(upload_of(package), timeout=20).watermark == 1
        (counted,) = there.get("counts", model="eta")
    assert (counted["outcome"] == "answered") == (shown == "its own")
    assert counted["rows"] == 1


def test_windows_of_a_model_that_a_restored_hub_has_lost_are_counted(
    caller: Any, builder: Any, make: Any, restorable: RestorableHub
) -> None:
    """Its package may be published again; until then its rows are counted, as unread."""
    restorable.save()
    builder.publish(package := make("1"))
    caller.post("placements", model="eta", version="1")
    restorable.device.call()
    with restorable.restored() as there:
        restorable.device.exchange()
        sync = restorable.device.party.sync
        assert sync.Upload(upload_of(package), timeout=20).watermark == 1
        (counted,) = there.get("counts", model="eta")
    assert (counted["outcome"], counted["rows"]) == ("unread", 1)


@pytest.mark.parametrize("is_sound", [True, False])
def test_a_hub_whose_database_went_back_is_obeyed(
    caller: Any, builder: Any, make: Any, enrolled: Any, is_sound: bool
) -> None:
    """Also if the database was copied by hand: what nodes report, in service or refused, counts."""
    builder.publish(make("1"))
    caller.post("placements", model="eta", version="1")
    device = Device(enrolled(caller))
    ahead = hub_pb2.DesiredState(epoch=1, generation=900)
    device.machine.propose(ahead)
    if not is_sound:
        device.machine.fail("golden samples differ")
    while device.machine.step.name != "IDLE":
        device.machine.advance()
    assert device.follow() == ["1"]
    reported = device.machine.reported()
    assert (reported.epoch, reported.generation) == (1, 901)


def test_no_report_uses_up_the_numbers_or_counts_as_a_refusal(
    caller: Any, builder: Any, make: Any, enrolled: Any
) -> None:
    builder.publish(make("1"))
    caller.post("placements", model="eta", version="1")
    liar = enrolled(caller)
    for number in (2**63 - 1, 2**64 - 1, 2**40, 2**39 + 1):
        for field in ("generation", "epoch", "refused_generation", "refused_epoch"):
            reported = hub_pb2.ReportedState(**{"generation": 1, "epoch": 1, field: number})
            desired = liar.exchange(facts=ONNX, reported=reported).desired
            assert desired.generation < 1_000
            assert desired.epoch == 1
    (node,) = [one for one in caller.get("nodes") if one["role"] == "node"]
    assert node["refused_generation"] == 0


@pytest.mark.slow
def test_a_running_node_obeys_a_hub_process_that_was_restored(
    tmp_path: Path,
) -> None:
    """Killed, its folder replaced by a backup that is older than the node, started again."""
    signer = Signer.generate()
    hub = HubProcess(tmp_path, signer)
    try:
        packages = {
            version: make_package(
                tmp_path / f"eta-{version}", signer, version=version, test_passed=True
            )
            for version in ("1", "2")
        }
        hub.publish(packages["2"])
        hub.publish(packages["1"])
        with Agent(
            name="device-1",
            data=tmp_path / "node",
            hub=hub.sync,
            enrolment=hub.enrolment,
            authority_fingerprint=hub.fingerprint,
            token=hub.token(),
            upload_seconds=0.1,
            checkpoint_seconds=0.2,
            longest_pause_seconds=0.5,
        ) as agent:

            def wait_until(version: str) -> None:
                expected = (f"eta@{version}",)
                wait_for(lambda: agent.status().models.get("eta") == expected)

            wait_until("1")
            rows = 0

            def predict(count: int) -> None:
                nonlocal rows
                for _ in range(count):
                    agent.predict(GOOD, model="eta")
                rows += count

            def wait_for_rows() -> None:
                wait_for(lambda: hub.rows("device-1").get("answered") == rows)

            predict(10)
            wait_for_rows()
            backup.backup(tmp_path / "hub", tmp_path / "saved")
            predict(20)
            wait_for_rows()  # the restored hub has lost these
            for version in ("2", "1", "2"):
                hub.post("placements", model="eta", version=version)
                wait_until(version)
            hub.post("keys", key=Signer.generate().public_key.hex(), name="bob")
            wait_for(lambda: agent.status().trust.versions["targets"] == 3)
            wait_until("2")
            predict(7)
            wait_for_rows()  # and these, of a version that it does not know to be assigned
            hub.kill()
            (tmp_path / "hub").rename(tmp_path / "lost")
            backup.restore(tmp_path / "saved", tmp_path / "hub")
            hub.start()
            wait_until("1")
            predict(5)
            wait_for_rows()
            hub.post("placements", model="eta", version="2")
            wait_until("2")
            assert len(hub.get("trust")["package_keys"]) == 2
            kinds = [one["kind"] for one in hub.get("events")]
            assert "sent_again" in kinds
            assert "records_lost" not in kinds
    finally:
        hub.kill()
