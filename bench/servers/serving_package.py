"""The package that servers are measured with: ten numbers through a network of 10-32-16-1."""

from pathlib import Path

import numpy as np

from gnomon.bench.core.dense_network import dense_network
from gnomon.core.fields import Field, Kind
from gnomon.core.profiling import build_reference
from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.packages.golden import Golden, encode_golden
from gnomon.runtime.packages.manifest import Reproducibility, Signature, TensorSpec
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.profile import Profile, encode_profile
from gnomon.runtime.packages.writing import write_package

__all__ = ["make_package", "make_request"]

LAYERS = (10, 32, 16, 1)


def make_package(folder: Path, version: str = "1") -> Package:
    """Write the package `bench`, with a contract and references of ten inputs and one output."""
    profile = _profile()
    fields = {
        "name": "bench",
        "version": version,
        "format": "onnx",
        "model_file": "model.onnx",
        "signature": Signature(
            inputs=tuple(
                TensorSpec(name=one.name, datatype="FP64", shape=(-1, 1)) for one in profile.inputs
            ),
            outputs=(TensorSpec(name="score", datatype="FP32", shape=(-1, 1)),),
        ),
        "packing": {
            "tensors": [
                {
                    "name": "features",
                    "dtype": "FP32",
                    "features": [{"field": one.name} for one in profile.inputs],
                }
            ]
        },
        "output_tensors": ("score",),
        "reproducibility": Reproducibility(
            code_version="", code_clean=False, dataset_uri="", dataset_fingerprint="", split={}
        ),
    }
    row = {one.name: 0.5 for one in profile.inputs}
    files: dict[str, bytes | Path] = {
        "model.onnx": dense_network(LAYERS, "score"),
        "profile.json": encode_profile(profile),
        "golden.json": encode_golden(Golden(rows=(row,), outputs=({},))),
    }
    return write_package(folder, fields, files, None)


def make_request() -> bytes:
    """Return the bytes of a request for one row, each field a tensor with typed contents."""
    message = oip.ModelInferRequest(model_name="bench", id="request-1")
    for number, value in enumerate(np.random.default_rng(7).normal(size=LAYERS[0])):
        tensor = message.inputs.add(name=f"x{number}", datatype="FP64", shape=[1, 1])
        tensor.contents.fp64_contents.append(float(value))
    encoded: bytes = message.SerializeToString()
    return encoded


def _profile() -> Profile:
    rng = np.random.default_rng(3)
    inputs = [
        Field(name=f"x{number}", kind=Kind.FLOAT64, minimum=-100, maximum=100)
        for number in range(LAYERS[0])
    ]
    outputs = [Field(name="score", kind=Kind.FLOAT32, minimum=-1e6, maximum=1e6)]
    columns = {field.name: rng.normal(size=5_000) for field in inputs}
    scores = {"score": rng.normal(size=5_000).astype(np.float32)}
    return Profile(
        inputs=tuple(inputs),
        rules=(),
        outputs=tuple(outputs),
        input_reference=build_reference(inputs, columns),
        output_reference=build_reference(outputs, scores),
    )
