"""`gnomon bench load` against servers that run: what it sends, what it says, how it ends."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.bench.generator.loops import missing_library
from gnomon.bench.honest.answers import MODEL
from gnomon.bench.honest.law import ServiceLaw
from gnomon.bench.honest.server import HonestServer
from gnomon.bench.load.measure import Measured, prepare, run_load
from gnomon.bench.load.model_client import ServedModel, ServedTensor
from gnomon.bench.load.requests import encode_request
from gnomon.bench.load.rows import make_rows, read_rows
from gnomon.bench.load.settings import LoadSettings
from gnomon.bench.load.target import TargetUnavailable, parse_target
from gnomon.bench.load.verdict import Verdict
from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import ConfigurationError
from tests.server.serving.conformance.house import House
from tests.support.packages import make_package
from tests.support.waiting import wait_for

pytestmark = pytest.mark.skipif(missing_library() is not None, reason=str(missing_library()))

#: Of a machine that may pause: nothing is void, and all runs agree.
CALM: dict[str, Any] = {
    **{"seconds": 0.2, "warm_up": 0.05, "repeats": 2, "most_repeats": 2},
    **{"lateness_floor_us": 1e6, "stability": 10.0, "timeout": 60.0},
}
DATATYPES = ("BOOL", "INT8", "INT64", "UINT16", "UINT64", "FP16", "BF16", "FP32", "FP64", "BYTES")
ETA = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}


def load(address: str, model: str, settings: LoadSettings, **more: Any) -> Measured:
    return run_load(prepare(parse_target(address), model, **more), settings, lambda *_: None)


@pytest.fixture(scope="module")
def server() -> Iterator[HonestServer]:
    with HonestServer(ServiceLaw(scale=0.0)) as running:
        yield running


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    running = House([make_package(tmp_path_factory.mktemp("packages") / "eta-1", None)])
    yield running
    running.close()


@pytest.mark.parametrize("scheme", ["grpc", "http", "h2c"])
@pytest.mark.parametrize("rate", [None, 400.0])
def test_both_loops_run_by_each_protocol(
    server: HonestServer, scheme: str, rate: float | None
) -> None:
    settings = LoadSettings(rate=rate, connections=3, threads=2, **CALM)
    found = load(f"{scheme}://{server.address}", MODEL, settings)
    assert found.verdict is Verdict.MET
    total = found.total
    assert total is not None
    assert total.requests == total.answered
    # 400 a second for twice a fifth of a second.
    assert total.requests == 160 if rate else total.requests > 0
    assert total.latency.total == total.requests == sum(one.latency.total for one in total.slots)


def test_our_own_frontends_are_loaded_with_rows_from_their_schema(house: House) -> None:
    settings = LoadSettings(rate=200.0, **CALM)
    found = load(f"http://{house.address('rest')}", "eta", settings)
    assert found.test.origin.startswith("made from the served schema")
    assert found.test.rows
    assert found.verdict is Verdict.MET


@pytest.mark.parametrize("frontend", ["native", "grpcio", "rest"])
@pytest.mark.parametrize(("right", "verdict"), [(111.0, Verdict.MET), (112.0, Verdict.WRONG)])
def test_a_fast_server_with_wrong_answers_fails(
    house: House, tmp_path: Path, frontend: str, right: float, verdict: Verdict
) -> None:
    golden = tmp_path / "golden.json"
    golden.write_text(json.dumps({"rows": [ETA], "outputs": [{"air_time": right}]}))
    scheme = "http" if frontend == "rest" else "grpc"
    address = f"{scheme}://{house.address(frontend)}"
    found = load(address, "eta", LoadSettings(rate=50.0, **CALM), golden_file=golden)
    assert found.verdict is verdict
    if verdict is Verdict.WRONG:
        assert found.wrong == ["row 0: 'air_time' is [111.0], expected [112.0]"]


@pytest.mark.parametrize("frontend", ["native", "rest"])
@pytest.mark.parametrize(
    ("model", "row", "words"),
    [
        ("nothing", ETA, "nothing"),
        ("eta", {**ETA, "speed": 1.0}, "no inputs ['speed']"),
        ("eta", {**ETA, "wind": [1.0, 2.0]}, "'wind'"),
        ("eta", {**ETA, "distance": -1.0}, "minimum"),
    ],
)
def test_a_wrong_model_or_row_is_refused_before_any_run(
    house: House, tmp_path: Path, frontend: str, model: str, row: dict[str, Any], words: str
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps(row))
    target = parse_target(f"{'http' if frontend == 'rest' else 'grpc'}://{house.address(frontend)}")
    with pytest.raises(ConfigurationError) as caught:
        prepare(target, model, rows_file=rows)
    assert words in str(caught.value)


def test_a_server_of_another_protocol_is_no_target(server: HonestServer) -> None:
    with pytest.raises(TargetUnavailable, match="does not answer as the protocol says"):
        prepare(parse_target(f"http://{server.address}"), "another")


def test_what_was_counted_before_the_server_left_is_kept() -> None:
    settings = LoadSettings(rate=500.0, **{**CALM, "seconds": 60.0, "warm_up": 0.0})
    found: list[Measured] = []
    with HonestServer(ServiceLaw(scale=0.0)) as running:
        test = prepare(parse_target(f"grpc://{running.address}"), MODEL)
        answered = running.answered
        thread = threading.Thread(
            target=lambda: found.append(run_load(test, settings, lambda *_: None))
        )
        thread.start()
        wait_for(lambda: running.answered >= answered + 50)
    thread.join(60)
    (one,) = found
    assert one.verdict is Verdict.UNREACHABLE
    assert one.total is not None
    assert one.total.answered >= 50


def test_the_command_writes_its_reports_and_exits_with_the_verdict(
    server: HonestServer, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "gnomon", "bench", "load", f"grpc://{server.address}", MODEL]
    times = ["--seconds", "0.1", "--warm-up", "0", "--repeats", "1", "--stability", "10"]
    files = ["--csv", str(tmp_path / "runs.csv"), "--html", str(tmp_path / "page.html")]
    # No server answers within a nanosecond.
    done = subprocess.run(
        [*command, *times, *files, "--bound", "0.000001", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert (done.returncode, report["verdict"]) == (1, "bound missed")
    assert report["figures"]["answered"] == report["outcomes"]["good"] > 0
    assert (tmp_path / "runs.csv").read_text().count("\n") == 2
    assert "<svg" in (tmp_path / "page.html").read_text()


def test_what_was_counted_before_the_user_ended_it_is_reported(server: HonestServer) -> None:
    command = [sys.executable, "-m", "gnomon", "bench", "load", f"grpc://{server.address}", MODEL]
    before = server.answered
    with subprocess.Popen(
        [*command, "--rate", "500", "--seconds", "600", "--warm-up", "0", "--json"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        # Each row is sent once before.
        wait_for(lambda: server.answered >= before + 300, 60)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    report = json.loads(said)
    assert (process.returncode, report["was_interrupted"]) == (130, True)
    outcomes = report["outcomes"]
    assert outcomes["good"] > 0
    assert outcomes["lost"] == outcomes["unsent"] == 0
    assert 0 < report["figures"]["seconds"] < 600


def test_a_host_that_none_serves_exits_with_4() -> None:
    command = [sys.executable, "-m", "gnomon", "bench", "load", "grpc://127.0.0.1:1", MODEL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "127.0.0.1:1 answers ModelMetadata with UNAVAILABLE" in done.stderr


@given(st.sampled_from(DATATYPES), st.lists(st.sampled_from([-1, 1, 2, 3]), max_size=3), st.data())
def test_rows_that_are_made_fit_any_tensor(
    datatype: str, shape: list[int], data: st.DataObject
) -> None:
    model = ServedModel("m", (ServedTensor("x", datatype, tuple(shape)),), ())
    (row,) = make_rows(model, 1, data.draw(st.integers(0, 99)))
    for scheme in ("grpc", "http"):
        request = encode_request(parse_target(f"{scheme}://127.0.0.1:1"), model, row, 0)
        if scheme == "grpc":
            message = oip.ModelInferRequest.FromString(request)
            assert len(message.raw_input_contents[0]) >= np.prod(message.inputs[0].shape)
        else:
            (tensor,) = json.loads(request)["inputs"]
            assert len(tensor["data"]) == np.prod(tensor["shape"])


@given(st.integers(-5, 5), st.integers(0, 5))
def test_rows_keep_the_range_and_the_categories_of_a_schema(low: int, width: int) -> None:
    tensors = (ServedTensor("x", "FP64", (-1, 1)), ServedTensor("n", "INT64", (-1, 1)))
    limits = {"minimum": low, "maximum": low + width}
    fields = {"x": limits, "n": limits, "c": {"enum": ["red", None]}}
    model = ServedModel("m", (*tensors, ServedTensor("c", "BYTES", (-1, 1))), (), fields)
    for row in make_rows(model, 5, 1):
        assert low <= row["x"] <= low + width
        assert low <= row["n"] <= low + width
        assert row["c"] == "red"


def test_rows_are_read_from_csv_and_json_lines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,n,c\n1.5,2,UA\n")
    (tmp_path / "a.jsonl").write_text('{"x": 1.5, "n": 2, "c": "UA"}\n\n')
    expected = [{"x": 1.5, "n": 2, "c": "UA"}]
    assert read_rows(tmp_path / "a.csv") == read_rows(tmp_path / "a.jsonl") == expected
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(ConfigurationError, match="at least one"):
        read_rows(tmp_path / "empty.jsonl")
