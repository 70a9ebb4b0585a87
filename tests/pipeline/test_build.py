"""Packages from end to end: real engines record the golden samples, real files are verified."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from gnomon.core.contract import Contract
from gnomon.core.fields import Field, Kind
from gnomon.core.packing import Feature, Packing, Tensor
from gnomon.pipeline.build import ModelFile, PackageMetadata, build_package, signature
from gnomon.pipeline.datasets.dataset import Dataset
from gnomon.pipeline.formats import litert, onnx_export
from gnomon.pipeline.profiles.profile import build_profile, derive_fields
from gnomon.runtime.errors import InvalidInput, InvalidOutput, PackageError, UntrustedPackage
from gnomon.runtime.models.model import Model
from gnomon.runtime.packages.manifest import Reproducibility
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.profile import Profile
from gnomon.runtime.packages.signing import Signer, TrustStore

ROWS = [
    {"city": "Oslo", "degrees": 3.5},
    {"city": "Bergen", "degrees": None},
    {"city": "Bergen", "degrees": -1.0},
]
RECORD = Reproducibility(
    code_version="git:0", code_clean=True, dataset_uri="memory:", dataset_fingerprint="", split={}
)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    degrees = np.where(rng.random(500) < 0.2, np.nan, rng.normal(size=500) * 5)
    return Dataset(
        pa.table({"city": rng.choice(["Oslo", "Bergen"], 500), "degrees": degrees}), "memory:"
    )


@pytest.fixture(scope="module")
def contract(data):
    return Contract(derive_fields(data, ["city", "degrees"]))


@pytest.fixture(scope="module")
def profile(data, contract):
    outputs = (Field(name="cost", kind=Kind.FLOAT32, minimum=-1000, maximum=1000),)
    return build_profile(data, contract.fields, outputs, {"cost": np.zeros(500)})


@pytest.fixture(scope="module")
def models(data, contract):
    features = (Feature("city", "code"), Feature("degrees"))
    packing = Packing(contract, [Tensor(onnx_export.INPUT, "FP32", features)])
    columns, _ = contract.check_columns(data.columns(contract.names))
    rows = packing.pack_columns(columns)[onnx_export.INPUT]
    labels = 10 * rows[:, 0] + np.nan_to_num(rows[:, 1])
    trees = HistGradientBoostingRegressor(max_iter=20, random_state=0).fit(rows, labels)
    hot = (Feature("city", "onehot"), Feature("degrees", "value", 0.0))
    line = litert.Dense(np.array([[0.0], [10.0], [1.0]]), np.zeros(1), relu=False)
    return {
        "onnx": ModelFile(
            format="onnx",
            content=onnx_export.export_onnx(trees, 2),
            packing=packing,
            output_tensors=(onnx_export.OUTPUT,),
        ),
        "tflite": ModelFile(
            format="tflite",
            content=litert.write_network([line]),
            packing=Packing(contract, [Tensor(litert.INPUT, "FP32", hot)]),
            output_tensors=(litert.OUTPUT,),
        ),
    }


@pytest.fixture(scope="module")
def signer():
    return Signer.generate()


def build(folder, model, profile, signer, rows=ROWS):
    return build_package(
        folder,
        "cost",
        "1",
        model=model,
        profile=profile,
        golden_rows=rows,
        reproducibility=RECORD,
        signer=signer,
        about=PackageMetadata(owner="me", licence="CC0-1.0"),
    )


@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_a_package_is_verified_and_reproduces_its_golden_samples(
    tmp_path, models, profile, signer, format
):
    build(tmp_path / "cost", models[format], profile, signer)
    package = Package.open(tmp_path / "cost", TrustStore([signer.public_key]))
    assert package.reference == "cost@1"
    assert package.manifest.format == format
    assert package.manifest.owner == "me"
    assert "numpy" in [one.name for one in package.manifest.dependencies]
    model = Model(package)
    package.golden.check(model)
    assert package.golden.outputs[0]["cost"] == pytest.approx(13.5, abs=1.5)
    model.close()
    with pytest.raises(UntrustedPackage):
        Package.open(tmp_path / "cost", TrustStore([Signer.generate().public_key]))


def test_formats_agree_on_what_they_learned(tmp_path, models, profile, signer):
    exact = build(tmp_path / "a", models["tflite"], profile, signer).golden.outputs
    learned = build(tmp_path / "b", models["onnx"], profile, signer).golden.outputs
    for one, other in zip(exact, learned, strict=True):
        assert one["cost"] == pytest.approx(other["cost"], abs=1.5)


@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_the_same_inputs_give_the_same_digest(tmp_path, models, profile, signer, format):
    one = build(tmp_path / "one", models[format], profile, signer)
    two = build(tmp_path / "two", models[format], profile, Signer.generate())
    assert one.digest == two.digest
    assert build(tmp_path / "one", models[format], profile, signer).digest == one.digest


def test_signature_has_a_tensor_a_field(profile):
    inputs = [(one.name, one.datatype, one.shape) for one in signature(profile).inputs]
    assert inputs == [("city", "BYTES", (-1, 1)), ("degrees", "FP64", (-1, 1))]
    fields = (Field(name="n", kind=Kind.INT16), Field(name="b", kind=Kind.BOOL))
    one_row = Dataset(pa.table({"n": [1], "b": [True]}), "memory:")
    other = build_profile(one_row, fields, fields[:1], {"n": [1]})
    assert [one.datatype for one in signature(other).inputs] == ["INT16", "BOOL"]


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([], PackageError),
        ([{"city": "Paris", "degrees": 1.0}], InvalidInput),
        ([{"city": "Oslo"}], InvalidInput),
    ],
)
def test_bad_golden_rows_are_refused_and_leave_nothing(
    tmp_path, models, profile, signer, rows, error
):
    with pytest.raises(error):
        build(tmp_path / "cost", models["onnx"], profile, signer, rows)
    assert list(tmp_path.iterdir()) == []


def test_a_golden_answer_that_breaks_its_contract_is_refused(
    tmp_path, models, profile, contract, signer
):
    outputs = (Field(name="cost", kind=Kind.FLOAT32, maximum=5),)
    strict = Profile(profile.inputs, (), outputs, profile.input_reference, profile.output_reference)
    with pytest.raises(InvalidOutput):
        build(tmp_path / "cost", models["tflite"], strict, signer)


def test_unknown_formats_are_refused(tmp_path, models, profile, signer):
    other = ModelFile(
        format="exe", content=b"", packing=models["onnx"].packing, output_tensors=("x",)
    )
    with pytest.raises(PackageError, match="exe"):
        build(tmp_path / "cost", other, profile, signer)
