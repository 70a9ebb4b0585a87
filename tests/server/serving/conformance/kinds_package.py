"""A package with a field of every kind in, and an output of every kind out."""

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from gnomon.core.fields import Field, Kind
from gnomon.core.profiling import build_reference
from gnomon.runtime.packages.golden import Golden, encode_golden
from gnomon.runtime.packages.manifest import Reproducibility, Signature, TensorSpec
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.profile import Profile, encode_profile
from gnomon.runtime.packages.writing import write_package

INPUTS = (
    Field(name="number", kind=Kind.FLOAT64, minimum=-1e6, maximum=1e6),
    Field(name="count", kind=Kind.INT64, minimum=-1000, maximum=1000),
    Field(name="flag", kind=Kind.BOOL),
    Field(name="place", kind=Kind.VECTOR, shape=(3,)),
)
OUTPUTS = (
    ("same", "FP32", Kind.FLOAT32, ()),
    ("precise", "FP64", Kind.FLOAT64, ()),
    ("whole", "INT64", Kind.INT64, ()),
    ("short", "INT32", Kind.INT32, ()),
    ("positive", "BOOL", Kind.BOOL, ()),
    ("name", "BYTES", Kind.CATEGORY, ()),
    ("moved", "FP32", Kind.VECTOR, (3,)),
)
NAMES = ("nüll", "eins", "zwei")


def model() -> bytes:
    """Outputs by name: casts of the number and the count, its sign, a name, the place moved."""
    nodes = [
        helper.make_node("Slice", ["features", "zero", "one", "axis"], ["same"]),
        helper.make_node("Slice", ["features", "one", "two", "axis"], ["counted"]),
        helper.make_node("Cast", ["same"], ["precise"], to=TensorProto.DOUBLE),
        helper.make_node("Cast", ["counted"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Cast", ["counted"], ["short"], to=TensorProto.INT32),
        helper.make_node("Greater", ["same", "nought"], ["positive"]),
        helper.make_node("Mod", ["whole", "three"], ["name"]),
        helper.make_node("Add", ["place", "nought"], ["moved"]),
    ]
    kinds = {"FP32": TensorProto.FLOAT, "FP64": TensorProto.DOUBLE, "INT64": TensorProto.INT64}
    kinds |= {"INT32": TensorProto.INT32, "BOOL": TensorProto.BOOL, "BYTES": TensorProto.INT64}
    graph = helper.make_graph(
        nodes,
        "kinds",
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 3]),
            helper.make_tensor_value_info("place", TensorProto.FLOAT, ["N", 3]),
        ],
        [
            helper.make_tensor_value_info(name, kinds[datatype], ["N", *(shape or (1,))])
            for name, datatype, _, shape in OUTPUTS
        ],
        [
            numpy_helper.from_array(np.array(value), name)
            for name, value in (("zero", [0]), ("one", [1]), ("two", [2]), ("axis", [1]))
        ]
        + [
            numpy_helper.from_array(np.array([0], np.float32), "nought"),
            numpy_helper.from_array(np.array([3], np.int64), "three"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    data: bytes = made.SerializeToString()
    return data


def make_kinds_package(folder: Path) -> Package:
    outputs = tuple(
        Field(name=name, kind=kind, shape=shape, allowed=NAMES if kind is Kind.CATEGORY else None)
        for name, _, kind, shape in OUTPUTS
    )
    rng = np.random.default_rng(3)
    inputs = {
        "number": rng.normal(size=500),
        "count": rng.integers(-5, 5, 500),
        "flag": rng.random(500) < 0.5,
        "place": rng.normal(size=(500, 3)).astype(np.float32),
    }
    answers = {
        "same": inputs["number"].astype(np.float32),
        "precise": inputs["number"],
        "whole": inputs["count"],
        "short": inputs["count"].astype(np.int32),
        "positive": inputs["flag"],
        "name": np.array(NAMES, object)[inputs["count"] % 3],
        "moved": inputs["place"],
    }
    profile = Profile(
        inputs=INPUTS,
        rules=(),
        outputs=outputs,
        input_reference=build_reference(INPUTS, inputs),
        output_reference=build_reference(outputs, answers),
    )
    row = {"number": 1.5, "count": 4, "flag": True, "place": [1.0, 2.0, 3.0]}
    given = (("number", "FP64"), ("count", "INT64"), ("flag", "BOOL"))
    fields: dict[str, Any] = {
        "name": "kinds",
        "version": "1",
        "format": "onnx",
        "model_file": "model.onnx",
        "signature": Signature(
            inputs=(
                *(TensorSpec(name=name, datatype=kind, shape=(-1, 1)) for name, kind in given),
                TensorSpec(name="place", datatype="FP32", shape=(-1, 3)),
            ),
            outputs=tuple(
                TensorSpec(name=name, datatype=datatype, shape=(-1, *(shape or (1,))))
                for name, datatype, _, shape in OUTPUTS
            ),
        ),
        "packing": {
            "tensors": [
                {
                    "name": "features",
                    "dtype": "FP32",
                    "features": [{"field": name} for name, _ in given],
                },
                {"name": "place", "dtype": "FP32", "features": [{"field": "place"}]},
            ]
        },
        "output_tensors": tuple(name for name, *_ in OUTPUTS),
        "reproducibility": Reproducibility(
            code_version="", code_clean=False, dataset_uri="", dataset_fingerprint="", split={}
        ),
    }
    files: dict[str, bytes | Path] = {
        "model.onnx": model(),
        "profile.json": encode_profile(profile),
        "golden.json": encode_golden(Golden(rows=(row,), outputs=({},))),
    }
    return write_package(folder, fields, files, None)
