"""JSON objects in which a name comes twice."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.runtime.decoding import check_unique_names
from gnomon.runtime.errors import InvalidInput

VALUES = st.recursive(
    st.none() | st.floats(allow_nan=False) | st.text(':a"\\', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


def count_members(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(count_members, value.values()))
    return sum(map(count_members, value)) if isinstance(value, list) else 0


@given(value=VALUES, is_escaped=st.booleans(), is_counted=st.booleans())
def test_only_names_that_come_twice_are_refused(
    value: Any, is_escaped: bool, is_counted: bool
) -> None:
    data = json.dumps(value, ensure_ascii=is_escaped).encode()
    members = count_members(value) if is_counted else 0
    check_unique_names(data, members, value if isinstance(value, list) else ())
    twice = b'[{"a": {"x": 1, "y": %s, "\\u0078": 2}}]' % data
    with pytest.raises(InvalidInput, match="'x' comes twice"):
        check_unique_names(twice, count_members(value) + 3, [value])


def test_an_escaped_colon_hides_no_second_member() -> None:
    with pytest.raises(InvalidInput, match="'a' comes twice"):
        check_unique_names(b'{"a": 1, "a": "\\u003a"}', 1, [":"])


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 10_000])
def test_documents_of_any_shape_are_bounded(text: str) -> None:
    try:
        check_unique_names(text.encode(), -1)
    except InvalidInput as error:
        assert "not JSON" in str(error)
