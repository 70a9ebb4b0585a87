"""The honest server answers every protocol, and its truth is that of its law."""

import http.client
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.bench.generator.arrivals import Arrivals
from gnomon.bench.generator.loops import missing_library, working_elapsed
from gnomon.bench.honest.answers import MODEL
from gnomon.bench.honest.law import LawKind, ServiceLaw
from gnomon.bench.honest.server import HonestServer
from gnomon.bench.honest.truth import true_percentiles
from gnomon.proto import inference_pb2 as oip
from gnomon.proto import inference_pb2_grpc
from gnomon.runtime.errors import ConfigurationError

PAGE = Path(__file__).parents[2] / "docs" / "bench.md"
needs_library = pytest.mark.skipif(missing_library() is not None, reason=str(missing_library()))


@pytest.fixture(scope="module")
def server() -> Iterator[HonestServer]:
    with HonestServer(ServiceLaw(scale=0.001)) as running:
        yield running


@given(st.integers(0, 10**12), st.integers(0, 999), st.integers(1_000, 10_000))
def test_the_compiled_law_counts_working_time_as_python_does(
    elapsed: int, stall: int, period: int
) -> None:
    law = ServiceLaw(stall=stall / 1e3, period=period / 1e3)
    working, inverse = working_elapsed(law.as_numbers(), elapsed)
    seconds = np.array([elapsed / 1e9])
    assert working / 1e9 == pytest.approx(law.working(seconds)[0], abs=1e-6)
    # At the edge of a stall both of its ends have the same working time.
    assert law.working(np.array([inverse / 1e9]))[0] == pytest.approx(elapsed / 1e9, abs=1e-6)


@pytest.mark.parametrize(
    ("law", "percent", "seconds"),
    [
        (ServiceLaw(scale=0.002), 99, 0.002),
        (ServiceLaw(LawKind.EXPONENTIAL, 0.01), 99, 0.01 * math.log(100)),
        (ServiceLaw(LawKind.LOGNORMAL, 0.01, 0.7), 50, 0.01),
        # A fifth of the requests wait for the end of the stall, all delays of it equally likely.
        (ServiceLaw(scale=0.0, stall=1.0, period=5.0), 99, 0.95),
        (ServiceLaw(scale=0.0, stall=1.0, period=5.0), 90, 0.5),
        (ServiceLaw(scale=0.0, stall=1.0, period=5.0), 50, 0.0),
    ],
)
def test_the_truth_is_that_of_the_formula(law: ServiceLaw, percent: float, seconds: float) -> None:
    (found,) = true_percentiles(law, [percent], 100)
    assert found == pytest.approx(seconds, rel=1e-3, abs=2e-6)


def test_the_truth_of_a_queue_is_that_of_theory() -> None:
    """M/M/1: the time in the system has the exponential law of mean 1 / (1 / service - rate)."""
    law = ServiceLaw(LawKind.EXPONENTIAL, 0.01, workers=1)
    found = true_percentiles(law, (50, 90), 50, Arrivals.POISSON)
    assert found == pytest.approx([0.02 * math.log(2), 0.02 * math.log(10)], rel=0.04)


def test_a_rate_that_workers_cannot_keep_up_with_has_no_truth() -> None:
    with pytest.raises(ConfigurationError, match="more than 2 workers can answer"):
        true_percentiles(ServiceLaw(scale=0.01, workers=2, stall=1, period=5), [99], 170)


@pytest.mark.parametrize(
    "change", [{"scale": math.nan}, {"stall": 5.0}, {"sigma": -1}, {"period": 0}, {"workers": -1}]
)
def test_a_law_that_is_none_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        ServiceLaw(**change)  # type: ignore[arg-type]


@needs_library
def test_it_answers_grpc(server: HonestServer) -> None:
    with grpc.insecure_channel(server.address) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        assert stub.ServerReady(oip.ServerReadyRequest(), timeout=20).ready
        metadata = stub.ModelMetadata(oip.ModelMetadataRequest(name=MODEL), timeout=20)
        assert [one.name for one in metadata.inputs] == ["x"]
        answer = stub.ModelInfer(oip.ModelInferRequest(model_name=MODEL), timeout=20)
        assert answer.outputs[0].contents.fp64_contents == [1.0]


@needs_library
def test_it_answers_several_requests_of_one_connection_by_http1(server: HonestServer) -> None:
    connection = http.client.HTTPConnection(server.address, timeout=20)
    for method, path, body in (
        ("GET", f"/v2/models/{MODEL}", None),
        ("POST", f"/v2/models/{MODEL}/infer", b"{}" * 50_000),
        ("GET", "/any", None),
    ):
        connection.request(method, path, body)
        answer = connection.getresponse()
        assert answer.status == 200
        assert isinstance(json.loads(answer.read()), dict)
    connection.close()


@needs_library
def test_the_command_of_the_page_prints_address_truth_and_its_own_lateness() -> None:
    (line,) = re.findall(r"^gnomon (bench honest-server .*)$", PAGE.read_text(), re.MULTILINE)
    command = [sys.executable, "-m", "gnomon", *line.split(), "--json", "--seconds", "0.1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    start, end = map(json.loads, done.stdout.splitlines())
    assert start["true_ms"]["p99"] == pytest.approx(950, rel=1e-3)
    assert end == {"answered": 0, "own_lateness_p99_us": None}
