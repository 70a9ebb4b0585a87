"""Models are loaded and tried while the node goes on to call its hub."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from gnomon.edge.node_warnings import find_warnings
from gnomon.edge.step_thread import STEP_THREAD, StepThread, StepUnderWay
from gnomon.edge.telemetry.figures import SpoolFigures
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import EngineError
from gnomon.runtime.packages.package import Package
from gnomon.runtime.runtime import Runtime
from tests.support.node_story import GOOD, Story
from tests.support.sync_site import Site, World
from tests.support.waiting import wait_for


def test_a_step_goes_on_between_two_calls_and_ends_as_it_ends() -> None:
    may_end, runs = threading.Event(), []

    def step() -> None:
        runs.append(threading.current_thread().name)
        may_end.wait(30)
        raise EngineError("it cannot be loaded")

    steps = StepThread(wait_seconds=0)
    for _ in range(3):
        with pytest.raises(StepUnderWay):
            steps.run(step, "STAGE", 60)
    may_end.set()
    steps.join(30)
    with pytest.raises(EngineError, match="cannot be loaded"):
        steps.run(step, "STAGE", 60)
    assert runs == [STEP_THREAD]
    steps = StepThread(wait_seconds=30)
    steps.run(lambda: runs.append("done"), "WARM", 60)
    assert runs[1:] == ["done"]


def test_a_step_that_takes_too_long_is_named_until_it_ends() -> None:
    now, may_end = [0.0], threading.Event()
    steps = StepThread(0, lambda: now[0])
    with pytest.raises(StepUnderWay):
        steps.run(lambda: may_end.wait(30) and None, "STAGE of generation 7", 60)
    now[0] = 60.0
    assert steps.overdue == ""
    now[0] = 60.1
    assert steps.overdue == "STAGE of generation 7"
    warnings = find_warnings(
        SpoolFigures(0, 0, 0, 0, 0),
        is_hub_reachable=True,
        clock_offset_seconds=None,
        validity=None,
        damage=(),
        overdue=steps.overdue,
    )
    assert "STAGE of generation 7 takes longer than it may" in warnings["installation"]
    may_end.set()
    steps.join(30)
    steps.run(lambda: None, "STAGE", 60)
    assert steps.overdue == ""


def blocking(load: Callable[..., None], may_end: threading.Event) -> Callable[..., None]:
    """Return what loads packages, and waits for each of version 2."""

    def wait(package: Package, **options: bool) -> None:
        if package.manifest.version == "2":
            may_end.wait(60)
        load(package, **options)

    return wait


def wanted(generation: int, version: str) -> hub_pb2.DesiredState:
    state = hub_pb2.DesiredState(generation=generation)
    state.packages.add(name="eta", version=version, digest=f"eta-{version}", format="onnx")
    state.routes.add(name="eta").targets.add(digest=f"eta-{version}", weight=1_000)
    return state


def test_another_state_waits_for_the_step_and_is_taken_after_it(tmp_path: Path) -> None:
    may_end = threading.Event()
    site = Site(World(tmp_path), wait_seconds=0)
    site.runtime.load = blocking(site.runtime.load, may_end)
    machine = site.executor.machine

    def installs(state: hub_pb2.DesiredState) -> bool:
        site.sync(state)
        return machine.in_service.generation == state.generation

    for _ in range(3):
        assert not installs(wanted(1, "2"))
    assert site.executor.is_busy
    assert not installs(wanted(2, "3"))
    assert machine.desired.generation == 1
    may_end.set()
    for state in (wanted(1, "2"), wanted(2, "3")):
        wait_for(partial(installs, state))
        assert site.runtime.routes["eta"].digests == (state.packages[0].digest,)


@pytest.mark.slow
def test_a_model_that_does_not_end_to_load_stops_no_call_of_the_hub(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = threading.Event()
    monkeypatch.setattr("gnomon.edge.sync_executor._STEP_SECONDS", 1e-9)
    story.publish()
    with story.agent(token=story.hub.token(), examination_seconds=0) as agent:
        story.wait_for(agent, "1")
        load = Runtime.load

        def wait(self: Runtime, package: Package, **options: bool) -> None:
            blocking(lambda *_, **more: load(self, package, **more), may_end)(package, **options)

        monkeypatch.setattr(Runtime, "load", wait)
        story.publish("2", bias=0.0001)
        wait_for(lambda: agent.status().step == "stage")
        # What is reported of the step, and then from a later call.
        wait_for(lambda: story.reported()["state"] == "STAGE")
        seen = story.reported()["last_seen_at"]
        wait_for(lambda: story.reported()["last_seen_at"] > seen)
        assert agent.predict(GOOD, model=story.name).version == "1"
        status = agent.status()
        assert status.last_error == ""
        assert any("takes longer than it may" in one for one in status.warnings)
        wait_for(lambda: "takes longer" in story.reported()["facts"].get("warnings", ""))
        assert STEP_THREAD in agent._node.stalled()
        may_end.set()
        story.wait_for(agent, "2")
