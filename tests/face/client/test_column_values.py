"""Values of any kind, with missing ones among them, arrive at the server as they were given."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.client.inference.codec import encode_columns
from gnomon.client.inference.column_values import read_column
from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import InvalidInput
from gnomon.server.serving.tensors import decode_inputs

KINDS: dict[str, st.SearchStrategy[Any]] = {
    "texts": st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    "bools": st.booleans(),
    "whole numbers": st.integers(-(2**63), 2**63 - 1),
    "numbers": st.floats(allow_nan=False),
    "lists of texts": st.lists(st.text("aü", max_size=3), min_size=2, max_size=2),
    "lists of numbers": st.lists(st.floats(allow_nan=False), min_size=2, max_size=2),
    "lists of whole numbers": st.lists(st.integers(-(2**62), 2**62), min_size=2, max_size=2),
    "vectors": st.lists(st.floats(allow_nan=False, width=32), min_size=3, max_size=3),
}


def arrived(column: Any) -> list[Any]:
    """What the server reads of a column; NaN as None."""
    request = encode_columns("m", {"x": column})
    values = decode_inputs(oip.ModelInferRequest.FromString(request.SerializeToString()))["x"]
    listed = [one.tolist() if isinstance(one, np.ndarray) else one for one in values.tolist()]
    return [None if isinstance(one, float) and math.isnan(one) else one for one in listed]


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_values_and_gaps_arrive(kind: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | KINDS[kind], min_size=1, max_size=6))
    assert arrived(values) == values
    column = np.empty(len(values), object)
    for row, value in enumerate(values):
        column[row] = value
    assert arrived(column) == values


@pytest.mark.parametrize("kind", ["b1", "u1", "<i2", ">i4", "<i8", "<u8", "<f2", ">f4", "<f8"])
def test_arrays_travel_in_their_own_type(kind: str) -> None:
    column = np.array([0, 1, 1], kind)
    assert arrived(column) == column.tolist()
    assert arrived(np.array(["a", "ü"])) == ["a", "ü"]


def test_gaps_of_pandas_among_texts_are_missing() -> None:
    assert read_column("x", ["a", math.nan, None]).missing == [1, 2]


@pytest.mark.parametrize(
    "values",
    [
        ["a", 1],
        [True, 1],
        [1 << 70],
        [2**53 + 1, 0.5],
        [[1], [1, 2]],
        [["a"], [1]],
        [[2**60 + 1], [0.5]],
        [{}],
        np.array(["2026-01-01"], "M8[D]"),
        np.array([1 + 2j]),
    ],
)
def test_what_no_tensor_holds_is_refused(values: Any) -> None:
    with pytest.raises(InvalidInput, match=r"field 'x' has values of .*; right would be "):
        read_column("x", values)
