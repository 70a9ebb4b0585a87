"""A package built once more from its record: the same digest, or what differs and by how much."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from sklearn.linear_model import LinearRegression

from gnomon.command.root import run
from gnomon.demo.flights import load_flights
from gnomon.pipeline.formats.onnx_export import export_onnx
from gnomon.pipeline.rebuild import rebuild
from gnomon.pipeline.recipes.build import build_recipe
from gnomon.pipeline.recipes.file import read_recipe
from gnomon.runtime.errors import PackageError
from gnomon.runtime.packages.package import Package
from tests.support.recipes import write_project

NUMBERS = ("distance", "hour", "month")
RECIPE = """
name = "eta"
version = "1"
[model]
file = "model.onnx"
[data]
files = ["flights.parquet"]
block = "time_hour"
[inputs]
distance = {minimum = 0, unit = "mi"}
hour = {monitored = false}
month = {monitored = false, minimum = 1, maximum = 12}
[outputs]
minutes = {tensor = "variable", minimum = -500, maximum = 2000}
[test]
time = "time_hour"
start = 2013-03-01
label = "air_time"
segments = ["origin"]
"""


@pytest.fixture(scope="module")
def flights():
    table = load_flights().table
    time = next(one.name for one in table.schema if pa.types.is_timestamp(one.type))
    keep = ["distance", "hour", "month", "origin", "air_time"]
    chosen = table.select([*keep, time]).rename_columns([*keep, "time_hour"])
    first = np.asarray(chosen.column("month")) <= 3
    return chosen.filter(pa.array(first)).take(pa.array(np.arange(0, first.sum(), 7)))


def write(folder, table):
    folder.mkdir()
    pyarrow.parquet.write_table(table, folder / "flights.parquet")
    return folder


@pytest.fixture(scope="module")
def built(flights, tmp_path_factory):
    folder = write(tmp_path_factory.mktemp("first") / "project", flights)
    labelled = flights.drop_null()
    rows = np.stack([np.asarray(labelled.column(name)) for name in NUMBERS], axis=1)
    fitted = LinearRegression().fit(rows, np.asarray(labelled.column("air_time")))
    (folder / "model.onnx").write_bytes(export_onnx(fitted, 3))
    (folder / "recipe.toml").write_text(RECIPE)
    return build_recipe(read_recipe(folder / "recipe.toml"), folder / "package", None)


@pytest.mark.slow
def test_flights_rebuilt_in_another_folder_have_the_same_digest(built, flights, tmp_path):
    found = rebuild(built, write(tmp_path / "other", flights), tmp_path / "again")
    assert found.is_same
    assert found.differences == ()
    again, before = found.package.manifest.reproducibility, built.manifest.reproducibility
    assert again.dataset_fingerprint == before.dataset_fingerprint
    assert again.split == before.split


@pytest.mark.slow
def test_the_same_rows_in_another_order_are_within_the_tolerance(built, flights, tmp_path):
    order = np.random.default_rng(0).permutation(len(flights))
    folder = write(tmp_path / "other", flights.take(pa.array(order)))
    found = rebuild(built, folder, tmp_path / "again")
    assert not found.is_same
    assert found.is_within
    assert any(difference.startswith("golden.json") for difference in found.differences)
    again, before = found.package.manifest.reproducibility, built.manifest.reproducibility
    assert again.dataset_fingerprint == before.dataset_fingerprint


@pytest.mark.slow
def test_other_data_are_reported(built, flights, tmp_path, capsys):
    folder = write(tmp_path / "other", flights.slice(1))
    arguments = ["package", "rebuild", str(built.path), str(tmp_path / "again"), "--unsigned"]
    assert run([*arguments, "--data", str(folder), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert not told["within_tolerance"]
    assert told["differences"][0].startswith("data: rows-1:")
    arguments = [*arguments[:3], str(tmp_path / "third"), "--data", str(built.path.parent)]
    assert run([*arguments, "--unsigned"]) == 0
    shown = capsys.readouterr()
    assert "the same digest" in shown.out
    assert "eta@1 reads flights.parquet\neta@1 runs model.onnx\n" in shown.err
    assert run(arguments) == 2
    assert "name the key that signed the package" in capsys.readouterr().err


def test_metrics_by_segment_are_part_of_the_record(built):
    segments = built.manifest.reproducibility.test_metrics_by_segment
    assert set(segments) == {"origin=EWR", "origin=JFK", "origin=LGA"}
    whole = built.manifest.reproducibility.test_metrics
    assert sum(part["rows"] for part in segments.values()) == whole["rows"]
    for part in segments.values():
        assert part["mae_low"] < part["mae"] < part["mae_high"]
    mean = sum(part["mae"] * part["rows"] for part in segments.values()) / whole["rows"]
    assert mean == pytest.approx(whole["mae"])


def test_a_package_without_a_recipe_cannot_be_rebuilt(tmp_path, capsys):
    path = write_project(tmp_path)
    arguments = ["package", "import", str(path.with_name("model.onnx")), str(tmp_path / "found")]
    assert run([*arguments, "--name", "found", "--version", "1"]) == 0
    capsys.readouterr()
    with pytest.raises(PackageError, match="was not built from a recipe"):
        rebuild(Package.open(tmp_path / "found", None), tmp_path, tmp_path / "again")
