"""Routes: sticky, fair, monotone while a weight grows."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.runtime import routes
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.routes import Route, Target, choose, choose_shadows


def canary(weight: int) -> Route:
    return Route("eta", (Target("old", 1000 - weight), Target("new", weight)))


@given(st.text(), st.integers(0, 1000), st.integers(0, 1000))
def test_keys_stick_and_only_move_to_the_growing_target(key: str, one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert choose(canary(low), key) == choose(canary(low), key)
    if choose(canary(low), key) == "new":
        assert choose(canary(high), key) == "new"


@pytest.mark.parametrize("keyed", [True, False])
def test_shares_are_those_of_the_weights(keyed: bool) -> None:
    route = canary(100)
    asked = 20_000
    answers = Counter(choose(route, f"customer-{i}" if keyed else None) for i in range(asked))
    # Six standard deviations of a binomial share of 0.1.
    assert abs(answers["new"] / asked - 0.1) < 6 * (0.1 * 0.9 / asked) ** 0.5


def test_position_is_the_same_for_ever() -> None:
    assert [routes.position("eta", key) for key in ("", "a", "b", "é")] == [288, 77, 186, 966]


def test_weightless_target_gets_nothing() -> None:
    assert {choose(canary(0), str(i)) for i in range(2000)} == {"old"}
    assert {choose(canary(1000), str(i)) for i in range(2000)} == {"new"}


def test_shadows_get_their_share() -> None:
    route = Route("eta", (Target("old", 1000),), (Target("all", 1000), Target("some", 200)))
    asked = Counter(digest for i in range(10_000) for digest in choose_shadows(route, str(i)))
    assert asked["all"] == 10_000
    assert 1_700 < asked["some"] < 2_300


@pytest.mark.parametrize("weights", [(), (999,), (500, 501), (1100, -100)])
def test_weights_that_do_not_add_up_are_refused(weights: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match="route 'eta': the targets' weights"):
        Route("eta", tuple(Target(str(weight), weight) for weight in weights))


def test_message_and_back() -> None:
    route = Route("eta", (Target("a", 900), Target("b", 100)), (Target("c", 10),), "d")
    assert routes.from_message(routes.to_message(route)) == route
    assert route.digests == ("a", "b", "c", "d")
