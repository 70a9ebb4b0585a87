"""A small real package: two numbers and a category in, one number out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from gnomon.core.fields import Field, Kind, Policy, Rule
from gnomon.core.reference import FieldReference, Reference
from gnomon.runtime.packages.golden import Golden, encode_golden
from gnomon.runtime.packages.layout import ATTESTATIONS
from gnomon.runtime.packages.manifest import Deployment, Reproducibility, Signature, TensorSpec
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.profile import Profile, encode_profile
from gnomon.runtime.packages.risk_tiers import is_strict
from gnomon.runtime.packages.signing import (
    RUN_PREDICATE_TYPE,
    TEST_PREDICATE_TYPE,
    Signer,
    TrustStore,
)
from gnomon.runtime.packages.writing import write_package


def linear_onnx(weights: list[float], bias: float) -> bytes:
    """An ONNX model y = x·w + b over a float32 matrix `features`."""
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["features", "weights"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["air_time"]),
        ],
        "linear",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", len(weights)])],
        [helper.make_tensor_value_info("air_time", TensorProto.FLOAT, ["N", 1])],
        [
            numpy_helper.from_array(np.array(weights, np.float32).reshape(-1, 1), "weights"),
            numpy_helper.from_array(np.array([bias], np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def make_profile() -> Profile:
    return Profile(
        inputs=(
            Field(name="distance", kind=Kind.FLOAT64, minimum=0, maximum=10_000, unit="miles"),
            Field(
                name="wind",
                kind=Kind.FLOAT64,
                nullable=True,
                minimum=0,
                maximum=200,
                policy=Policy.CLIP,
            ),
            Field(name="carrier", kind=Kind.CATEGORY, allowed=("AA", "UA", "WN")),
        ),
        rules=(Rule(name="calm", expression="distance > wind / 100"),),
        outputs=(Field(name="air_time", kind=Kind.FLOAT32, minimum=0, maximum=1_000),),
        input_reference=Reference(
            (
                FieldReference("distance", "numeric", edges=(0.0, 500.0, 1000.0, 5000.0)),
                FieldReference("wind", "numeric", edges=(0.0, 10.0, 50.0)),
                FieldReference("carrier", "category", categories=("AA", "UA", "WN")),
            )
        ),
        output_reference=Reference(
            (FieldReference("air_time", "numeric", edges=(0.0, 60.0, 120.0, 600.0)),)
        ),
    )


PACKING: dict[str, Any] = {
    "tensors": [
        {
            "name": "features",
            "dtype": "FP32",
            "features": [
                {"field": "distance"},
                {"field": "wind", "missing": 0.0},
                {"field": "carrier", "encode": "onehot"},
            ],
        }
    ]
}


def manifest_fields(version: str = "1", **changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": "eta",
        "version": version,
        "format": "onnx",
        "model_file": "model.onnx",
        "signature": Signature(
            inputs=(
                TensorSpec(name="distance", datatype="FP64", shape=(-1, 1)),
                TensorSpec(name="wind", datatype="FP64", shape=(-1, 1)),
                TensorSpec(name="carrier", datatype="BYTES", shape=(-1, 1)),
            ),
            outputs=(TensorSpec(name="air_time", datatype="FP32", shape=(-1, 1)),),
        ),
        "packing": PACKING,
        "output_tensors": ("air_time",),
        "reproducibility": Reproducibility(
            code_version="0" * 40,
            code_clean=True,
            dataset_uri="memory:flights",
            dataset_fingerprint="f" * 64,
            split={"by": "time"},
        ),
        "deployment": Deployment(window_seconds=3600),
    }
    return fields | changes


def package_files(model: bytes) -> dict[str, bytes | Path]:
    golden = Golden(
        rows=({"distance": 800.0, "wind": 10.0, "carrier": "UA"},), outputs=({"air_time": 111.0},)
    )
    return {
        "model.onnx": model,
        "profile.json": encode_profile(make_profile()),
        "golden.json": encode_golden(golden),
    }


def run_of(package: Package) -> str:
    """Return the id of the run that is stated to have made a package."""
    return "0" + package.digest[:25].upper()


def record_run(caller: Any, package: Package, **changes: Any) -> None:
    """Have a hub record the run that `attest_run` states."""
    manifest = package.manifest
    made = {
        "name": manifest.name,
        "version": manifest.version,
        "format": manifest.format,
        "digest": package.digest,
    }
    known: dict[str, Any] = {
        "id": run_of(package),
        "pipeline": "p",
        "trigger": "hand",
        "state": "succeeded",
        "started_at": 1,
        "ended_at": 2,
        "code_version": "git:0",
        "code_clean": True,
        "datasets": [{"fingerprint": "f" * 64}],
        "packages": [made],
    }
    caller.post("runs", **(known | changes))


def attest_run(package: Package, signer: Signer, *, code_clean: bool = True) -> None:
    """State that a run made the package, of committed code or not."""
    about = {
        "run": run_of(package),
        "pipeline": "p",
        "code_version": "git:0",
        "code_clean": code_clean,
        "datasets": ["f" * 64],
    }
    envelope = signer.sign_package(
        package.digest, package.manifest.name, package.manifest.version, about, RUN_PREDICATE_TYPE
    )
    (package.path / ATTESTATIONS / "run.json").write_bytes(envelope)


def make_package(
    folder: Path,
    signer: Signer | None,
    *,
    version: str = "1",
    model: bytes | None = None,
    files: Mapping[str, bytes | Path] | None = None,
    test_passed: bool | None = None,
    tester: Signer | None = None,
    with_run: bool = True,
    **changes: Any,
) -> Package:
    """Write the small package; its model says 0.125·distance + 0.1·wind + 10·(carrier is UA).

    `test_passed` says how its test went, by the word of `tester` or else of the builder; with
    None, there was none. `with_run` states which run made it, if its risk tier requires one.
    """
    content = files or package_files(model or linear_onnx([0.125, 0.1, 0.0, 10.0, 0.0], 0.0))
    package = write_package(folder, manifest_fields(version, **changes), content, signer)
    if signer is not None and is_strict(package.manifest.risk_tier) and with_run:
        attest_run(package, signer)
        package = Package.open(folder, TrustStore([signer.public_key]))
    if test_passed is None or signer is None:
        return package
    outcome = {"passed": test_passed, "tested_at": "2026-03-01T00:00:00+00:00"}
    envelope = (tester or signer).sign_package(
        package.digest, package.manifest.name, version, outcome, TEST_PREDICATE_TYPE
    )
    (folder / ATTESTATIONS / "test.json").write_bytes(envelope)
    return Package.open(folder, TrustStore([signer.public_key]))
