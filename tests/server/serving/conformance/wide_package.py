"""A package of whole numbers: the model gives its INT64 input back, and multiplied by another."""

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from gnomon.core.fields import Field, Kind
from gnomon.core.profiling import build_reference
from gnomon.runtime.packages.golden import Golden, encode_golden
from gnomon.runtime.packages.manifest import Reproducibility, Signature, TensorSpec
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.profile import Profile, encode_profile
from gnomon.runtime.packages.writing import write_package

INPUTS = (
    Field(name="id", kind=Kind.INT64),
    Field(name="count", kind=Kind.UINT64),
    Field(name="factor", kind=Kind.INT32),
)
OUTPUTS = (
    Field(name="same_id", kind=Kind.INT64),
    Field(name="same_count", kind=Kind.INT64),
    Field(name="product", kind=Kind.INT64),
)


def model() -> bytes:
    """Return a model of INT64 tensors: the inputs, and the product of the id and the factor."""
    integers = TensorProto.INT64
    graph = helper.make_graph(
        [
            helper.make_node("Identity", ["id"], ["same_id"]),
            helper.make_node("Identity", ["count"], ["same_count"]),
            helper.make_node("Mul", ["id", "factor"], ["product"]),
        ],
        "wide",
        [helper.make_tensor_value_info(one.name, integers, ["N", 1]) for one in INPUTS],
        [helper.make_tensor_value_info(one.name, integers, ["N", 1]) for one in OUTPUTS],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    data: bytes = made.SerializeToString()
    return data


def make_wide_package(folder: Path) -> Package:
    """Write the package, unsigned."""
    numbers = {one.name: np.arange(100) for one in (*INPUTS, *OUTPUTS)}
    profile = Profile(
        inputs=INPUTS,
        rules=(),
        outputs=OUTPUTS,
        input_reference=build_reference(INPUTS, numbers),
        output_reference=build_reference(OUTPUTS, numbers),
    )
    fields: dict[str, Any] = {
        "name": "wide",
        "version": "1",
        "format": "onnx",
        "model_file": "model.onnx",
        "signature": Signature(
            inputs=tuple(_spec(one) for one in INPUTS), outputs=tuple(_spec(one) for one in OUTPUTS)
        ),
        "packing": {
            "tensors": [
                {
                    "name": one.name,
                    "dtype": "INT64",
                    "features": [{"field": one.name, "missing": 0}],
                }
                for one in INPUTS
            ]
        },
        "output_tensors": tuple(one.name for one in OUTPUTS),
        "reproducibility": Reproducibility(
            code_version="", code_clean=False, dataset_uri="", dataset_fingerprint="", split={}
        ),
    }
    row = {"id": 2**53 - 1, "count": 2**53 - 1, "factor": 1}
    answer = {"same_id": 2**53 - 1, "same_count": 2**53 - 1, "product": 2**53 - 1}
    files: dict[str, bytes | Path] = {
        "model.onnx": model(),
        "profile.json": encode_profile(profile),
        "golden.json": encode_golden(Golden(rows=(row,), outputs=(answer,))),
    }
    return write_package(folder, fields, files, None)


def _spec(one: Field) -> TensorSpec:
    return TensorSpec(name=one.name, datatype=one.kind.value.upper(), shape=(-1, 1))
