"""The way to a prediction: answers, refusals, failures, fallbacks, and who is counted where."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import onnx.checker
import pytest
from onnx import TensorProto, helper, numpy_helper

from gnomon.core.window import Window
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import (
    Conflict,
    EngineError,
    InvalidInput,
    InvalidOutput,
    NotReady,
    UnknownModel,
)
from gnomon.runtime.packages.golden import Golden, GoldenMismatch, encode_golden
from gnomon.runtime.packages.package import Package
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing import routes
from gnomon.runtime.routing.fallbacks import PackageFallback
from gnomon.runtime.routing.routes import Route, Target
from gnomon.runtime.runtime import Runtime

Write = Callable[..., Package]
Linear = Callable[[list[float], float], bytes]
GOOD = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}
#: Its answer lies above the output's maximum of 1,000.
TOO_FAR = {"distance": 9_000.0, "wind": 10.0, "carrier": "UA"}


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def runtime(sink: MemorySink) -> Iterator[Runtime]:
    runtime = Runtime(sink, checkpoint_seconds=60)
    yield runtime
    runtime.close()


def serve(runtime: Runtime, package: Package, **options: Any) -> None:
    runtime.load(package)
    runtime.apply([Route("eta", (Target(package.digest, 1000),), **options)])


def windows(
    runtime: Runtime, sink: MemorySink, package: Package
) -> list[tuple[hub_pb2.Window, Window]]:
    """Flush, and read all windows of a package."""
    runtime.flush()
    records = [record.window for record in sink.records if record.HasField("window")]
    return [
        (record, package.profile.read_window(record.window))
        for record in records
        if record.digest == package.digest
    ]


def failing_onnx() -> bytes:
    """A model that fails on every distance of 10 and more: an index out of bounds."""
    graph = helper.make_graph(
        [
            helper.make_node("Slice", ["features", "zero", "one", "one"], ["first"]),
            helper.make_node("Cast", ["first"], ["index"], to=TensorProto.INT64),
            helper.make_node("Gather", ["table", "index"], ["air_time"]),
        ],
        "failing",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 5])],
        [helper.make_tensor_value_info("air_time", TensorProto.FLOAT, ["N", 1])],
        [
            numpy_helper.from_array(np.arange(10, dtype=np.float32), "table"),
            numpy_helper.from_array(np.array([0], np.int64), "zero"),
            numpy_helper.from_array(np.array([1], np.int64), "one"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    model.graph.node[0].input[3] = "one"
    onnx.checker.check_model(model)
    return model.SerializeToString()


def test_answers_a_good_row(runtime: Runtime, sink: MemorySink, package: Package) -> None:
    serve(runtime, package)
    prediction = runtime.predict("eta", GOOD, request_id="flight-1")
    assert prediction.outputs == {"air_time": pytest.approx(111.0)}
    assert (prediction.model, prediction.version) == ("eta", "1")
    assert (prediction.digest, prediction.request_id) == (package.digest, "flight-1")
    assert prediction.violations == ()
    assert prediction.fallback is None
    assert prediction.latency_ns > 0
    ((record, window),) = windows(runtime, sink, package)
    assert (record.rows, record.route, record.shadow) == (1, "eta", False)
    assert window.outcome_rows["answered"] == 1
    assert window.rows == window.output_rows == 1


def test_says_what_was_corrected(runtime: Runtime, sink: MemorySink, package: Package) -> None:
    serve(runtime, package)
    prediction = runtime.predict("eta", GOOD | {"wind": 1_000.0}, request_id="gale")
    assert prediction.outputs == {"air_time": pytest.approx(130.0)}
    (violation,) = prediction.violations
    assert (violation.field, violation.rule, violation.value) == ("wind", "maximum", 1_000.0)
    ((_, window),) = windows(runtime, sink, package)
    counted = dict(zip(package.profile.rule_names, window.violations.tolist(), strict=True))
    assert {name: count for name, count in counted.items() if count} == {"inputs.maximum": 1}
    (refusal,) = [record.refusal for record in sink.records if record.HasField("refusal")]
    assert (refusal.request_id, refusal.field, refusal.expected) == ("gale", "wind", "<= 200")


@pytest.mark.parametrize(
    ("row", "field", "rule"),
    [
        (GOOD | {"distance": -5.0}, "distance", "minimum"),
        (GOOD | {"distance": "far"}, "distance", "type"),
        (GOOD | {"distance": float("nan")}, "distance", "null"),
        (GOOD | {"carrier": "ZZ"}, "carrier", "allowed"),
        (GOOD | {"weather": "fine"}, "weather", "unknown_field"),
        ({"wind": 10.0, "carrier": "UA"}, "distance", "required"),
        ({}, "distance", "required"),
    ],
)
def test_refuses_a_bad_row_by_field_value_and_rule(
    runtime: Runtime, sink: MemorySink, package: Package, row: dict[str, Any], field: str, rule: str
) -> None:
    serve(runtime, package)
    with pytest.raises(
        InvalidInput, match=rf"eta@1 refused the input: row 0: field '{field}'"
    ) as e:
        runtime.predict("eta", row)
    details = e.value.details[0]
    assert (details["row"], details["field"], details["rule"]) == (0, field, rule)
    assert details["expected"]
    ((record, window),) = windows(runtime, sink, package)
    assert record.rows == 1
    assert window.outcome_rows["refused"] == 1


@pytest.mark.parametrize("row", [None, 5, [1, 2], "row", object()])
def test_what_is_no_row_is_refused_and_counted(
    runtime: Runtime, sink: MemorySink, package: Package, row: Any
) -> None:
    serve(runtime, package)
    with pytest.raises(InvalidInput, match="eta@1 refused the input"):
        runtime.predict("eta", row)
    ((record, window),) = windows(runtime, sink, package)
    assert record.rows == window.outcome_rows["refused"] == 1


def test_answer_that_breaks_its_contract_is_an_error_without_fallback(
    runtime: Runtime, sink: MemorySink, package: Package
) -> None:
    serve(runtime, package)
    with pytest.raises(InvalidOutput, match=r"eta@1 gave an answer .* 'air_time': 11.* <= 1000"):
        runtime.predict("eta", TOO_FAR)
    ((record, window),) = windows(runtime, sink, package)
    assert record.rows == window.outcome_rows["failed"] == 1
    assert window.output_cells("air_time").tolist() == [0, 0, 0, 0, 0, 0, 1]


def test_fallback_answers_and_says_so(
    runtime: Runtime, sink: MemorySink, package: Package, write: Write, linear: Linear
) -> None:
    simple = write("simple", version="0", model=linear([0.1, 0.0, 0.0, 0.0, 0.0], 0.0))
    runtime.load(simple)
    serve(runtime, package, fallbacks=(PackageFallback(simple.digest),))
    prediction = runtime.predict("eta", TOO_FAR)
    assert prediction.outputs == {"air_time": pytest.approx(900.0)}
    assert prediction.version == "0"
    assert prediction.fallback is not None
    assert "eta@1 gave an answer that breaks its contract" in prediction.fallback
    many = runtime.predict_columns(
        "eta", {"distance": [800.0, 9_000.0], "wind": [0.0, 0.0], "carrier": ["AA", "AA"]}
    )
    np.testing.assert_allclose(many.outputs["air_time"], [80.0, 900.0])
    assert many.version == "0"
    assert many.fallback is not None
    ((record, window),) = windows(runtime, sink, package)
    assert record.rows == window.outcome_rows["fallback"] == 3
    assert windows(runtime, sink, simple) == []


def test_failing_engine_takes_the_fallback_or_raises(
    runtime: Runtime, sink: MemorySink, package: Package, write: Write
) -> None:
    broken = write("broken", version="9", model=failing_onnx(), deployment={"warm_up_runs": 0})
    serve(runtime, broken)
    with pytest.raises(EngineError, match="eta@9: ONNX Runtime failed"):
        runtime.predict("eta", GOOD)
    assert runtime.predict("eta", GOOD | {"distance": 7.0}).outputs == {"air_time": 7.0}
    runtime.load(package)
    serve(runtime, broken, fallbacks=(PackageFallback(package.digest),))
    prediction = runtime.predict("eta", GOOD)
    assert prediction.version == "1"
    assert prediction.fallback is not None
    assert prediction.fallback.startswith("eta@9: ONNX Runtime failed")
    ((record, window),) = windows(runtime, sink, broken)
    assert record.rows == 3
    assert window.outcome_rows == {"answered": 1, "refused": 0, "failed": 1, "fallback": 1}


def test_fallback_that_fails_too_leaves_the_first_error(
    runtime: Runtime, sink: MemorySink, package: Package, write: Write, linear: Linear
) -> None:
    worse = write("worse", version="0", model=linear([9.0, 0.0, 0.0, 0.0, 0.0], 0.0))
    runtime.load(worse)
    serve(runtime, package, fallbacks=(PackageFallback(worse.digest),))
    with pytest.raises(InvalidOutput, match="eta@1"):
        runtime.predict("eta", TOO_FAR)
    ((record, window),) = windows(runtime, sink, package)
    assert record.rows == window.outcome_rows["failed"] == 1


def test_rows_and_columns_agree(runtime: Runtime, sink: MemorySink, package: Package) -> None:
    serve(runtime, package)
    random = np.random.default_rng(3)
    distance = random.uniform(0, 5_000, 50)
    wind = np.where(random.random(50) < 0.2, np.nan, random.uniform(0, 300, 50))
    carrier = random.choice(["AA", "UA", "WN"], 50)
    columns = {"distance": distance[:, None], "wind": wind, "carrier": carrier.astype(object)}
    many = runtime.predict_columns("eta", columns, at=0)
    singles = [
        runtime.predict("eta", {"distance": d, "wind": w, "carrier": str(c)}, at=7200)
        for d, w, c in zip(distance.tolist(), wind.tolist(), carrier, strict=True)
    ]
    np.testing.assert_allclose(
        many.outputs["air_time"], [one.outputs["air_time"] for one in singles], rtol=1e-6
    )
    assert many.rows == 50
    assert len(many.violations) == sum(len(one.violations) for one in singles)
    (_, batch), (_, ones) = windows(runtime, sink, package)
    for field in ("distance", "wind", "carrier"):
        assert batch.cells(field).tolist() == ones.cells(field).tolist()
    assert batch.violations.tolist() == ones.violations.tolist()
    assert batch.output_cells("air_time").tolist() == ones.output_cells("air_time").tolist()


def test_one_bad_row_refuses_the_request_and_says_which(
    runtime: Runtime, sink: MemorySink, package: Package
) -> None:
    serve(runtime, package)
    columns = {"distance": [1.0, 2.0, -3.0], "wind": [0.0] * 3, "carrier": ["AA"] * 3}
    with pytest.raises(InvalidInput, match=r"row 2: field 'distance': -3.0 breaks 'minimum'"):
        runtime.predict_columns("eta", columns)
    ((record, window),) = windows(runtime, sink, package)
    assert record.rows == window.outcome_rows["refused"] == 3


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        ({}, 1),
        ({"distance": [], "wind": [], "carrier": []}, 1),
        ({"distance": np.empty(0), "wind": np.empty(0), "carrier": np.empty(0, object)}, 1),
        ({"distance": [1.0, 2.0], "wind": [1.0], "carrier": ["AA"]}, 2),
    ],
)
def test_request_without_readable_rows_is_refused_and_counted(
    runtime: Runtime, sink: MemorySink, package: Package, columns: dict[str, Any], rows: int
) -> None:
    serve(runtime, package)
    with pytest.raises(InvalidInput, match="eta@1 refused the input"):
        runtime.predict_columns("eta", columns)
    ((record, window),) = windows(runtime, sink, package)
    assert record.rows == window.outcome_rows["refused"] == rows


@pytest.mark.parametrize(
    "at",
    [0, -1.5, 1e11, datetime(1970, 1, 1), datetime(2099, 12, 31, tzinfo=UTC), datetime.max],
)
def test_any_clock_still_predicts_and_is_recorded(
    runtime: Runtime, sink: MemorySink, package: Package, at: Any
) -> None:
    serve(runtime, package)
    runtime.predict("eta", GOOD, at=at)
    ((record, _),) = windows(runtime, sink, package)
    if isinstance(at, datetime):
        at = at.replace(tzinfo=UTC).timestamp()
    assert record.started_at_unix_ms <= at * 1000 < record.ended_at_unix_ms
    assert record.ended_at_unix_ms - record.started_at_unix_ms == 3_600_000
    assert record.started_at_unix_ms % 3_600_000 == 0


@pytest.mark.parametrize("at", [float("nan"), float("inf"), 1e300, 10**400, True, "yesterday"])
def test_what_is_no_time_is_refused_and_counted(
    runtime: Runtime, sink: MemorySink, package: Package, at: Any
) -> None:
    serve(runtime, package)
    with pytest.raises(InvalidInput, match="expected a datetime or seconds since 1970"):
        runtime.predict("eta", GOOD, at=at)
    ((record, window),) = windows(runtime, sink, package)
    assert record.rows == window.outcome_rows["refused"] == 1


def test_shadow_is_asked_and_counted_apart(
    runtime: Runtime, sink: MemorySink, package: Package, write: Write, linear: Linear
) -> None:
    shadow = write("shadow", version="2", model=linear([0.2, 0.0, 0.0, 0.0, 0.0], 0.0))
    runtime.load(shadow)
    serve(runtime, package, shadows=(Target(shadow.digest, 1000),))
    for _ in range(20):
        assert runtime.predict("eta", GOOD).version == "1"
    with pytest.raises(InvalidInput):
        runtime.predict("eta", {})
    runtime.predict_columns("eta", {name: [value] * 5 for name, value in GOOD.items()})
    ((record, window),) = windows(runtime, sink, shadow)
    assert (record.shadow, record.rows) == (True, 26)
    assert window.output_moments("air_time").mean == pytest.approx(160.0, rel=1e-3)
    ((record, _),) = windows(runtime, sink, package)
    assert (record.shadow, record.rows) == (False, 26)
    answered = [record.predictions for record in sink.records if record.HasField("predictions")]
    assert {one.digest for one in answered} == {package.digest}


def test_keys_stick_to_their_target(
    runtime: Runtime, package: Package, write: Write, linear: Linear
) -> None:
    other = write("other", version="2", model=linear([0.2, 0.0, 0.0, 0.0, 0.0], 0.0))
    runtime.load(package)
    runtime.load(other)
    runtime.apply([Route("eta", (Target(package.digest, 500), Target(other.digest, 500)))])
    answers = {key: runtime.predict("eta", GOOD, key=key).version for key in "abcdefghij"}
    assert set(answers.values()) == {"1", "2"}
    for key, version in answers.items():
        assert runtime.predict("eta", GOOD, key=key).version == version
    runtime.apply([Route("eta", (Target(package.digest, 1000), Target(other.digest, 0)))])
    assert {runtime.predict("eta", GOOD, key=key).version for key in answers} == {"1"}


def test_routes_change_as_a_whole_or_not_at_all(runtime: Runtime, package: Package) -> None:
    serve(runtime, package)
    with pytest.raises(UnknownModel, match="needs the package 0000000000000000, which is not"):
        runtime.apply([routes.single("new", package.digest), routes.single("bad", "0" * 64)])
    assert set(runtime.routes) == {"eta"}
    with pytest.raises(UnknownModel, match="no route is named 'new'; in service are eta"):
        runtime.predict("new", GOOD)
    with pytest.raises(Conflict, match="is in service on eta"):
        runtime.unload(package.digest)
    runtime.apply([])
    runtime.unload(package.digest)
    with pytest.raises(UnknownModel, match="is not loaded"):
        runtime.unload(package.digest)
    assert runtime.models == {}


def test_versions_change_under_load_without_one_failed_request(
    runtime: Runtime, sink: MemorySink, package: Package, write: Write, linear: Linear
) -> None:
    """The old version is unloaded at once, with calls in it."""
    second = write("second", version="2", model=linear([0.2, 0.0, 0.0, 0.0, 0.0], 0.0))
    serve(runtime, package)
    stop = threading.Event()
    answered: list[int] = []
    errors: list[Exception] = []

    def ask() -> None:
        count = 0
        while not stop.is_set():
            try:
                runtime.predict("eta", GOOD)
                count += 1
            except Exception as error:
                errors.append(error)
        answered.append(count)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    old, new = package, second
    for _ in range(30):
        serve(runtime, new)
        runtime.unload(old.digest)
        old, new = new, old
    stop.set()
    for thread in threads:
        thread.join(timeout=20)
    assert errors == []
    counted = [
        record.rows for one in (package, second) for record, _ in windows(runtime, sink, one)
    ]
    assert sum(counted) == sum(answered)


def test_golden_check_holds_the_model_to_what_was_built(
    runtime: Runtime, package: Package, write: Write, linear: Linear
) -> None:
    runtime.load(package, check_golden=True)
    wrong = write("wrong", version="2", model=linear([0.2, 0.0, 0.0, 0.0, 0.0], 0.0))
    with pytest.raises(GoldenMismatch, match="eta@2 does not reproduce its golden samples: 1 diff"):
        runtime.load(wrong, check_golden=True)
    assert set(runtime.models) == {package.digest}


def test_golden_tolerance_and_refusal(runtime: Runtime, package: Package) -> None:
    model = runtime.load(package)
    Golden(rows=(GOOD,), outputs=({"air_time": 111.005},)).check(model)
    with pytest.raises(GoldenMismatch, match="expected 112"):
        Golden(rows=(GOOD,), outputs=({"air_time": 112.0},)).check(model)
    with pytest.raises(GoldenMismatch, match="refused the input"):
        Golden(rows=({},), outputs=({"air_time": 1.0},)).check(model)
    assert b"null" in encode_golden(
        Golden(rows=(GOOD | {"wind": float("nan")},), outputs=({"air_time": 110.0},))
    )


def test_closed_runtime_says_so(sink: MemorySink, package: Package) -> None:
    runtime = Runtime(sink)
    serve(runtime, package)
    runtime.predict("eta", GOOD)
    runtime.close()
    runtime.close()
    assert sum(record.window.rows for record in sink.records) == 1
    with pytest.raises(NotReady, match="closed"):
        runtime.predict("eta", GOOD)
    with pytest.raises(NotReady, match="closed"):
        runtime.load(package)


def test_endless_identity_is_refused_and_counted(
    runtime: Runtime, sink: MemorySink, package: Package
) -> None:
    serve(runtime, package)
    with pytest.raises(InvalidInput, match="has 300 characters; at most 256"):
        runtime.predict("eta", GOOD, request_id="x" * 300)
    assert runtime.predict("eta", GOOD, request_id="x" * 256).outputs
    ((record, window),) = windows(runtime, sink, package)
    assert record.rows == 2
    assert window.outcome_rows["refused"] == 1


def test_message_stays_short_whatever_the_value(runtime: Runtime, package: Package) -> None:
    serve(runtime, package)
    with pytest.raises(InvalidInput) as refusal:
        runtime.predict("eta", GOOD | {"carrier": "Z" * 1_000_000})
    assert len(str(refusal.value)) < 1_000
    assert len(refusal.value.details[0]["value"]) <= 200
