"""A record's bytes become its answer or its refusal, and nothing that a record holds raises."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnomon.runtime.errors import UnknownModel
from gnomon.runtime.runtime import Runtime
from gnomon.server.streams.connectors import Record
from gnomon.server.streams.scoring import Scorer
from gnomon.server.streams.settings import StreamSettings
from tests.support.records import BAD, GOOD


def answer(runtime: Runtime, *rows: Any, **options: Any) -> list[dict[str, Any]]:
    scorer = Scorer(runtime, "eta", StreamSettings(**options))
    data = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    records = [Record(one, str(place)) for place, one in enumerate(data)]
    return [json.loads(one.data) for one in scorer.answer("in", records)]


def test_answers_and_refusals_keep_their_order(runtime: Runtime) -> None:
    rows = [GOOD, BAD, b"{", b"[1]", b'"text"', GOOD | {"wind": 900.0}, b"\xff\xfe", GOOD]
    answers = answer(runtime, *rows)
    assert [one.get("error") for one in answers] == [
        None,
        *["invalid_input"] * 4,
        None,
        "invalid_input",
        None,
    ]
    assert [one["id"] for one in answers] == [f"in:{place}" for place in range(8)]
    assert answers[0]["outputs"] == {"air_time": pytest.approx(111.0)}
    assert answers[0]["version"] == "1"
    assert answers[1]["details"][0]["field"] == "distance"
    assert answers[5]["violations"][0]["rule"] == "maximum"


def test_a_text_that_is_no_text_is_refused(runtime: Runtime) -> None:
    (one,) = answer(runtime, b'{"carrier": "K\xfc"}')
    assert one["error"] == "invalid_input"


@pytest.mark.parametrize("time", ["2013-07-04T12:00:00", r"2013-07-04T12\u003a00\u003a00"])
def test_a_name_that_comes_twice_is_refused(runtime: Runtime, time: str) -> None:
    good = json.dumps(GOOD)[1:-1]
    once = f'{{"at": "{time}", {good}}}'
    twice = f'{{"at": "{time}", "at": "{time}", {good}}}'
    answers = answer(runtime, once.encode(), twice.encode(), time_field="at")
    assert [one.get("error") for one in answers] == [None, "invalid_input"]
    assert "'at' comes twice" in answers[1]["message"]


def test_identity_time_and_key_are_no_fields_of_the_model(runtime: Runtime) -> None:
    names = {"id_field": "order", "time_field": "at", "key_field": "customer"}
    row = GOOD | {"order": 17, "at": "2013-07-04T12:00:00", "customer": "c7"}
    (one,) = answer(runtime, row, **names)
    assert one["id"] == "17"
    wrong = [
        GOOD | {"order": ""},
        GOOD | {"order": "x" * 129},
        GOOD | {"order": [1]},
        GOOD | {"at": "yesterday"},
        GOOD | {"at": True},
        GOOD | {"at": 10**400},
        GOOD | {"customer": {}},
    ]
    assert {one["error"] for one in answer(runtime, *wrong, **names)} == {"invalid_input"}


def test_unknown_fields_are_refused_unless_they_are_to_be_left_out(runtime: Runtime) -> None:
    row = GOOD | {"colour": "red"}
    assert answer(runtime, row)[0]["error"] == "invalid_input"
    assert "outputs" in answer(runtime, row, ignore_unknown=True)[0]


def test_a_record_that_was_cut_off_is_refused(runtime: Runtime) -> None:
    scorer = Scorer(runtime, "eta", StreamSettings())
    (one,) = scorer.answer("in", [Record(json.dumps(GOOD).encode(), "0", is_whole=False)])
    assert one.is_refused


def test_a_route_that_is_not_there_is_no_fault_of_the_records(runtime: Runtime) -> None:
    scorer = Scorer(runtime, "other", StreamSettings(ignore_unknown=True))
    with pytest.raises(UnknownModel):
        scorer.answer("in", [Record(b"{}", "0")])


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.one_of(
        st.binary(max_size=40),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["distance", "wind", "carrier", "id", "at"]), inner, max_size=5
                )
            ),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_no_record_stops_a_stream(runtime: Runtime, data: bytes) -> None:
    scorer = Scorer(runtime, "eta", StreamSettings(id_field="id", time_field="at"))
    first, second = scorer.answer("in", [Record(data, "0"), Record(json.dumps(GOOD).encode(), "1")])
    json.loads(first.data)
    assert not second.is_refused
