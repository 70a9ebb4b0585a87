"""Rows that are asked together are answered, refused and counted as if each had come alone."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnomon.runtime.errors import GnomonError, UnknownModel
from gnomon.runtime.packages.package import Package
from gnomon.runtime.prediction import Prediction, PredictRequest
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.fallbacks import PackageFallback
from gnomon.runtime.routing.routes import Route, Target
from gnomon.runtime.runtime import Runtime

Write = Callable[..., Package]
GOOD: dict[str, Any] = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}
HOUR = 3_600
ROWS: list[Any] = [
    GOOD,
    GOOD | {"distance": 400.0, "carrier": "AA"},
    GOOD | {"wind": None},
    GOOD | {"wind": 900.0},  # clipped
    GOOD | {"distance": -1.0},
    GOOD | {"distance": 9_000.0},  # its answer is too large
    GOOD | {"carrier": "ZZ"},
    GOOD | {"extra": 1},
    {"distance": 800.0},
    {},
    GOOD | {"distance": "far"},
]
TIMES = [HOUR * 10.0, HOUR * 10.5, HOUR * 12.0, float("nan")]


def outcome(answer: Prediction | GnomonError) -> Any:
    if isinstance(answer, Prediction):
        return told(answer)
    return type(answer), str(answer), answer.details


def told(answer: Prediction) -> Any:
    return (answer.outputs, answer.digest, answer.request_id, str(answer.violations))


def serve(package: Package, **options: Any) -> tuple[Runtime, MemorySink]:
    sink = MemorySink()
    runtime = Runtime(sink, checkpoint_seconds=600)
    runtime.load(package)
    runtime.apply([Route("eta", (Target(package.digest, 1_000),), **options)])
    return runtime, sink


def counted(runtime: Runtime, sink: MemorySink, package: Package) -> Any:
    """Return what was counted by interval, and which requests were sampled with which value."""
    runtime.flush()
    windows: dict[int, Any] = {}
    samples = set()
    for record in sink.records:
        if record.HasField("window"):
            window = package.profile.read_window(record.window.window)
            # A time that is none is counted now, on whichever side of the hour that is.
            started = min(record.window.started_at_unix_ms, 10**12)
            windows.setdefault(started, package.profile.new_window()).merge(window)
        if record.HasField("predictions"):
            one = record.predictions
            samples |= set(zip(one.request_ids, one.values, strict=True))
    read = {
        started: (
            window.outcome_rows,
            window.violations.tolist(),
            [window.cells(place).tolist() for place in range(3)],
        )
        for started, window in windows.items()
    }
    return read, samples


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(ROWS), st.sampled_from(TIMES)), max_size=12))
def test_together_is_as_alone(package: Package, rows: list[tuple[Any, float]]) -> None:
    requests = [PredictRequest(row, f"r{place}", at=at) for place, (row, at) in enumerate(rows)]
    (one, one_sink), (many, many_sink) = serve(package), serve(package)
    alone = []
    for request in requests:
        try:
            identity, at = request.request_id, request.at
            alone.append(one.predict("eta", request.inputs, request_id=identity, at=at))
        except GnomonError as error:
            alone.append(error)
    together = many.predict_rows("eta", requests)
    assert [outcome(each) for each in together] == [outcome(each) for each in alone]
    assert counted(many, many_sink, package) == counted(one, one_sink, package)
    one.close()
    many.close()


def test_a_run_that_fails_falls_back_row_by_row(
    write: Write, linear: Callable[[list[float], float], bytes]
) -> None:
    far = {**GOOD, "distance": 9_000.0}
    older = write("eta-0", version="0", model=linear([0.0] * 5, 7.0))
    package = write()
    runtime, sink = serve(package)
    runtime.load(older)
    runtime.apply(
        [Route("eta", (Target(package.digest, 1_000),), fallbacks=(PackageFallback(older.digest),))]
    )
    answers = runtime.predict_rows(
        "eta", [PredictRequest(row, str(i)) for i, row in enumerate([GOOD, far])]
    )
    assert [one.outputs["air_time"] for one in answers if isinstance(one, Prediction)] == [
        pytest.approx(111.0),
        7.0,
    ]
    ((rows, _, _),) = counted(runtime, sink, package)[0].values()
    assert {name: count for name, count in rows.items() if count} == {"answered": 1, "fallback": 1}
    runtime.close()


def test_rows_are_split_as_if_each_had_come_alone(
    write: Write, linear: Callable[[list[float], float], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    champion, canary = write(), write("eta-2", version="2", model=linear([0.0] * 5, 7.0))
    runtime, _ = serve(champion)
    runtime.load(canary)
    runtime.apply([Route("eta", (Target(champion.digest, 900), Target(canary.digest, 100)))])
    # Chance falls on the canary once for each pair of rows, which is then alone of its kind.
    drawn = [950, 10] * 20
    monkeypatch.setattr("random.randrange", lambda _whole: drawn.pop(0))
    for _ in range(10):
        answers = runtime.predict_rows(
            "eta", [PredictRequest(GOOD, "a"), PredictRequest(GOOD, "b")]
        )
        assert [one.version for one in answers if isinstance(one, Prediction)] == ["2", "1"]
    assert len(drawn) == 20
    runtime.close()


def test_one_run_answers_what_is_gathered(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, _ = serve(package)
    (model,) = runtime.models.values()
    sizes: list[int] = []
    whole = model.answer_columns
    monkeypatch.setattr(
        model,
        "answer_columns",
        lambda columns: sizes.append(len(columns["wind"])) or whole(columns),
    )
    runtime.predict_rows("eta", [PredictRequest(GOOD, str(place)) for place in range(50)])
    assert sizes == [50]
    runtime.close()


def test_shadows_run_for_each_row(package: Package, write: Write) -> None:
    other = write("eta-2", version="2")
    runtime, sink = serve(package)
    runtime.load(other)
    runtime.apply(
        [Route("eta", (Target(package.digest, 1_000),), shadows=((other.digest, 1_000),))]
    )
    runtime.predict_rows("eta", [PredictRequest(GOOD, str(place)) for place in range(3)])
    runtime.flush()
    shadows = [one.window for one in sink.records if one.window.shadow]
    assert sum(one.rows for one in shadows) == 3
    runtime.close()


def test_an_unknown_route_is_reported(package: Package) -> None:
    runtime, _ = serve(package)
    with pytest.raises(UnknownModel):
        runtime.predict_rows("nope", [PredictRequest(GOOD, "1")])
    runtime.close()
