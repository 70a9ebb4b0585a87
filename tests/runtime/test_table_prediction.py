"""Rows, lists and tables of every library give the answers that the rows give alone."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnomon.core.fields import Field, Kind
from gnomon.runtime.errors import GnomonError, InvalidInput
from gnomon.runtime.packages.package import Package
from gnomon.runtime.prediction import Prediction
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.runtime.table_prediction import predict_any
from gnomon.runtime.tables import read_columns
from tests.support.tables import TABLES, Row, listed


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    from tests.support.packages import make_package

    runtime = Runtime(MemorySink())
    package = make_package(tmp_path_factory.mktemp("package") / "eta", None)
    runtime.load(package)
    runtime.apply([single("eta", package.digest)])
    yield runtime
    runtime.close()


def alone(runtime: Runtime, row: Row) -> Prediction | GnomonError:
    try:
        return runtime.predict("eta", row)
    except GnomonError as error:
        return error


numbers = st.one_of(st.none(), st.floats(-10, 12_000), st.just(800.0), st.just(100.0))
rows = st.lists(
    st.fixed_dictionaries(
        {
            "distance": numbers,
            "wind": numbers,
            "carrier": st.sampled_from([None, "UA", "WN", "AA", "ZZ"]),
        }
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize("library", TABLES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows)
def test_a_table_is_answered_as_its_rows_are(
    runtime: Runtime, library: str, rows: list[Row]
) -> None:
    table = TABLES[library](rows)
    answers = predict_any(runtime, "eta", table)
    assert type(answers) is type(table)
    if isinstance(table, pd.DataFrame):
        assert answers.index.equals(table.index)
    found = listed(answers)
    expected = [alone(runtime, row) for row in rows]
    for row, one in zip(found, expected, strict=True):
        if isinstance(one, Prediction):
            assert row["air_time"] == one.outputs["air_time"]
            assert (row["gnomon_version"], row["gnomon_refused"]) == ("1", None)
        else:
            assert str(one).replace("nan", "None") == row["gnomon_refused"].replace("nan", "None")
            assert (row["air_time"], row["gnomon_version"]) == (None, None)


def test_a_list_gives_for_each_row_what_becomes_of_it(runtime: Runtime) -> None:
    good = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}
    bad = good | {"carrier": "ZZ"}
    first, second, third = predict_any(runtime, "eta", [good, bad, good], request_id="r")
    assert (first.request_id, third.request_id) == ("r/0", "r/2")
    assert first.outputs == third.outputs == runtime.predict("eta", good).outputs
    assert isinstance(second, InvalidInput)
    assert second.details[0]["field"] == "carrier"


def test_refused_rows_are_counted_as_such(write: Callable[..., Package]) -> None:
    runtime, package = Runtime(MemorySink()), write()
    runtime.load(package)
    runtime.apply([single("eta", package.digest)])
    table = pd.DataFrame({"distance": [800.0, -1.0], "wind": [10.0, 10.0], "carrier": ["UA", "UA"]})
    predict_any(runtime, "eta", table)
    predict_any(runtime, "eta", table.head(1))
    (totals,) = runtime.series_totals().values()
    runtime.close()
    assert {name: rows for name, rows in totals.rows.items() if rows} == {
        "answered": 2,
        "refused": 1,
    }


LARGE = 2**60 + 1


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"n": pd.array([LARGE, None], dtype="Int64")}),
        pl.DataFrame({"n": [LARGE, None]}),
        pa.table({"n": [LARGE, None]}),
        pd.DataFrame({"n": [LARGE, LARGE]}),
        pd.DataFrame({"n": pd.array([LARGE, LARGE], dtype="Int64")}),
        pl.DataFrame({"n": [LARGE, LARGE]}),
        pa.table({"n": [LARGE, LARGE]}),
        {"n": np.array([LARGE, LARGE])},
    ],
    ids=lambda table: f"{type(table).__module__.split('.')[0]}",
)
def test_large_whole_numbers_stay_exact(table: Any) -> None:
    column = read_columns(table, [Field(name="n", kind=Kind.INT64)])["n"]
    assert int(column[0]) == LARGE
    assert column[1] in (None, LARGE)


def test_an_array_is_the_fields_in_their_order() -> None:
    fields = [Field(name=name, kind=Kind.FLOAT64) for name in ("a", "b")]
    columns = read_columns(np.array([[1.0, 2.0], [3.0, 4.0]]), fields)
    assert {name: column.tolist() for name, column in columns.items()} == {
        "a": [1.0, 3.0],
        "b": [2.0, 4.0],
    }
    vector = [Field(name="x", kind=Kind.VECTOR, shape=(2,))]
    assert read_columns(np.ones((5, 2)), vector)["x"].shape == (5, 2)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (np.ones((2, 3)), r"the shape \(2, 3\); right would be \(rows, 2\)"),
        (np.ones(2), r"the shape \(2,\); right would be \(rows, 2\)"),
        (pd.DataFrame([[1, 2]]), "a column is named 0; a field's name is a text"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns are named 'a'"),
    ],
)
def test_what_is_no_table_of_the_fields_is_refused(table: Any, said: str) -> None:
    fields = [Field(name=name, kind=Kind.FLOAT64) for name in ("a", "b")]
    with pytest.raises(InvalidInput, match=said):
        read_columns(table, fields)


@pytest.mark.parametrize("rows", [5, "UA", [1, 2], None])
def test_what_is_no_row_is_refused(runtime: Runtime, rows: Any) -> None:
    with pytest.raises(InvalidInput, match=r"right would be a row \(value by field\), a list"):
        predict_any(runtime, "eta", rows)
