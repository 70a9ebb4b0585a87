"""Agents with a real hub over real TLS: enrol, install, predict, count; whoever dies in between."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gnomon.edge.agent import Agent
from gnomon.runtime.enrolment.identity import fetch_authority
from gnomon.runtime.errors import (
    ConfigurationError,
    HubError,
    InvalidInput,
    NotReady,
    StorageError,
    UnknownModel,
    UntrustedPackage,
)
from gnomon.runtime.packages.signing import Signer, TrustStore
from tests.support.node_story import BAD, GOOD, Story
from tests.support.packages import make_package
from tests.support.waiting import wait_for


@pytest.mark.slow
def test_an_agent_enrols_installs_predicts_and_is_counted(story: Story) -> None:
    story.publish()
    with story.agent(token=story.hub.token()) as agent:
        agent.wait_ready(30)
        story.wait_for(agent, "1")
        for number in range(50):
            answer = agent.predict(
                GOOD, model=story.name, request_id=f"r{number}", at=1_700_000_000 + number * 60
            )
            assert answer.outputs["air_time"] == pytest.approx(111)
            agent.label(f"r{number}", 100.0 + number, model=story.name)
        with pytest.raises(InvalidInput):
            agent.predict(BAD, model=story.name)
        wait_for(lambda: agent.status().step == "idle")
        assert agent.status().is_hub_reachable
        assert agent.status().is_enrolled
    assert story.hub.rows(story.name) == {"answered": 50, "refused": 1}
    kinds = [e["kind"] for e in story.hub.get("events") if e["node"] == story.name]
    assert kinds == ["stopped", "installed", "started"]
    assert (story.folder / "node/identity/key.pem").stat().st_mode & 0o077 == 0


def test_a_nodes_files_are_its_owners_alone(story: Story) -> None:
    """Whatever the umask says: the folder of keys and telemetry is entered by no other user."""
    story.publish()
    umask = os.umask(0)
    try:
        with story.agent(token=story.hub.token()) as agent:
            story.wait_for(agent, "1")
            agent.predict(GOOD, model=story.name)
        paths = [story.folder / "node", *(story.folder / "node/identity").iterdir()]
        assert {one.name for one in paths} >= {"node", "key.pem"}
        assert [one.name for one in paths if one.stat().st_mode & 0o077] == []
    finally:
        os.umask(umask)


def test_a_retired_model_is_unloaded_and_may_come_back(story: Story) -> None:
    story.publish()
    with story.agent(token=story.hub.token()) as agent:
        story.wait_for(agent, "1")
        story.hub.post("placements/retire", model=story.name)
        wait_for(lambda: not agent.status().models.get(story.name))
        with pytest.raises(UnknownModel):
            agent.predict(GOOD, model=story.name)
        story.hub.post("placements", model=story.name, version="1")
        story.wait_for(agent, "1")
        assert agent.predict(GOOD, model=story.name).outputs["air_time"] == pytest.approx(111)


@pytest.mark.slow
def test_a_killed_hub_costs_no_prediction_and_no_count(story: Story) -> None:
    story.publish()
    made = 0
    stop = threading.Event()
    with story.agent(token=story.hub.token()) as agent:
        story.wait_for(agent, "1")

        def predict() -> None:
            nonlocal made
            while not stop.wait(0.001):
                agent.predict(GOOD, model=story.name, at=1_700_000_000 + made)
                made += 1

        caller = threading.Thread(target=predict)
        caller.start()
        for _ in range(2):
            time.sleep(0.4)
            story.hub.kill()
            before = made
            wait_for(lambda before=before: made > before + 20)
            story.hub.start()
        stop.set()
        caller.join(10)
    with story.agent() as agent:  # what the first one could not hand over in time
        agent.predict(GOOD, model=story.name)
    assert story.hub.rows(story.name) == {"answered": made + 1}


def test_a_restart_without_the_hub_serves_what_was_in_service(story: Story) -> None:
    story.publish()
    with story.agent(token=story.hub.token()) as agent:
        story.wait_for(agent, "1")
        generation = wait_for(lambda: agent.status().generation)
    with story.agent(stop_seconds=0.2, hub="127.0.0.1:9") as agent:
        agent.wait_ready(0)
        assert agent.predict(GOOD, model=story.name).version == "1"
        assert agent.status().generation == generation
    with story.agent() as agent:
        agent.predict(GOOD, model=story.name)
    assert story.hub.rows(story.name) == {"answered": 2}


def test_a_version_that_does_not_hold_is_refused_and_the_old_one_stays(story: Story) -> None:
    story.publish()
    with story.agent(token=story.hub.token()) as agent:
        story.wait_for(agent, "1")
        story.publish("2", bias=5.0)
        wait_for(lambda: agent.status().refused_generation)
        assert "WARM" in agent.status().reason
        assert "golden" in agent.status().reason
        assert agent.predict(GOOD, model=story.name).version == "1"
        wait_for(lambda: story.reported()["refused_generation"])
        assert "golden" in story.reported()["reason"]
        story.publish("3", bias=0.0001)
        story.wait_for(agent, "3")
        assert agent.predict(GOOD, model=story.name).version == "3"
        wait_for(lambda: agent.status().step == "idle")
        assert agent.status().reason == ""
        manifests = [one.read_text() for one in (story.folder / "node").rglob("manifest.json")]
        assert sum(story.name in manifest for manifest in manifests) == 1


INSTALLING = """
import sys, threading
from gnomon.edge.agent import Agent
with Agent(name=sys.argv[1], data=sys.argv[2], hub=sys.argv[3], upload_seconds=0.1):
    print("started", flush=True)
    threading.Event().wait()
"""


@pytest.mark.slow
def test_a_node_that_is_killed_while_it_installs_ends_up_with_what_is_wanted(
    story: Story,
) -> None:
    story.publish()
    with story.agent(token=story.hub.token()) as agent:
        story.wait_for(agent, "1")
        wait_for(lambda: agent.status().step == "idle")
    for kill in range(4):
        story.publish(str(kill + 2), bias=0.0001 * kill)
        process = subprocess.Popen(
            [sys.executable, "-c", INSTALLING, story.name, story.folder / "node", story.hub.sync],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        assert process.stdout.readline() == "started\n"
        time.sleep(0.08 * kill)
        process.kill()
        process.wait(timeout=20)
    with story.agent() as agent:
        assert agent.predict(GOOD, model=story.name).version in "12345"
        story.wait_for(agent, "5")
        wait_for(lambda: agent.status().step == "idle")
        assert agent.status().refused_generation == 0
    found = [path.name for path in (story.folder / "node/slots/packages").iterdir()]
    assert sorted(found) == sorted(story.reported()["digests"])
    assert story.hub.rows(story.name) == {"answered": 1}


def test_a_refused_version_blocks_no_other_model_and_the_hub_knows_which_it_is(
    story: Story, tmp_path: Path, signer: Signer
) -> None:
    other = Story(story.hub, "another_model", tmp_path / "other", signer)
    story.publish()
    other.publish()
    with story.agent(token=story.hub.token()) as agent:
        other.wait_for(agent, "1")
        story.wait_for(agent, "1")
        story.publish("2", bias=5.0)
        wait_for(lambda: f"{story.name}@2" in agent.status().refused)
        other.publish("2", bias=0.0001)
        other.wait_for(agent, "2")
        assert agent.predict(GOOD, model=story.name).version == "1"
        assert "golden" in agent.status().refused[f"{story.name}@2"]
        (refused,) = wait_for(lambda: story.reported()["refused"])
        assert refused["route"] == story.name
        assert "golden" in refused["reason"]
        story.publish("3", bias=0.0001)
        story.wait_for(agent, "3")
        wait_for(lambda: not agent.status().refused)


def test_a_new_node_serves_nothing_of_a_first_state_that_it_refuses(story: Story) -> None:
    story.publish("1", bias=5.0)
    with story.agent(token=story.hub.token()) as agent:
        wait_for(lambda: agent.status().refused_generation)
        wait_for(lambda: agent.status().step == "idle")
        assert story.name not in agent.status().models
        story.publish("2")
        story.wait_for(agent, "2")


def test_a_hub_with_another_fingerprint_gets_no_token(story: Story) -> None:
    hub = story.hub
    with pytest.raises(HubError, match="shows no authority"):
        fetch_authority(hub.enrolment, "0" * 64)
    assert fetch_authority(hub.enrolment, hub.fingerprint).startswith(b"-----BEGIN")
    with story.agent(token=hub.token(), authority_fingerprint="0" * 64) as agent:
        wait_for(lambda: "shows no authority" in agent.status().last_error)
        with pytest.raises(NotReady, match="shows no authority"):
            agent.wait_ready(0)
        assert not agent.status().is_enrolled


def test_two_processes_cannot_share_a_data_folder(story: Story) -> None:
    with story.agent(), pytest.raises(StorageError, match="another process"):
        story.agent()


def test_a_package_needs_no_hub(tmp_path: Path, signer: Signer) -> None:
    path = make_package(tmp_path / "eta-1", signer).path
    with Agent(package=path, trust=TrustStore([signer.public_key])) as agent:
        agent.wait_ready(0)
        assert agent.predict(GOOD, request_id="r1").outputs["air_time"] == pytest.approx(111)
        with pytest.raises(ConfigurationError, match="hub"):
            agent.label("r1", 100.0)
        assert agent.status().models == {"eta": ("eta@1",)}
    with pytest.raises(NotReady):
        agent.predict(GOOD)
    with pytest.raises(UntrustedPackage):
        Agent(package=path, trust=TrustStore([Signer.generate().public_key]))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "either hub, or packages"),
        ({"hub": "localhost"}, "host:port"),
        ({"hub": "localhost:8602", "name": "Über"}, "should match"),
        ({"hub": "localhost:8602", "upload_seconds": 0}, "upload_seconds"),
        ({"hub": "localhost:8602", "speed": 1}, "speed"),
        ({"package": "x", "upload_seconds": 1}, "with a hub"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Agent(data=tmp_path, **settings)
