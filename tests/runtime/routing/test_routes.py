"""Routes: sticky, fair, monotone while a weight grows."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.routing import routes
from gnomon.runtime.routing.fallbacks import ConstantFallback, PackageFallback, RuleFallback
from gnomon.runtime.routing.routes import Route, Target, choose_shadows, choose_target


def canary(weight: int) -> Route:
    return Route("eta", (Target("old", 1000 - weight), Target("new", weight)))


@given(st.text(), st.integers(0, 1000), st.integers(0, 1000))
def test_keys_stick_and_only_move_to_the_growing_target(key: str, one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert choose_target(canary(low), key) == choose_target(canary(low), key)
    if choose_target(canary(low), key) == "new":
        assert choose_target(canary(high), key) == "new"


@pytest.mark.parametrize("keyed", [True, False])
def test_shares_are_those_of_the_weights(keyed: bool) -> None:
    route = canary(100)
    asked = 20_000
    answers = Counter(
        choose_target(route, f"customer-{i}" if keyed else None) for i in range(asked)
    )
    # Six standard deviations of a binomial share of 0.1.
    assert abs(answers["new"] / asked - 0.1) < 6 * (0.1 * 0.9 / asked) ** 0.5


def test_position_is_the_same_for_ever() -> None:
    assert [routes.bucket_of("eta", key) for key in ("", "a", "b", "é")] == [288, 77, 186, 966]


def test_weightless_target_gets_nothing() -> None:
    assert {choose_target(canary(0), str(i)) for i in range(2000)} == {"old"}
    assert {choose_target(canary(1000), str(i)) for i in range(2000)} == {"new"}


def test_shadows_get_their_share() -> None:
    route = Route("eta", (Target("old", 1000),), (Target("all", 1000), Target("some", 200)))
    asked = Counter(digest for i in range(10_000) for digest in choose_shadows(route, str(i)))
    assert asked["all"] == 10_000
    assert 1_700 < asked["some"] < 2_300


@pytest.mark.parametrize("weights", [(), (999,), (500, 501), (1100, -100)])
def test_weights_that_do_not_add_up_are_refused(weights: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match="route 'eta': the targets' weights"):
        Route("eta", tuple(Target(str(weight), weight) for weight in weights))


CHAIN = (
    PackageFallback("d"),
    RuleFallback({"air_time": "distance / 7.5 + 20"}),
    ConstantFallback({"air_time": 120.0}),
)


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_message_and_back(length: int) -> None:
    targets = (Target("a", 900), Target("b", 100))
    route = Route("eta", targets, (Target("c", 10),), CHAIN[:length])
    message = routes.to_message(route)
    assert routes.from_message(message) == route
    assert route.digests == ("a", "b", "c", "d")[: 3 + min(length, 1)]
    # What a node of the first release makes of it.
    assert message.fallback_digest == ("d" if length else "")
    assert bool(message.fallbacks) == (length > 1)


def test_a_fallback_of_a_later_kind_is_refused() -> None:
    message = routes.to_message(Route("eta", (Target("a", 1000),)))
    message.fallbacks.add()
    with pytest.raises(ConfigurationError, match="route 'eta': a fallback should be a package"):
        routes.from_message(message)
