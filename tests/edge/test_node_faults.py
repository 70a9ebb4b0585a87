"""A node whose files are damaged, whose disk fails, whose clock or hub is wrong: it predicts on."""

import errno
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from gnomon.edge.agent import Agent
from gnomon.proto import hub_pb2
from gnomon.runtime.enrolment.hub_channel import DeadlineExceeded, HubChannel
from gnomon.runtime.files import write_temporary
from gnomon.runtime.ids import now_ms
from gnomon.runtime.packages.signing import Signer
from tests.support.failing_disk import FailingDisk
from tests.support.node_story import GOOD, Story
from tests.support.packages import linear_onnx, make_package
from tests.support.waiting import wait_for


def test_a_damaged_slot_is_fetched_again(story: Story) -> None:
    story.publish()
    with story.agent(token=story.hub.token()) as agent:
        story.wait_for(agent, "1")
        wait_for(lambda: agent.status().step == "idle")
    for model in (story.folder / "node").rglob("model.onnx"):
        model.write_bytes(model.read_bytes()[:-1] + b"!")
    with story.agent() as agent:
        story.wait_for(agent, "1")
        assert agent.predict(GOOD, model=story.name).version == "1"


def test_a_damaged_slot_is_repaired_after_a_later_version_was_refused(story: Story) -> None:
    story.publish()
    with story.agent(token=story.hub.token()) as agent:
        story.wait_for(agent, "1")
        story.publish("2", bias=5.0)
        wait_for(lambda: agent.status().refused_generation)
        wait_for(lambda: agent.status().step == "idle")
    for model in (story.folder / "node").rglob("model.onnx"):
        model.write_bytes(model.read_bytes()[:-1] + b"!")
    with story.agent() as agent:
        story.wait_for(agent, "1")
        wait_for(lambda: agent.status().step == "idle")
        assert agent.status().refused_generation > agent.status().generation > 0
        story.publish("3", bias=0.0001)  # the tests share the hub, and a node runs all its models
        story.wait_for(agent, "3")


DAMAGES = {
    "flipped": lambda data: data[:50] + bytes([data[50] ^ 1]) + data[51:],
    "cut": lambda data: data[: len(data) // 2],
    "emptied": lambda data: b"",
    "overwritten": lambda data: b"\0" * len(data),
    "removed": None,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pattern", ["sync.json*", "identity/*", "trust.json", "metadata*", "*/*"])
def test_verified_packages_predict_whatever_else_is_damaged(
    installed: Path, tmp_path: Path, pattern: str, damage: str
) -> None:
    shutil.copytree(installed / "node", tmp_path / "node")
    damaged = [path for path in (tmp_path / "node").glob(pattern) if path.is_file()]
    assert damaged
    for path in damaged:
        if len(data := path.read_bytes()) > 50:
            change = DAMAGES[damage]
            if change is not None:
                path.write_bytes(change(data))
            elif "trust" not in path.name and "metadata" not in path.name:
                path.unlink()  # without any key no package counts
    agent = Agent(name="n1", data=tmp_path / "node", hub="127.0.0.1:9", stop_seconds=0.1)
    with agent:
        agent.wait_ready(0)
        assert agent.predict(GOOD, model="whole").version == "2"


@pytest.fixture(scope="module")
def installed(hub: Any, tmp_path_factory: pytest.TempPathFactory, signer: Signer) -> Path:
    """A data folder with two versions installed, one after the other."""
    story = Story(hub, "whole", tmp_path_factory.mktemp("installed"), signer)
    story.publish("1")
    with story.agent(token=hub.token()) as agent:
        story.wait_for(agent, "1")
        story.publish("2", bias=0.0001)
        story.wait_for(agent, "2")
        wait_for(lambda: agent.status().step == "idle")
    return story.folder


@pytest.mark.slow
def test_each_write_of_the_state_may_fail_once_and_every_version_is_installed(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = 0
    failing = 0

    def write(path: Path, data: bytes, **options: Any) -> Path:
        nonlocal writes
        if path.name == "sync.json":
            writes += 1
            if writes == failing:
                raise OSError(errno.ENOSPC, "no space left")
        return write_temporary(path, data, **options)

    monkeypatch.setattr("gnomon.runtime.state_file.write_temporary", write)
    story.publish()
    with story.agent(token=story.hub.token()) as agent:
        story.wait_for(agent, "1")
        wait_for(lambda: agent.status().step == "idle")
        for number in range(1, writes + 1):
            writes, failing = 0, number
            story.publish(str(number + 1), bias=0.00001 * number)
            story.wait_for(agent, str(number + 1))
            wait_for(lambda: agent.status().step == "idle")
            assert writes > failing
            assert agent.predict(GOOD, model=story.name).version == str(number + 1)
        assert agent.status().refused_generation == 0


def test_a_lost_segment_stops_no_telemetry_and_stop_raises_nothing(story: Story) -> None:
    story.publish()
    with story.agent(token=story.hub.token()) as agent:
        story.wait_for(agent, "1")
        wait_for(lambda: agent.status().step == "idle")
    agent = story.agent(hub="127.0.0.1:9", stop_seconds=0.2)
    agent.start()
    for number in range(20):
        agent.predict(GOOD, model=story.name, request_id=f"r{number}")
        time.sleep(0.02)
    wait_for(lambda: list((story.folder / "node/spool").glob("*.segment")))
    for path in (story.folder / "node/spool").glob("*.segment"):
        path.unlink()
    agent.predict(GOOD, model=story.name)
    agent.stop()
    with story.agent() as agent:  # the lock was released
        agent.predict(GOOD, model=story.name)
    assert story.hub.rows(story.name)["answered"] >= 1


def test_content_that_is_damaged_at_the_hub_stops_no_telemetry_and_no_other_model(
    story: Story, tmp_path: Path, signer: Signer
) -> None:
    other = Story(story.hub, "beside_damaged_content", tmp_path / "other", signer)
    story.publish()
    other.publish()
    with story.agent(token=story.hub.token()) as agent:
        story.wait_for(agent, "1")
        other.wait_for(agent, "1")
        package = make_package(
            tmp_path / "damaged",
            signer,
            name=story.name,
            version="2",
            model=linear_onnx([0.125, 0.1, 0.0, 10.0, 0.0], 0.00007),
            test_passed=True,
        )
        chunk = next(digest for digest, data in package.iter_blobs() if b"features" in data[:500])
        story.hub.publish_only(package)
        (blob,) = (path for path in (story.hub.folder / "hub").rglob(chunk) if path.is_file())
        content = blob.read_bytes()
        blob.write_bytes(content[:-1] + b"!")
        story.hub.post("placements", model=story.name, version="2")
        wait_for(lambda: f"{story.name}@2" in agent.status().refused)
        assert agent.status().is_hub_reachable
        agent.predict(GOOD, model=story.name)
        wait_for(lambda: story.hub.rows(story.name) == {"answered": 1})
        other.publish("2", bias=0.0001)
        other.wait_for(agent, "2")
        blob.write_bytes(content)
        story.wait_for(agent, "2")
        wait_for(lambda: not agent.status().refused)


def test_an_upload_that_takes_too_long_makes_no_hub_unreachable(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads: list[str] = []
    reachable: list[bool] = []
    real_exchange = HubChannel.exchange

    def upload(_: HubChannel, request: hub_pb2.UploadRequest, __: float) -> Any:
        uploads.append(request.boot)
        raise DeadlineExceeded("the link is slow")

    def exchange(channel: HubChannel, request: hub_pb2.ExchangeRequest) -> Any:
        if uploads:
            reachable.append(agent.status().is_hub_reachable)
        return real_exchange(channel, request)

    monkeypatch.setattr(HubChannel, "upload", upload)
    monkeypatch.setattr(HubChannel, "exchange", exchange)
    agent = story.agent(token=story.hub.token(), stop_seconds=0.1)
    with agent:
        wait_for(lambda: len(uploads) > 1 and len(reachable) > 1)
        assert "the link is slow" in agent.status().last_error
        assert all(reachable)


@pytest.mark.parametrize("error", [errno.EROFS, errno.ENOSPC])
def test_a_node_on_a_disk_that_cannot_be_written_predicts_and_says_so(
    story: Story, installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    shutil.copytree(installed / "node", tmp_path / "node")
    before = story.hub.rows("whole").get("answered", 0)
    disk = FailingDisk(tmp_path, error, monkeypatch)
    name, data = "whole", tmp_path / "node"
    with Agent(name=name, data=data, hub=story.hub.sync, upload_seconds=0.1) as agent:
        agent.wait_ready(0)
        for _ in range(5):
            assert agent.predict(GOOD, model="whole").version == "2"
        assert os.strerror(error) in agent.status().spool.disk_error
        agent.stop()
        assert story.hub.rows("whole")["answered"] == before + 5  # sent from memory
    disk.mend()
    with Agent(name=name, data=data, hub=story.hub.sync) as agent:
        agent.predict(GOOD, model="whole")
    assert story.hub.rows("whole")["answered"] == before + 6


@pytest.mark.slow
def test_status_and_hub_say_what_is_wrong_and_forget_what_is_over(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.publish()
    with story.agent(token=story.hub.token()) as agent:
        story.wait_for(agent, "1")
        wait_for(lambda: agent.status().step == "idle")
        assert agent.status().warnings == ()
        assert abs(agent.status().clock_offset_seconds) < 30
        assert agent.status().certificate_expires_at > time.time()
    (story.folder / "node/trust.json").write_bytes(b"x")
    for module in ("node_threads", "hub_reporter"):
        monkeypatch.setattr(f"gnomon.edge.{module}.now_ms", lambda: now_ms() - 7_200_000)
    story.hub.kill()
    with story.agent() as agent:
        agent.predict(GOOD, model=story.name)
        wait_for(lambda: agent.status().last_error)
        assert not agent.status().is_hub_reachable
        assert abs(agent.status().last_error_at + 7_200 - time.time()) < 60
        wait_for(lambda: any("wait for the hub" in one for one in agent.status().warnings))
        story.hub.start()
        wait_for(lambda: agent.status().is_hub_reachable and not agent.status().last_error)
        said = wait_for(lambda: story.reported()["facts"].get("warnings"))
        assert "trust.json is damaged" in said
        wait_for(lambda: "s behind the hub's" in story.reported()["facts"].get("warnings", ""))
    kinds = [e["kind"] for e in story.hub.get("events") if e["node"] == story.name]
    assert kinds.count("warning") == 2
