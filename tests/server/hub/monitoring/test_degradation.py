"""The error of the version in service: learnt from its first labels, watched from then on."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import to_jsonable_python
from sqlalchemy import select

from gnomon.server.hub.monitoring import alerts, degradation
from gnomon.server.hub.monitoring.degradation import LossProgress, advance
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database


@pytest.fixture
def eta(world: Any) -> str:
    digest = world.publish("eta", "1")
    world.place("eta", "1")
    return str(digest)


def watch(database: Database, version: str = "1") -> list[dict[str, Any]]:
    while degradation.run_once(database, "eta", version):
        pass
    with database.read() as connection:
        return to_jsonable_python(alerts.find(connection, open_only=True))


def test_an_error_that_stays_raises_nothing(world: Any, database: Database, eta: str) -> None:
    errors = np.random.default_rng(1).laplace(0, 5, 4_000)
    world.judged(eta, errors)
    assert watch(database) == []


def test_an_error_that_rises_is_reported_once(world: Any, database: Database, eta: str) -> None:
    random = np.random.default_rng(2)
    world.judged(eta, random.laplace(0, 5, 1_000), tag="before")
    assert watch(database) == []
    for part in range(4):
        world.judged(eta, random.laplace(0, 12, 300), tag=f"after{part}")
        watch(database)
    (alert,) = watch(database)
    assert (alert["kind"], alert["version"], alert["source"]) == ("error_rose", "1", "")
    assert "over its first 500" in alert["text"] and alert["count"] > 1
    assert alert["evidence"]["distance"] > 2.0


def test_a_new_version_learns_again(world: Any, database: Database, eta: str) -> None:
    random = np.random.default_rng(3)
    two = world.publish("eta", "2")
    world.judged(eta, random.laplace(0, 1, 900), tag="one")
    watch(database)
    world.judged(two, random.laplace(0, 20, 900), tag="two")
    assert watch(database, "2") == []


def test_nothing_is_seen_twice_after_a_kill(
    world: Any, database: Database, eta: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(4)
    world.judged(eta, random.laplace(0, 5, 700), tag="a")
    watch(database)
    world.judged(eta, random.laplace(0, 30, 400), tag="b")

    def killed(*_: Any) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(alerts, "raise_alert", killed)
        with pytest.raises(KeyboardInterrupt):
            watch(database)
    with database.read() as connection:
        assert connection.scalars(select(schema.alert.c.id)).all() == []
    (alert,) = watch(database)
    assert alert["count"] == len(advance_all(database, eta))


def advance_all(database: Database, digest: str) -> list[Any]:
    """The alarms of an undisturbed pass over the same labels."""
    with database.read() as connection:
        cursor, losses = degradation._new_losses(connection, "eta", "1", 0)
    assert cursor and len(losses) == 1_100
    return advance(LossProgress(version="1"), losses)[1]


@given(st.lists(st.integers(0, 400), max_size=8), st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_in_pieces_and_at_once_are_the_same(cuts: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    losses = tuple(float(one) for one in random.exponential(5, 1_500) * (1 + random.random()))
    whole, alarms = advance(LossProgress(version="1"), losses)
    progress, found, start = LossProgress(version="1"), [], 0
    for size in [*cuts, len(losses)]:
        progress, some = advance(progress, losses[start : start + size])
        found += some
        start += size
    assert progress == whole
    assert found == alarms


@pytest.mark.parametrize("usual", [0.0, 3.0])
def test_an_error_that_is_always_the_same_can_still_rise(usual: float) -> None:
    progress, alarms = advance(LossProgress(version="1"), (usual,) * 1_700)
    assert alarms == []
    assert advance(progress, (usual + 3.0,) * 300)[1]
