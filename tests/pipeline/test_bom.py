"""The ML-BOM of a package: valid by its schema, the same for the same package."""

import json

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from gnomon.command.root import run
from gnomon.pipeline.bom import export_bom
from gnomon.pipeline.recipes.build import build_recipe
from gnomon.pipeline.recipes.file import read_recipe
from tests.support.recipes import write_project


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bom")
    return build_recipe(read_recipe(write_project(folder)), folder / "package", None)


def test_a_bom_is_valid_and_tells_what_the_package_is(package):
    data = export_bom(package)
    assert export_bom(package) == data
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None
    document = json.loads(data)
    model = document["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == (
        "machine-learning-model",
        "duration",
        "1",
    )
    assert model["hashes"] == [{"alg": "SHA-256", "content": package.digest}]
    metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    by_name = {(one["type"], one.get("slice", "")): one for one in metrics}
    error = by_name["mae", ""]
    bounds = error["confidenceInterval"]
    assert float(bounds["lowerBound"]) < float(error["value"]) < float(bounds["upperBound"])
    assert ("mae", "vehicle=truck") in by_name
    considered = model["modelCard"]["considerations"]
    assert considered["technicalLimitations"] == [package.manifest.card_sections.limits]
    libraries = {one["name"] for one in document["components"]}
    assert {"numpy", "onnxruntime"} < libraries
    (data_component,) = [one for one in document["components"] if one["type"] == "data"]
    assert data_component["properties"][0]["value"].startswith("rows-1:")


def test_the_command_writes_it_and_inspect_shows_the_card(package, tmp_path, capsys):
    out = tmp_path / "bom.json"
    assert run(["package", "bom", str(package.path), "--out", str(out)]) == 0
    assert out.read_bytes() == export_bom(package)
    assert run(["package", "bom", str(package.path)]) == 0
    assert json.loads(capsys.readouterr().out)["bomFormat"] == "CycloneDX"
    assert run(["package", "inspect", str(package.path)]) == 0
    shown = capsys.readouterr().out
    assert "vehicle=truck" in shown
    assert "Limits" in shown
    assert "Not for deliveries by bicycle." in shown
