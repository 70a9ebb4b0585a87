"""Agents with a real hub over real TLS: enrol, install, predict, count; whoever dies in between."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gnomon.edge.agent import Agent
from gnomon.edge.identity import fetch_authority
from gnomon.runtime.errors import HubError, InvalidInput, NotReady, StorageError
from gnomon.runtime.signing import Signer

GOOD = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}
BAD = {"distance": -1.0, "wind": 10.0, "carrier": "UA"}


@pytest.fixture
def make_agent(hub: Any, tmp_path: Path) -> Callable[..., Agent]:
    def make_agent(name: str = "device-1", **settings: Any) -> Agent:
        return Agent(
            name=name,
            data=tmp_path / name,
            hub=hub.sync,
            enrolment=hub.enrolment,
            **{
                "token": hub.token(),
                "authority_fingerprint": hub.fingerprint,
                "upload_seconds": 0.1,
                "checkpoint_seconds": 0.2,
                "longest_pause_seconds": 1.0,
                **settings,
            },
        )

    return make_agent


def test_an_agent_enrols_installs_predicts_and_is_counted(
    hub: Any,
    make_agent: Callable[..., Agent],
    builder: ModuleType,
    signer: Signer,
    tmp_path: Path,
) -> None:
    hub.publish(builder.make_package(tmp_path / "eta-1", signer))
    with make_agent() as agent:
        agent.wait_ready(30)
        for number in range(50):
            answer = agent.predict(GOOD, request_id=f"r{number}", at=1_700_000_000 + number * 60)
            assert answer.outputs["air_time"] == pytest.approx(111)
            agent.label(f"r{number}", 100.0 + number)
        with pytest.raises(InvalidInput):
            agent.predict(BAD, model="eta")
        status = agent.status()
        assert status.models == {"eta": ("eta@1",)}
        assert (status.step, status.is_hub_reachable, status.is_enrolled) == ("idle", True, True)
    assert hub.rows("device-1") == {"answered": 50, "refused": 1}
    kinds = [event["kind"] for event in hub.get("events")]
    assert kinds == ["stopped", "installed", "started"]
    assert (tmp_path / "device-1" / "identity" / "key.pem").stat().st_mode & 0o077 == 0


def test_a_killed_hub_costs_no_prediction_and_no_count(
    hub: Any,
    make_agent: Callable[..., Agent],
    builder: ModuleType,
    signer: Signer,
    tmp_path: Path,
) -> None:
    hub.publish(builder.make_package(tmp_path / "eta-1", signer))
    made = 0
    stop = threading.Event()
    with make_agent() as agent:
        agent.wait_ready(30)

        def predict() -> None:
            nonlocal made
            while not stop.wait(0.001):
                agent.predict(GOOD, at=1_700_000_000 + made)
                made += 1

        caller = threading.Thread(target=predict)
        caller.start()
        for _ in range(3):
            threading.Event().wait(0.4)
            hub.kill()
            before = made
            threading.Event().wait(0.3)
            assert made > before
            hub.start()
        stop.set()
        caller.join(10)
    with make_agent() as agent:  # what the first one could not hand over in time
        agent.predict(GOOD)
    assert made > 300
    assert hub.rows("device-1") == {"answered": made + 1}


def test_a_restart_without_the_hub_serves_what_was_in_service(
    hub: Any,
    make_agent: Callable[..., Agent],
    builder: ModuleType,
    signer: Signer,
    tmp_path: Path,
) -> None:
    hub.publish(builder.make_package(tmp_path / "eta-1", signer))
    with make_agent() as agent:
        agent.wait_ready(30)
        token = hub.token()
        hub.kill()
    with make_agent(token=token, stop_seconds=0.2) as agent:
        agent.wait_ready(0)
        assert agent.predict(GOOD).version == "1"
        assert agent.status().generation == 1
    hub.start()
    with make_agent(token="") as agent:
        agent.predict(GOOD)
    assert hub.rows("device-1") == {"answered": 2}


def test_a_version_that_does_not_hold_is_refused_and_the_old_one_stays(
    hub: Any,
    make_agent: Callable[..., Agent],
    builder: ModuleType,
    signer: Signer,
    tmp_path: Path,
    wait: Callable[..., Any],
) -> None:
    hub.publish(builder.make_package(tmp_path / "eta-1", signer))
    with make_agent() as agent:
        agent.wait_ready(30)
        wrong = builder.linear_onnx([9.0, 0.1, 0, 0, 0], 0.0)
        hub.publish(builder.make_package(tmp_path / "eta-2", signer, version="2", model=wrong))
        wait(lambda: agent.status().refused_generation)
        status = agent.status()
        assert "golden" in status.reason
        assert (status.generation, status.models) == (1, {"eta": ("eta@1",)})
        assert agent.predict(GOOD).version == "1"
        wait(lambda: hub.get("nodes")[1]["refused_generation"])
        right = builder.linear_onnx([0.125, 0.1, 0, 10.0, 0], 0.0001)
        hub.publish(builder.make_package(tmp_path / "eta-3", signer, version="3", model=right))
        wait(lambda: agent.status().models == {"eta": ("eta@3",)})
        assert agent.predict(GOOD).version == "3"
        wait(lambda: len(list((tmp_path / "device-1/slots/packages").iterdir())) == 1)
    reported = next(node for node in hub.get("nodes") if node["name"] == "device-1")
    assert reported["refused_generation"] == status.refused_generation


def test_a_damaged_slot_is_fetched_anew(
    hub: Any,
    make_agent: Callable[..., Agent],
    builder: ModuleType,
    signer: Signer,
    tmp_path: Path,
) -> None:
    hub.publish(builder.make_package(tmp_path / "eta-1", signer))
    with make_agent() as agent:
        agent.wait_ready(30)
    (model,) = (tmp_path / "device-1").rglob("model.onnx")
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    with make_agent() as agent:
        agent.wait_ready(30)
        assert agent.predict(GOOD).version == "1"


def test_a_hub_with_another_fingerprint_gets_no_token(
    hub: Any, make_agent: Callable[..., Agent], wait: Callable[..., Any]
) -> None:
    with pytest.raises(HubError, match="shows no authority"):
        fetch_authority(hub.enrolment, "0" * 64)
    assert fetch_authority(hub.enrolment, hub.fingerprint).startswith(b"-----BEGIN")
    with make_agent(authority_fingerprint="0" * 64) as agent:
        wait(lambda: "shows no authority" in agent.status().last_error)
        with pytest.raises(NotReady, match="shows no authority"):
            agent.wait_ready(0)
        assert not agent.status().is_enrolled


def test_two_processes_cannot_share_a_data_folder(make_agent: Callable[..., Agent]) -> None:
    with make_agent(), pytest.raises(StorageError, match="another process"):
        make_agent()
