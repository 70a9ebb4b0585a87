"""A server answers a table as an agent does, row for row, in a table of the same kind."""

import asyncio
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gnomon import AsyncClient, Client
from gnomon.client.inference.codec import read_outputs
from gnomon.client.inference.prediction_call import PredictionCall
from gnomon.client.inference.tables import read_answers
from gnomon.proto.private import inference_messages
from gnomon.runtime.errors import GnomonError, InvalidInput, NotReady
from gnomon.runtime.table_prediction import predict_any
from tests.support.tables import TABLES, Row, listed

ROWS: list[Row] = [
    {"distance": 800.0, "wind": 10.0, "carrier": "UA"},
    {"distance": 800.0, "wind": None, "carrier": "WN"},
    {"distance": 800.0, "wind": 10.0, "carrier": None},
    {"distance": -1.0, "wind": 10.0, "carrier": "UA"},
    {"distance": 400.0, "wind": 10.0, "carrier": "ZZ"},
]


@pytest.mark.parametrize("library", TABLES)
def test_a_table_is_answered_as_an_agent_answers_it(served: Any, library: str) -> None:
    table = TABLES[library](ROWS)
    expected = listed(predict_any(served.runtime, "eta", table))
    with Client(served.address) as client:
        answers = client.predict("eta", table)
    assert type(answers) is type(table)
    if isinstance(table, pd.DataFrame):
        assert answers.index.equals(table.index)
    found = listed(answers)
    assert list(found[0]) == list(expected[0])
    for row, one in zip(found, expected, strict=True):
        # An agent says also which model and which row of its own call it was.
        reason = one.pop("gnomon_refused")
        assert (row.pop("gnomon_refused") is None) == (reason is None)
        assert row == one
    assert [row["gnomon_version"] is None for row in found] == [False, False, True, True, True]


def test_reasons_name_field_rule_and_what_is_right(served: Any) -> None:
    with Client(served.address) as client:
        answers = client.predict("eta", pd.DataFrame(ROWS))
        good = client.predict("eta", pd.DataFrame(ROWS[:2]))
    assert answers["gnomon_refused"].tolist()[2:] == [
        "field 'carrier': None breaks 'null'; right would be a value of kind category, not a "
        "missing one",
        "field 'distance': -1.0 breaks 'minimum'; right would be >= 0 miles",
        "field 'carrier': 'ZZ' breaks 'allowed'; right would be one of 'AA', 'UA', 'WN'",
    ]
    assert good["gnomon_refused"].isna().all()
    assert served.counted() == {"answered": 4, "refused": 3}


def test_asyncio_has_the_same(served: Any) -> None:
    async def ask() -> Any:
        async with AsyncClient(served.address) as client:
            return await client.predict("eta", pd.DataFrame(ROWS))

    with Client(served.address) as client:
        expected = client.predict("eta", pd.DataFrame(ROWS))
    assert asyncio.run(asyncio.wait_for(ask(), 30)).equals(expected)


def test_columns_without_names_are_the_fields_in_their_order(served: Any) -> None:
    array = np.array([[800.0, 10.0, "UA"], [400.0, 10.0, "UA"]], object)
    named = {"carrier": array[:, 2], "wind": array[:, 1], "distance": array[:, 0]}
    with Client(served.address) as client:
        found, expected = client.predict("eta", array), client.predict("eta", named)
        with pytest.raises(InvalidInput, match=r"right would be \(rows, 3\)"):
            client.predict("eta", array[:, :2])
    assert found["air_time"].tolist() == expected["air_time"].tolist() == [111.0, 61.0]


def described(versions: list[str], names: list[str]) -> Any:
    message = inference_messages()["ModelMetadataResponse"](name="m", versions=versions)
    for name in names:
        message.inputs.add(name=name, datatype="FP64", shape=[-1, 1])
    return message


def call_of(rows: Any, *responses: Any) -> PredictionCall:
    call, given = PredictionCall("m", rows), iter(responses)
    for _ in call.requests():
        call.put(next(given))
    return call


def test_versions_that_order_their_fields_differently_take_columns_by_name_only() -> None:
    one, two = described(["1", "2"], ["a", "b"]), described(["2"], ["b", "a"])
    with pytest.raises(InvalidInput, match="have different fields"):
        call_of(np.ones((2, 2)), one, two).request()
    call_of({"a": np.ones(2), "b": np.ones(2)}, one).request()
    call = call_of(np.ones((2, 2)), described(["1"], ["a", "b"]))
    call.request()
    with pytest.raises(NotReady, match="came into service during the call"):
        call.result(inference_messages()["ModelInferResponse"](model_version="2"))


@pytest.mark.parametrize(
    "rows", [5, "UA", [1], pd.DataFrame({"a": []}), {"a": np.ones(2), "b": np.ones(3)}]
)
def test_what_is_neither_rows_nor_a_table_is_refused(rows: Any) -> None:
    with pytest.raises(InvalidInput, match=r"right would be|give one or more"):
        call_of(rows, described(["1"], ["a", "b"])).request()


def test_a_row_of_vectors_is_no_table() -> None:
    message = described(["1"], [])
    message.inputs.add(name="a", datatype="FP32", shape=[-1, 3])
    (tensor,) = call_of({"a": np.ones(3)}, message).request().inputs
    assert list(tensor.shape) == [1, 3]
    (tensor,) = call_of({"a": np.ones((5, 3))}, message).request().inputs
    assert list(tensor.shape) == [5, 3]


def test_an_answer_that_does_not_tell_refused_rows_is_an_error() -> None:
    response = inference_messages()["ModelInferResponse"](model_version="1")
    with pytest.raises(GnomonError, match="does not say which rows"):
        read_answers(pd.DataFrame({"a": [1]}), response, read_outputs(response))
