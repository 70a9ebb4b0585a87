"""Whoever is killed in the middle of a push, the registry has the version whole or not at all."""

from pathlib import Path

from gnomon.bench.hub.kills import kill_again_and_again
from gnomon.server.hub.settings import HubSettings

KILLS = 20


def test_a_push_leaves_the_old_state_or_the_new(tmp_path: Path) -> None:
    settings = HubSettings(
        data_folder=tmp_path / "hub", rest_port=0, enrolment_port=0, sync_port=0, tick_seconds=3_600
    )
    tally = kill_again_and_again(settings, tmp_path, KILLS, seed=1)
    assert tally.faults == ()
    assert (tally.hub, tally.builder) == (KILLS // 2, KILLS // 2)
    assert tally.absent + tally.whole == KILLS
