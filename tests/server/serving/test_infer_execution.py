"""Answers in part: each row as if it had come alone, and counted as what it became."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.runtime.errors import InvalidInput, UnknownModel
from gnomon.runtime.packages.package import Package
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import Route, single
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.infer_execution import infer, infer_partial
from tests.support.packages import linear_onnx, make_package

ROWS = st.lists(
    st.tuples(
        st.sampled_from([800.0, 0.5, -1.0, 20_000.0, math.nan, math.inf]),
        st.sampled_from([10.0, 900.0, math.nan]),
        st.sampled_from(["UA", "AA", "ZZ", None]),
    ),
    min_size=1,
    max_size=12,
)


@pytest.fixture(scope="module")
def runtime(package: Package) -> Any:
    runtime = Runtime(MemorySink())
    runtime.load(package)
    runtime.apply([single("eta", package.digest)])
    yield runtime
    runtime.close()


def columns(rows: list[tuple[float, float, str | None]]) -> dict[str, Any]:
    distance, wind, carrier = zip(*rows, strict=True)
    return {
        "distance": np.array(distance),
        "wind": np.array(wind),
        "carrier": np.array([*carrier, None], object)[:-1],
    }


def alone(runtime: Runtime, row: tuple[float, float, str | None]) -> float | None:
    """Return what a row is answered with when it comes alone, None where it is refused."""
    names = ("distance", "wind", "carrier")
    (model,) = runtime.models.values()
    try:
        found: float = model.predict_row(dict(zip(names, row, strict=True)))["air_time"]
    except InvalidInput:
        return None
    return found


def counted(runtime: Runtime) -> dict[str, int]:
    (totals,) = runtime.series_totals().values()
    return dict(totals.rows)


@settings(max_examples=80, deadline=None)
@given(rows=ROWS)
def test_each_row_is_answered_as_if_it_had_come_alone(
    runtime: Runtime, rows: list[tuple[float, float, str | None]]
) -> None:
    before = counted(runtime)
    found = infer_partial(
        runtime, "eta", columns(rows), {"request_id": "q", "key": None, "at": None}
    )
    expected = [alone(runtime, row) for row in rows]
    bad = {number for number, value in enumerate(expected) if value is None}
    values = found.outputs["air_time"].ravel().tolist()
    assert len(values) == len(rows)
    for number, (value, wanted) in enumerate(zip(values, expected, strict=True)):
        assert math.isnan(value) if number in bad else value == pytest.approx(wanted)
    assert found.refused is not None
    assert {one["row"] for one in found.refused} == bad
    assert all(json.dumps(one) for one in found.refused)
    assert found.ids is not None
    named = [identity for identity in found.ids if identity is not None]
    assert [identity is None for identity in found.ids] == [n in bad for n in range(len(rows))]
    good = len(rows) - len(bad)
    assert named == (["q"] if good == 1 else [f"q/{place}" for place in range(good)])
    # What was corrected is told by the row's place in the request.
    corrected = {one.row for one in found.answer.violations}
    assert corrected == {n for n, row in enumerate(rows) if row[1] == 900.0 and n not in bad}
    after = counted(runtime)
    assert after["answered"] - before["answered"] == good
    assert after["refused"] - before["refused"] == len(bad)


def test_what_is_no_columns_is_refused_as_ever(runtime: Runtime) -> None:
    options = {"request_id": "q"}
    for wrong in ({}, columns([(800.0, 1.0, "UA")]) | {"wind": np.array([1.0, 2.0])}):
        with pytest.raises(InvalidInput):
            infer_partial(runtime, "eta", wrong, options)
        with pytest.raises(InvalidInput):
            infer(runtime, "eta", wrong, options)
    with pytest.raises(UnknownModel):
        infer_partial(runtime, "nothing", columns([(800.0, 1.0, "UA")]), options)


def test_the_version_requested_checks_and_answers(package: Package, tmp_path: Any) -> None:
    other = make_package(
        tmp_path / "eta-2", None, version="2", model=linear_onnx([1.0, 0, 0, 0, 0], 0.0)
    )
    runtime = Runtime(MemorySink())
    try:
        for one in (package, other):
            runtime.load(one)
        route = Route("eta", ((package.digest, 1_000),), versions=(other.digest,))  # type: ignore[arg-type]
        runtime.apply([route])
        asked = columns([(80.0, 0.0, "AA"), (-1.0, 0.0, "AA")])
        for version, value in (("", 10.0), ("1", 10.0), ("2", 80.0)):
            options = {"request_id": "q", "version": version}
            found = infer_partial(runtime, "eta", asked, options)
            assert found.answer.version == (version or "1")
            assert found.outputs["air_time"].ravel()[0] == pytest.approx(value)
    finally:
        runtime.close()
