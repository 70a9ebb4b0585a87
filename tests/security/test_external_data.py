"""A model file cannot read the files of the process that loads it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from onnx import TensorProto, helper

from gnomon.pipeline.formats.importing import Source, import_model
from gnomon.runtime.errors import EngineError, PackageError
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer, TrustStore
from gnomon.runtime.packages.writing import write_package
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.runtime import Runtime

SECRET = b"-----BEGIN PRIVATE KEY-----"
WIDTH = 16


def evil_onnx(location: str, *, is_attribute: bool) -> bytes:
    """Return a model that adds the bytes of a file, as numbers, to its input."""
    stolen = TensorProto(name="stolen", data_type=TensorProto.UINT8, dims=[WIDTH])
    stolen.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(WIDTH))):
        stolen.external_data.add(key=key, value=value)
    nodes = [
        helper.make_node("Cast", ["stolen"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "numbers"], ["y"]),
    ]
    if is_attribute:
        nodes.insert(0, helper.make_node("Constant", [], ["stolen"], value=stolen))
    graph = helper.make_graph(
        nodes,
        "evil",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", WIDTH])],
        [] if is_attribute else [stolen],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory of a node, with its key in it."""
    (tmp_path / "key.pem").write_bytes(SECRET)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=["key.pem", "./key.pem", "absolute", "above"])
def location(request: pytest.FixtureRequest, folder: Path) -> str:
    named = {"absolute": str(folder / "key.pem"), "above": f"../{folder.name}/key.pem"}
    return named.get(request.param, request.param)


def run(*command: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "gnomon", *command],
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def assert_refused(done: "subprocess.CompletedProcess[bytes]") -> None:
    said = done.stdout + done.stderr
    assert done.returncode not in (0, 1), said
    assert b"'stolen' keeps its data in another file" in b" ".join(said.split())
    assert b"Traceback" not in said
    assert SECRET not in said


@pytest.mark.parametrize("is_attribute", [False, True])
def test_serve_refuses_a_file_that_reads_the_key(folder: Path, is_attribute: bool) -> None:
    (folder / "evil.onnx").write_bytes(evil_onnx("key.pem", is_attribute=is_attribute))
    assert_refused(run("serve", "evil.onnx", "--port", "0"))


@pytest.mark.slow
def test_import_refuses_a_file_that_reads_the_key(folder: Path) -> None:
    (folder / "evil.onnx").write_bytes(evil_onnx("key.pem", is_attribute=False))
    assert_refused(run("package", "import", "evil.onnx", "made", "--name", "m", "--version", "1"))
    assert not (folder / "made").exists()


@pytest.mark.parametrize("is_attribute", [False, True])
def test_a_signed_package_that_reads_the_key_is_not_loaded(
    folder: Path, location: str, is_attribute: bool
) -> None:
    signer = Signer.generate()
    package = write_evil(folder / "package", evil_onnx(location, is_attribute=is_attribute), signer)
    runtime = Runtime(MemorySink(), checkpoint_seconds=60)
    try:
        with pytest.raises((EngineError, PackageError), match="m@1: the tensor 'stolen' keeps"):
            runtime.load(package)
    finally:
        runtime.close()


def write_evil(folder: Path, model: bytes, signer: Signer) -> Package:
    """Write the package that an import makes of a harmless model, with the evil one in it."""
    good = helper.make_model(
        helper.make_graph(
            [helper.make_node("Identity", ["x"], ["y"])],
            "good",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", WIDTH])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", WIDTH])],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    ).SerializeToString()
    harmless = import_model(
        Source("good.onnx", "onnx", good), folder / "good", "m", "1", signer=signer
    )
    fields: dict[str, Any] = msgspec.to_builtins(harmless.manifest)
    del fields["files"]
    files: dict[str, bytes | Path] = {
        entry.path: harmless.path / entry.path for entry in harmless.manifest.files
    }
    files[harmless.manifest.model_file] = model
    write_package(folder / "evil", fields, files, signer)
    return Package.open(folder / "evil", TrustStore([signer.public_key]))
