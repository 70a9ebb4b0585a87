"""Engines: the same answers through every door, errors by name, and nothing left behind."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from gnomon.pipeline.formats.litert import INPUT, OUTPUT, Dense, forward, write_network
from gnomon.runtime.engines import Engine, EngineClosed, available_engines, load_engine
from gnomon.runtime.errors import EngineError
from gnomon.runtime.packages.manifest import Manifest
from gnomon.runtime.packages.package import Package

Linear = Callable[[list[float], float], bytes]
WEIGHTS = [0.125, 0.1, 0.0, 10.0, 0.0]


@pytest.fixture
def manifest(package: Package) -> Manifest:
    return package.manifest


@pytest.fixture
def onnx_engine(linear: Linear, manifest: Manifest) -> Engine:
    return load_engine("onnx", linear(WEIGHTS, 0.0), manifest)


@pytest.fixture
def network() -> list[Dense]:
    random = np.random.default_rng(7)
    return [
        Dense(random.normal(size=(5, 16)), random.normal(size=16), True),
        Dense(random.normal(size=(16, 1)), random.normal(size=1), False),
    ]


@pytest.fixture
def tflite_engine(network: list[Dense], manifest: Manifest) -> Engine:
    described = msgspec.structs.replace(manifest, format="tflite", output_tensors=(OUTPUT,))
    return load_engine("tflite", write_network(network), described)


def features(rows: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(rows).normal(size=(rows, 5)).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 3, 1, 200])
def test_onnx_answers_as_numpy_does(onnx_engine: Engine, rows: int) -> None:
    answer = onnx_engine.run({"features": features(rows)})["air_time"]
    np.testing.assert_allclose(answer, features(rows) @ np.array([WEIGHTS]).T, rtol=1e-5, atol=1e-6)
    assert answer.dtype == np.float32


@pytest.mark.parametrize("rows", [1, 3, 1, 200])
def test_tflite_answers_as_numpy_does(
    tflite_engine: Engine, network: list[Dense], rows: int
) -> None:
    answer = tflite_engine.run({INPUT: features(rows)})[OUTPUT]
    np.testing.assert_allclose(answer, forward(network, features(rows)), rtol=1e-4, atol=1e-4)


COMPARE = """
import sys, json, msgspec, numpy as np
from gnomon.runtime.engines.onnx import NativeOnnxEngine, PythonOnnxEngine
from gnomon.runtime.packages.manifest import decode_manifest
from pathlib import Path
folder = Path(sys.argv[1])
manifest = decode_manifest((folder / "manifest.json").read_bytes())
model = (folder / "model.onnx").read_bytes()
native = NativeOnnxEngine(model, manifest)
assert "onnxruntime" not in sys.modules
python = PythonOnnxEngine(model, manifest)
random = np.random.default_rng(1)
same = []
for rows in (1, 2, 17, 1000):
    tensors = {"features": (random.normal(size=(rows, 5)) * 1e3).astype(np.float32)}
    ours, theirs = native.run(tensors)["air_time"], python.run(tensors)["air_time"]
    same.append(ours.tobytes() == theirs.tobytes() and ours.shape == theirs.shape)
print(json.dumps(same))
"""


def test_c_interface_and_python_module_agree_bit_for_bit(package: Package) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", COMPARE, str(package.path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(answer.stdout) == [True] * 4


RELOAD = """
import sys, json
import numpy as np
from pathlib import Path
from gnomon.runtime.engines import load_engine
from gnomon.runtime.packages.manifest import decode_manifest
folder = Path(sys.argv[1])
manifest = decode_manifest((folder / "manifest.json").read_bytes())
model = (folder / manifest.model_file).read_bytes()
tensors = {sys.argv[2]: np.ones((4, 5), np.float32)}
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4
kept, sizes = [], []
for count in range(350):
    engine = load_engine(manifest.format, model, manifest)
    engine.run(tensors)
    if sys.argv[3] == "leak":
        kept.append(engine)
    else:
        engine.close()
    if count in (49, 349):
        sizes.append(resident())
print(json.dumps(sizes))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("planted", ["close", "leak"])
@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_three_hundred_reloads_leave_nothing_behind(
    write: Callable[..., Package],
    linear: Linear,
    network: list[Dense],
    format: str,
    planted: str,
) -> None:
    """And the same measure finds a leak that is planted."""
    model = linear(WEIGHTS, 0.0) if format == "onnx" else write_network(network)
    name = {"onnx": "features", "tflite": INPUT}[format]
    output = {"onnx": "air_time", "tflite": OUTPUT}[format]
    package = write(model=model, format=format, output_tensors=(output,))
    answer = subprocess.run(
        [sys.executable, "-c", RELOAD, str(package.path), name, planted],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    first, last = json.loads(answer.stdout)
    grown = last - first
    assert (grown > 1024) if planted == "leak" else (grown < 512), f"{grown} KiB in 300 reloads"


def test_available_engines_do_not_import_what_runs_them() -> None:
    code = (
        "import sys; from gnomon.runtime.engines import available_engines;"
        "print(available_engines());"
        "assert not {'onnxruntime', 'ai_edge_litert'} & set(sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stdout.strip() == str(available_engines())
    assert "onnx" in available_engines()


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({}, "tensor 'features' is missing"),
        ({"features": np.ones((1, 5))}, "expected float32"),
        ({"features": np.ones((1, 4), np.float32)}, "invalid dimensions"),
        ({"features": np.ones((5, 2), np.float32).T}, "not C-contiguous"),
        ({"features": np.ones((1,) * 9, np.float32)}, "9 dimensions"),
    ],
)
def test_wrong_tensors_are_refused_by_name(
    onnx_engine: Engine, tensors: dict[str, Any], reason: str
) -> None:
    with pytest.raises(EngineError, match=f"(?i)eta@1.*{reason}"):
        onnx_engine.run(tensors)
    assert onnx_engine.run({"features": features(1)})["air_time"].shape == (1, 1)


@pytest.mark.parametrize(
    "tensors", [{}, {INPUT: np.ones((1, 5))}, {INPUT: np.ones((1, 4), np.float32)}]
)
def test_wrong_tensors_do_not_break_tflite(tflite_engine: Engine, tensors: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match=r"eta@1: LiteRT failed"):
        tflite_engine.run(tensors)
    assert tflite_engine.run({INPUT: features(2)})[OUTPUT].shape == (2, 1)


@pytest.mark.parametrize("format", ["onnx", "tflite"])
@pytest.mark.parametrize("model", [b"", b"no model" * 10])
def test_file_that_is_no_model_is_refused(manifest: Manifest, format: str, model: bytes) -> None:
    with pytest.raises(EngineError, match=r"cannot load the model|is not an? (ONNX|LiteRT) model"):
        load_engine(format, model, manifest)


def test_output_that_is_not_there_is_refused(linear: Linear, manifest: Manifest) -> None:
    other = msgspec.structs.replace(manifest, output_tensors=("arrival",))
    with pytest.raises(EngineError, match="no output 'arrival'; it has air_time"):
        load_engine("onnx", linear(WEIGHTS, 0.0), other)


def test_unknown_format_is_refused(manifest: Manifest) -> None:
    with pytest.raises(EngineError, match="no engine runs the format 'pmml'"):
        load_engine("pmml", b"", manifest)


@pytest.mark.parametrize("engine", ["onnx_engine", "tflite_engine"])
def test_threads_share_an_engine_and_close_waits_for_them(
    engine: str, request: pytest.FixtureRequest
) -> None:
    shared: Engine = request.getfixturevalue(engine)
    name = {"onnx_engine": "features", "tflite_engine": INPUT}[engine]
    expected = [next(iter(shared.run({name: features(rows)}).values())) for rows in range(1, 5)]
    wrong: list[object] = []
    closed = threading.Event()

    def ask(rows: int) -> None:
        try:
            while not closed.is_set():
                (answer,) = shared.run({name: features(rows)}).values()
                if not np.array_equal(answer, expected[rows - 1]):
                    wrong.append(answer)
            shared.run({name: features(rows)})
            wrong.append("answered after close")
        except EngineClosed:
            pass
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask, args=(rows,)) for rows in range(1, 5)]
    for thread in threads:
        thread.start()
    closed.wait(0.2)
    shared.close()
    shared.close()
    closed.set()
    for thread in threads:
        thread.join(timeout=20)
    assert wrong == []
    assert not any(thread.is_alive() for thread in threads)


def test_find_library_points_into_the_installed_wheel() -> None:
    from gnomon.runtime.engines.onnx import find_library

    path = find_library()
    assert path is not None
    assert Path(path).name.startswith(("libonnxruntime", "onnxruntime"))
