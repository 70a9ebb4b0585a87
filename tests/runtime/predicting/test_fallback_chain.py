"""Chains of fallbacks: who answers, in what order, what is said of it, and what is refused."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnomon.runtime.errors import ConfigurationError, InvalidOutput, PackageError, UnknownModel
from gnomon.runtime.packages.package import Package
from gnomon.runtime.prediction import Prediction
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.fallbacks import ConstantFallback, PackageFallback, RuleFallback
from gnomon.runtime.routing.routes import Route, Target
from gnomon.runtime.runtime import Runtime

#: The model answers 0.125 miles a minute, which breaks its contract (1,000 minutes at most).
TOO_FAR = {"distance": 9_000.0, "wind": 10.0, "carrier": "AA"}
RULE = RuleFallback({"air_time": "distance / 10 - wind + 20"})
CONSTANT = ConstantFallback({"air_time": 120})


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    runtime = Runtime(MemorySink(), checkpoint_seconds=60)
    yield runtime
    runtime.close()


def serve(runtime: Runtime, package: Package, *fallbacks: Any, **options: Any) -> None:
    runtime.load(package)
    target = (Target(package.digest, 1000),)
    runtime.apply([Route("eta", target, fallbacks=fallbacks, **options)])


def told(answer: Any) -> tuple[str, str, str | None]:
    return answer.model, answer.version, answer.fallback_by


def test_a_rule_answers_in_the_name_of_what_failed(runtime: Runtime, package: Package) -> None:
    serve(runtime, package, RULE, CONSTANT)
    answer = runtime.predict("eta", TOO_FAR)
    assert answer.outputs == {"air_time": pytest.approx(910)}
    assert told(answer) == ("eta", "1", "rule")
    assert answer.fallback is not None
    assert "eta@1 gave an answer that breaks its contract" in answer.fallback
    assert sum(t.calls["fallback"] for t in runtime.series_totals().values()) == 1


@pytest.mark.parametrize("wind", [None, 0.0])
def test_the_next_link_answers_where_one_has_no_answer(
    runtime: Runtime, package: Package, wind: float | None
) -> None:
    # Without a wind the rule knows nothing; with none at all it takes longer than is allowed.
    never = RuleFallback({"air_time": "distance / 10 - wind + 200"})
    serve(runtime, package, never, CONSTANT)
    row = TOO_FAR | {"wind": wind}
    assert told(runtime.predict("eta", row)) == ("eta", "1", "constant")
    many = runtime.predict_columns("eta", {name: [one, one] for name, one in row.items()})
    assert told(many) == ("eta", "1", "constant")
    assert many.outputs["air_time"].tolist() == [120.0, 120.0]


def test_an_older_version_comes_in_its_place_in_the_chain(
    runtime: Runtime, package: Package, write: Callable[..., Package], linear: Any
) -> None:
    older = write("older", version="0", model=linear([0.1, 0.0, 0.0, 0.0, 0.0], 0.0))
    runtime.load(older)
    serve(runtime, package, PackageFallback(older.digest), CONSTANT)
    assert told(runtime.predict("eta", TOO_FAR)) == ("eta", "0", "eta@0")
    serve(runtime, package, CONSTANT, PackageFallback(older.digest))
    assert told(runtime.predict("eta", TOO_FAR)) == ("eta", "1", "constant")


def test_where_no_one_can_answer_the_first_error_is_reported(
    runtime: Runtime, package: Package
) -> None:
    serve(runtime, package, RuleFallback({"air_time": "0 - distance"}))
    with pytest.raises(InvalidOutput, match="eta@1"):
        runtime.predict("eta", TOO_FAR)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.floats(8_001, 10_000), st.none() | st.floats(0, 200)), min_size=2, max_size=5
    )
)
def test_rows_and_columns_agree_on_a_rule(
    runtime: Runtime, package: Package, rows: list[tuple[float, float | None]]
) -> None:
    if package.digest not in runtime.models:
        serve(runtime, package, RuleFallback({"air_time": "max(distance / 12 - wind, 5)"}))
    given_rows = [{"distance": d, "wind": w, "carrier": "AA"} for d, w in rows]
    singly: list[Prediction | None] = []
    for row in given_rows:
        try:
            singly.append(runtime.predict("eta", row))
        except InvalidOutput:
            singly.append(None)
    columns = {name: [row[name] for row in given_rows] for name in given_rows[0]}
    if None in singly:
        with pytest.raises(InvalidOutput):
            runtime.predict_columns("eta", columns)
        return
    many = runtime.predict_columns("eta", columns)
    np.testing.assert_allclose(
        many.outputs["air_time"], [one.outputs["air_time"] for one in singly if one], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("fallback", "message"),
    [
        (
            RuleFallback({"minutes": "1 * distance"}),
            r"gives \['minutes'\]; expected each",
        ),
        (RuleFallback({"air_time": "distance >"}), "the rule behind eta@1: expression"),
        (RuleFallback({"air_time": "distance > 1"}), "expected a calculation"),
        (RuleFallback({"air_time": "height / 2"}), "unknown field 'height'"),
        (ConstantFallback({}), r"gives \[\]; expected"),
        (ConstantFallback({"air_time": -1.0}), "breaks the contract of its outputs"),
        (ConstantFallback({"air_time": "far"}), "breaks the contract of its outputs"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_changes(
    runtime: Runtime, package: Package, fallback: Any, message: str
) -> None:
    serve(runtime, package, CONSTANT)
    before = runtime.routes
    with pytest.raises(ConfigurationError, match=message):
        serve(runtime, package, fallback)
    assert runtime.routes == before


def test_versions_are_requested_by_name(
    runtime: Runtime, package: Package, write: Callable[..., Package], linear: Any
) -> None:
    older = write("older", version="0", model=linear([0.1, 0.0, 0.0, 0.0, 0.0], 0.0))
    runtime.load(older)
    serve(runtime, package, versions=(older.digest,))
    row = TOO_FAR | {"distance": 100.0}
    assert {runtime.predict("eta", row).version for _ in range(20)} == {"1"}
    assert runtime.predict("eta", row, version="0").version == "0"
    columns = {name: [one] for name, one in row.items()}
    assert runtime.predict_columns("eta", columns, version="0").version == "0"
    with pytest.raises(UnknownModel, match="no version '7' in service; there are"):
        runtime.predict("eta", row, version="7")


def test_a_package_brings_its_own_fallbacks_behind_those_of_the_route(
    runtime: Runtime, write: Callable[..., Package]
) -> None:
    chain = [{"rule": {"air_time": "distance / 10 - wind"}}, {"constant": {"air_time": 7.0}}]
    package = write("own", deployment={"fallback": chain})
    serve(runtime, package)
    assert told(runtime.predict("eta", TOO_FAR)) == ("eta", "1", "rule")
    unknown = TOO_FAR | {"wind": None}
    assert runtime.predict("eta", unknown).outputs == {"air_time": 7.0}
    serve(runtime, package, CONSTANT)
    assert runtime.predict("eta", TOO_FAR).outputs == {"air_time": 120.0}


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"rule": {"air_time": "height"}}, "the rule behind eta@1: .* unknown field 'height'"),
        ({"constant": {"air_time": -1}}, "the constant behind eta@1 breaks the contract"),
        ({}, "either a rule or a constant"),
        ({"rule": {"air_time": "1 * wind"}, "constant": {}}, "either a rule or a constant"),
    ],
)
def test_a_package_whose_own_fallback_does_not_fit_it_is_refused(
    runtime: Runtime, write: Callable[..., Package], declared: Any, message: str
) -> None:
    with pytest.raises(PackageError, match=message):
        runtime.load(write("own", deployment={"fallback": [declared]}))
    assert not runtime.models
