"""Rows of different callers in one run: the same answers and counts, within the limits."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnomon.bench.core.dense_network import dense_network
from gnomon.runtime.errors import EngineError, GnomonError, NotReady, Overloaded, PackageError
from gnomon.runtime.packages.manifest import Batching, Deployment, decode_manifest, encode_manifest
from gnomon.runtime.packages.package import Package
from gnomon.runtime.predicting.batching import Batcher
from gnomon.runtime.predicting.execution import RowOutcome
from gnomon.runtime.prediction import Prediction, PredictRequest
from gnomon.runtime.raw_models.raw_model import write_raw_model
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from tests.support.waiting import wait_for

GOOD = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}
ROWS = [
    GOOD,
    GOOD | {"distance": 400.0, "carrier": "AA"},
    GOOD | {"distance": 9_000.0},  # the answer breaks its contract
    GOOD | {"distance": -1.0},
    GOOD | {"wind": 900.0},  # clipped
    {"distance": 1.0},
    {},
]


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    runtime = Runtime(MemorySink(), checkpoint_seconds=60)
    yield runtime
    runtime.close()


def serve(runtime: Runtime, package: Package, **options: Any) -> None:
    runtime.load(package, **options)
    runtime.apply([single("eta", package.digest)])


def told(answer: RowOutcome) -> Any:
    if isinstance(answer, Prediction):
        return answer.outputs, answer.request_id, str(answer.violations)
    return type(answer), str(answer)


def counted(runtime: Runtime) -> Any:
    (totals,) = runtime.series_totals().values()
    return totals.calls, totals.rows, totals.violations.tolist(), int(totals.latency_counts.sum())


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(ROWS), min_size=1, max_size=24), st.integers(2, 8))
def test_together_is_as_alone(package: Package, rows: list[Any], most: int) -> None:
    requests = [PredictRequest(row, f"r{place}") for place, row in enumerate(rows)]
    alone, together = Runtime(MemorySink()), Runtime(MemorySink())
    for runtime in (alone, together):
        serve(runtime, package)
    gather = partial(together.predict_rows, "eta")
    batcher = Batcher(Batching(max_rows=most, max_delay_seconds=0.005), gather)
    expected = [told(one) for ask in requests for one in alone.predict_rows("eta", [ask])]
    with ThreadPoolExecutor(12) as pool:
        assert list(map(told, pool.map(batcher.execute, requests))) == expected
    assert counted(together) == counted(alone)
    alone.close()
    together.close()


class Recorded:
    """What answers: it remembers the sizes, and can be held up."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.held = threading.Event()
        self.held.set()

    def __call__(self, requests: Sequence[PredictRequest]) -> list[RowOutcome]:
        self.sizes.append(len(requests))
        self.held.wait(30)
        return [EngineError(one.request_id) for one in requests]


def test_limits_are_kept_and_what_waits_goes_together() -> None:
    recorded = Recorded()
    batcher = Batcher(Batching(max_rows=4, max_delay_seconds=0), recorded)
    recorded.held.clear()
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(batcher.execute, PredictRequest({}, "0"))
        wait_for(lambda: recorded.sizes == [1])
        rest = [
            pool.submit(batcher.execute, PredictRequest({}, str(number))) for number in range(1, 9)
        ]
        wait_for(lambda: len(batcher._waiting) == 8)
        recorded.held.set()
        assert [str(one.result(30)) for one in [first, *rest]] == [str(n) for n in range(9)]
    assert recorded.sizes == [1, 4, 4]


def test_a_full_batch_does_not_wait_and_a_lone_row_not_for_long() -> None:
    recorded = Recorded()
    full = Batcher(Batching(max_rows=2, max_delay_seconds=1), recorded)
    started = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(full.execute, [PredictRequest({}, "0"), PredictRequest({}, "1")]))
    assert recorded.sizes == [2]
    lone = Batcher(Batching(max_rows=64, max_delay_seconds=0.05), recorded)
    assert str(lone.execute(PredictRequest({}, "x"))) == "x"
    assert 0.05 <= time.monotonic() - started < 20


def test_too_many_waiting_calls_are_refused() -> None:
    recorded = Recorded()
    batcher = Batcher(Batching(max_rows=2, max_delay_seconds=0), recorded, waiting_limit=1)
    recorded.held.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(batcher.execute, PredictRequest({}, "0"))
        wait_for(lambda: recorded.sizes == [1])
        second = pool.submit(batcher.execute, PredictRequest({}, "1"))
        wait_for(lambda: len(batcher._waiting) == 1)
        with pytest.raises(Overloaded, match="1 calls wait"):
            batcher.execute(PredictRequest({}, "2"))
        recorded.held.set()
        assert [str(one.result(30)) for one in (first, second)] == ["0", "1"]


def test_what_goes_wrong_with_a_run_is_reported_to_each_and_holds_no_one_up() -> None:
    def refuse(requests: Sequence[PredictRequest]) -> list[RowOutcome]:
        raise NotReady("closed")

    def break_down(requests: Sequence[PredictRequest]) -> list[RowOutcome]:
        raise ZeroDivisionError

    for answer, kinds in ((refuse, {NotReady}), (break_down, {ZeroDivisionError, GnomonError})):
        batcher = Batcher(Batching(max_rows=4, max_delay_seconds=0.05), answer)
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(batcher.execute, PredictRequest({}, str(n))) for n in range(4)]
            results = [one.exception(30) or one.result() for one in asked]
        assert {type(one) for one in results} <= kinds


def test_a_model_is_batched_only_where_it_pays(
    runtime: Runtime, package: Package, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = Deployment(batching=Batching(max_rows=64, max_delay_seconds=0.01))
    with caplog.at_level(logging.INFO):
        small = runtime.load(package, deployment=wanted)
    assert small.batching is None
    assert "eta@1 is not batched: the engine takes" in caplog.text
    (tmp_path / "wide.onnx").write_bytes(dense_network((64, 2048, 2048, 1), "score"))
    wide = write_raw_model(tmp_path / "wide.onnx", tmp_path / "wide", "wide", "1")
    serve(runtime, wide, deployment=wanted)
    assert runtime.models[wide.digest].batching == wanted.batching
    names = [field.name for field in wide.profile.inputs]
    rows = [
        dict(zip(names, row.tolist(), strict=True))
        for row in np.random.default_rng(1).normal(size=(40, 64))
    ]
    alone = [runtime.models[wide.digest].predict_row(row) for row in rows]
    with ThreadPoolExecutor(40) as pool:
        together = list(pool.map(partial(runtime.predict, "eta"), rows))
    # Another order of additions for another number of rows: no more than that.
    np.testing.assert_allclose(
        [one.outputs["score"] for one in together], [one["score"] for one in alone], rtol=1e-4
    )
    (totals,) = runtime.series_totals().values()
    assert totals.calls["answered"] == 40


def test_older_manifests_keep_their_bytes_and_new_settings_are_read(package: Package) -> None:
    document = package.manifest_bytes
    assert b"batching" not in document
    assert b"instances" not in document
    changed = document.replace(
        b'"deployment": {', b'"deployment": {"batching": {"max_rows": 8}, "instances": 2, '
    )
    deployment = decode_manifest(changed).deployment
    assert deployment.batching == Batching(max_rows=8)
    assert deployment.instances == 2
    assert decode_manifest(encode_manifest(decode_manifest(changed))).deployment == deployment
    for bad in (b'"batching": {"max_rows": 1}', b'"instances": 0'):
        with pytest.raises(PackageError, match=r"expected 2 to 4096|should be 1 to 64"):
            decode_manifest(document.replace(b'"deployment": {', b'"deployment": {' + bad + b", "))
