"""Whatever happens to an installation, the node predicts, and each state ends with a reason.

Kills at any call, a full disk, an absent hub, clocks that jump, and newer states at any moment.
`GNOMON_TEST_STORIES` is the number of stories (25), each of up to 40 events.
"""

import os
import tempfile
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnomon.edge.sync_state import Step
from gnomon.proto import hub_pb2
from tests.support.sync_site import EXAMINATION_SECONDS, FAULTS, Site, World

STORIES = int(os.environ.get("GNOMON_TEST_STORIES", "25"))
#: Calls after which each state has ended: all of its packages may hang, one after the other.
CALLS = int(4 * EXAMINATION_SECONDS / 5) + 60

#: Champion and candidate of each model; "eta" has a good champion, so that there is always one.
GOOD = st.sampled_from(["1", "2", "3"])
ANY = st.sampled_from(["1", "2", *(f"{fault}1" for fault in FAULTS)])
WANTED = st.fixed_dictionaries(
    {"eta": st.tuples(GOOD, st.none() | ANY)},
    optional={name: st.tuples(ANY, st.none() | ANY) for name in ("price", "risk")},
)
EVENTS = st.one_of(
    st.tuples(st.just("sync"), st.integers(1, 12)),
    st.tuples(st.just("sync"), st.integers(1, 40)),
    st.tuples(st.just("publish"), WANTED),
    st.tuples(st.just("kill"), st.integers(1, 60)),
    st.tuples(st.sampled_from(["disk", "hub"]), st.booleans()),
    st.tuples(st.just("clock"), st.sampled_from([-1e9, -60.0, 200.0, 1e9])),
    st.tuples(st.just("restart"), st.none()),
)


class Story:
    """A node and what its hub wants of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.site = Site(world)
        self.desired = hub_pb2.DesiredState()
        self.wanted: dict[str, tuple[str, str | None]] = {}
        self.has_served = False
        self.publish({"eta": ("1", None)})

    def publish(self, wanted: dict[str, tuple[str, str | None]]) -> None:
        self.wanted = wanted
        state = hub_pb2.DesiredState(generation=self.desired.generation + 1, epoch=1)
        for name, (champion, candidate) in wanted.items():
            route = state.routes.add(name=name)
            versions = [champion]
            if candidate is not None and candidate != champion:
                versions.append(candidate)
                route.fallback_digest = f"{name}-{champion}"
            for version in versions:
                digest = f"{name}-{version}"
                route.targets.add(digest=digest, weight=1000 // len(versions))
                state.packages.add(name=name, version=version, digest=digest, format="onnx")
        self.desired = state

    def happen(self, event: str, value: object) -> None:
        world = self.world
        if event == "sync":
            for _ in range(int(str(value))):
                self.site.sync(self.desired)
                self.check()
        elif event == "publish":
            self.publish(value)  # type: ignore[arg-type]
        elif event == "kill":
            world.kill_in = int(str(value))
        elif event == "disk":
            world.is_full = bool(value)
        elif event == "hub":
            world.is_away = bool(value)
        elif event == "clock":
            world.wall += float(str(value))
        else:
            self.site.start()
        self.check()

    def check(self) -> None:
        """The node predicts, from the first state that it had in service on."""
        machine, runtime = self.site.executor.machine, self.site.runtime
        self.has_served = self.has_served or bool(machine.in_service.routes)
        if self.has_served:
            assert "eta" in runtime.routes
        for route in runtime.routes.values():
            assert set(route.digests) <= runtime.models.keys()

    def end(self) -> None:
        """Let all be well again, and follow the hub until the newest state has ended."""
        self.world.is_full = self.world.is_away = False
        self.world.kill_in = 0
        self.publish(self.wanted)
        machine = self.site.executor.machine
        for _ in range(CALLS):
            self.site.sync(self.desired)
            self.check()
            if machine.step is Step.IDLE and machine.reported().generation:
                newest = max(machine.reported().generation, machine.reported().refused_generation)
                if newest == self.desired.generation:
                    break
        self.check_end()

    def check_end(self) -> None:
        """What is good is in service; of all else the hub has the reason."""
        machine, routes = self.site.executor.machine, self.site.runtime.routes
        reported = machine.reported()
        assert machine.step is Step.IDLE
        assert self.desired.generation in (reported.generation, reported.refused_generation)
        refused = {one.digest or one.route: one.reason for one in reported.refused}
        for name, (champion, candidate) in self.wanted.items():
            versions = [one for one in (champion, candidate) if one is not None]
            bad = [f"{name}-{one}" for one in versions if one[0] in FAULTS]
            if not bad:
                assert {one.digest for one in routes[name].targets} == {
                    f"{name}-{one}" for one in versions
                }
            else:
                assert any(refused.get(one) for one in (name, *bad))
            if champion[0] not in FAULTS and name not in refused:
                assert f"{name}-{champion}" in routes[name].digests
        assert bool(reported.refused) == bool(reported.reason)


@pytest.mark.slow
@given(st.lists(EVENTS, max_size=40))
@settings(max_examples=STORIES, suppress_health_check=list(HealthCheck))
def test_each_state_ends_in_service_or_with_a_reason_and_the_node_predicts(
    events: list[tuple[str, object]],
) -> None:
    # Processes are killed here, not power cut: what is written is there without waiting for disks.
    with tempfile.TemporaryDirectory() as folder, mock.patch("os.fsync"):
        world = World(Path(folder))
        with mock.patch("time.time", lambda: world.wall):
            play(Story(world), events)


def play(story: Story, events: list[tuple[str, object]]) -> None:
    """Let events happen, then let all be well, and look at the end."""
    for event, value in events:
        story.happen(event, value)
    story.end()


def test_a_route_that_cannot_be_served_blocks_no_other(tmp_path: Path) -> None:
    story = Story(World(tmp_path))
    story.publish({"eta": ("1", None), "price": ("1", None)})
    story.happen("sync", 3)
    story.publish({"eta": ("1", "f1"), "price": ("2", None)})
    story.happen("sync", 3)
    reported = story.site.executor.machine.reported()
    assert [(one.route, one.digest) for one in reported.refused] == [("eta", "")]
    assert "a fallback does not fit" in reported.refused[0].reason
    routes = story.site.runtime.routes
    assert {name: route.digests for name, route in routes.items()} == {
        "eta": ("eta-1",),
        "price": ("price-2",),
    }


def test_what_the_hub_does_not_send_blocks_no_other_and_is_tried_again(tmp_path: Path) -> None:
    story = Story(World(tmp_path))
    story.happen("sync", 3)
    story.publish({"eta": ("2", None), "price": ("n1", None)})
    story.happen("sync", 5)
    runtime, machine = story.site.runtime, story.site.executor.machine
    assert set(runtime.routes) == {"eta"}
    assert "eta-2" in runtime.models
    (refused,) = machine.reported().refused
    assert "price-n1" in (refused.digest, refused.route)
    assert "damaged at the hub" in refused.reason
    story.happen("sync", 30)
    assert machine.reported().refused
    story.world.is_mended = True
    story.happen("sync", 100)
    assert "price-n1" in runtime.models
    assert not machine.reported().refused
    assert not machine.reported().reason
