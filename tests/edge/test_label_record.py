"""A label is checked where it enters: what a device takes, its hub takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.edge.label_record import label_record
from gnomon.runtime.errors import InvalidInput
from gnomon.server.hub.monitoring import labels

TEXTS = st.text(max_size=4) | st.integers(120, 140).map(lambda size: "x" * size)


@given(TEXTS, TEXTS, st.floats() | st.integers(), st.none() | st.floats())
def test_what_a_device_takes_its_hub_takes(
    model: str, request_id: str, value: float, at: float | None
) -> None:
    try:
        label = label_record(model, request_id, value, at).label
    except InvalidInput as error:
        assert error.details
        return
    labels.check([labels.LabelRow(label.model, label.request_id, label.at_unix_ms, label.value)])
    assert (label.model, label.request_id, label.value) == (model, request_id, float(value))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.1e100, 10**400, "seven", None])
def test_a_value_that_no_error_can_be_computed_with_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match=r"value of a label is .*at most 1e\+100"):
        label_record("eta", "r1", value, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 129])
@pytest.mark.parametrize("name", ["model", "request_id"])
def test_names_that_the_hub_does_not_store_are_refused(name: str, size: int) -> None:
    parts = {"model": "eta", "request_id": "r1", name: "x" * size}
    with pytest.raises(InvalidInput, match=f"{name} of a label.*1 to 128 characters"):
        label_record(**parts, value=1.0, at=None)
