"""A PMML file becomes a package: compared on recorded rows, profiled on data."""

import json
from itertools import permutations

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from gnomon.command.root import run
from gnomon.pipeline.datasets.dataset import Dataset, DatasetError
from gnomon.pipeline.formats.pmml_source import import_pmml
from gnomon.pipeline.rebuild import rebuild
from gnomon.pipeline.recipes.build import build_recipe
from gnomon.pipeline.recipes.file import read_recipe
from gnomon.runtime.errors import ConfigurationError, InvalidInput, PackageError
from gnomon.runtime.models.model import Model
from gnomon.runtime.packages.package import Package
from tests.pipeline.pmml.documents import document

COLOURS = ("red", "green", "dark blue")
TARGET = '<DataField name="price" optype="continuous" dataType="double"/>'
SCHEMA = """<MiningField name="price" usageType="target"/><MiningField name="x"/>
<MiningField name="y" missingValueReplacement="1"/><MiningField name="c"/>"""


def priced(verification=""):
    return document(
        '<RegressionModel functionName="regression"><MiningSchema>'
        f"{SCHEMA}</MiningSchema>{verification}"
        '<RegressionTable intercept="3"><NumericPredictor name="x" coefficient="2"/>'
        '<NumericPredictor name="y" coefficient="10"/>'
        '<CategoricalPredictor name="c" value="dark blue" coefficient="100"/>'
        "</RegressionTable></RegressionModel>",
        target=TARGET,
    )


def rows(count=300):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=count), rng.normal(size=count)
    missing, colour = rng.random(count) < 0.1, rng.integers(0, 3, count)
    price = 3 + 2 * x + 10 * np.where(missing, 1, y) + 100 * (colour == 2)
    return pa.table(
        {
            "x": x,
            "y": pa.array(y, mask=missing),
            "c": [COLOURS[one] for one in colour],
            "price": price,
        }
    )


def bring(folder, content, table, name="package"):
    data = None if table is None else Dataset(table, "memory:")
    return import_pmml(content, folder / name, "priced", "1", data=data, signer=None)


def test_recorded_rows_come_out_again(tmp_path):
    package = bring(tmp_path, priced(), rows())
    assert "300 recorded answers came out again" in package.manifest.card
    assert package.profile.input_reference.rows == 300
    assert package.digest == bring(tmp_path, priced(), rows(), "other").digest
    model = Model(package)
    try:
        package.golden.check(model)
        answer = model.predict_row({"x": 1.0, "y": None, "c": "dark blue"})
        assert answer == {"price": pytest.approx(115)}
        with pytest.raises(InvalidInput, match="'c'"):
            model.predict_row({"x": 1.0, "y": 1.0, "c": "violet"})
    finally:
        model.close()


def test_an_answer_that_differs_is_refused(tmp_path):
    table = rows()
    wrong = table.column("price").to_pylist()
    wrong[7] += 0.01
    table = table.set_column(3, "price", pa.array(wrong))
    with pytest.raises(PackageError, match="differs from what is recorded of 'price' in row 7"):
        bring(tmp_path, priced(), table)
    assert list(tmp_path.iterdir()) == []


def verified(expected):
    return f"""<ModelVerification recordCount="2"><VerificationFields>
<VerificationField field="x"/><VerificationField field="y"/><VerificationField field="c"/>
<VerificationField field="price" precision="1E-6"/></VerificationFields>
<InlineTable><row><x>1</x><y>2</y><c>red</c><price>{expected}</price></row>
<row><x>2</x><c>dark blue</c><price>117</price></row></InlineTable></ModelVerification>"""


def test_the_documents_own_rows_are_enough(tmp_path):
    package = bring(tmp_path, priced(verified(25)), None)
    assert len(package.golden.rows) == 2
    assert package.manifest.reproducibility.parameters["compared_answers"] == 2
    with pytest.raises(PackageError, match="expected '26', got 25"):
        bring(tmp_path, priced(verified(26)), rows(), "other")
    with pytest.raises(DatasetError, match="needs data"):
        bring(tmp_path, priced(), None, "third")
    with pytest.raises(DatasetError, match="no column 'y'"):
        bring(tmp_path, priced(), rows().drop_columns(["y"]), "fourth")


def test_a_classifier_gives_its_label_and_probabilities(tmp_path):
    values = "".join(f'<Value value="{name}"/>' for name in ("no", "yes"))
    target = f'<DataField name="late" optype="categorical" dataType="string">{values}</DataField>'
    content = document(
        '<RegressionModel functionName="classification" normalizationMethod="logit"><MiningSchema>'
        '<MiningField name="late" usageType="target"/><MiningField name="x"/></MiningSchema>'
        '<RegressionTable targetCategory="yes" intercept="0">'
        '<NumericPredictor name="x" coefficient="1"/></RegressionTable>'
        '<RegressionTable targetCategory="no" intercept="0"/></RegressionModel>',
        target=target,
    )
    x = np.linspace(-2, 2, 40)
    table = pa.table(
        {
            "x": x,
            "late": ["yes" if value > 0 else "no" for value in x],
            "probability(yes)": 1 / (1 + np.exp(-x)),
        }
    )
    package = bring(tmp_path, content, table)
    assert package.manifest.reproducibility.parameters["compared_answers"] == 80
    model = Model(package)
    try:
        answer = model.predict_row({"x": 1.0})
        assert answer["late"] == "yes"
        assert answer["probabilities"] == pytest.approx([0.26894, 0.73106], abs=1e-4)
    finally:
        model.close()


@pytest.mark.slow
def test_the_command_imports_a_file_with_its_rows(tmp_path, capsys):
    (tmp_path / "m.pmml").write_bytes(priced())
    pyarrow.csv.write_csv(rows(), tmp_path / "rows.csv")
    arguments = ["package", "import", str(tmp_path / "m.pmml"), str(tmp_path / "out")]
    arguments += ["--name", "priced", "--version", "1"]
    assert run([*arguments, "--data", str(tmp_path / "rows.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reference_rows"] == 300
    assert Package.open(tmp_path / "out", None).manifest.format == "onnx"
    arguments[2] = str(tmp_path / "m.onnx")
    (tmp_path / "m.onnx").write_bytes(b"")
    assert run([*arguments, "--data", str(tmp_path / "rows.csv")]) == 2
    assert "--data goes with a .pmml file" in capsys.readouterr().err


@pytest.mark.parametrize("codes", [("0", "0.0", "00"), ("true", "2026-01-01", "x")])
def test_the_command_reads_categories_of_texts_as_texts(tmp_path, codes):
    values = "".join(f'<Value value="{code}"/>' for code in codes)
    (tmp_path / "m.pmml").write_bytes(
        document(
            '<RegressionModel functionName="regression"><MiningSchema><MiningField name="c"/>'
            '<MiningField name="price" usageType="target"/></MiningSchema>'
            '<RegressionTable intercept="3"><CategoricalPredictor name="c" coefficient="2" '
            f'value="{codes[1]}"/></RegressionTable></RegressionModel>',
            dictionary=f'<DataField name="c" optype="categorical" dataType="string">{values}'
            "</DataField>",
            target=TARGET,
        )
    )
    (tmp_path / "rows.csv").write_text("c\n" + "\n".join(codes[:2] * 9) + "\n")
    arguments = ["package", "import", str(tmp_path / "m.pmml"), str(tmp_path / "out")]
    arguments += ["--name", "priced", "--version", "1", "--data", str(tmp_path / "rows.csv")]
    assert run(arguments) == 0
    model = Model(Package.open(tmp_path / "out", None))
    try:
        assert [model.predict_row({"c": code})["price"] for code in codes] == [3, 5, 3]
    finally:
        model.close()


RECIPE = """
name = "priced"
version = "2"
[model]
file = "m.pmml"
[data]
files = ["rows.parquet"]
[inputs]
x = {minimum = -9, maximum = 9}
y = {}
c = {}
[outputs]
price = {tensor = "number"}
[test]
files = ["rows.parquet"]
label = "price"
segments = ["c"]
"""


def test_the_inputs_of_a_recipe_reach_the_pmmls_fields_by_name(tmp_path):
    (tmp_path / "m.pmml").write_bytes(priced())
    pyarrow.parquet.write_table(rows(), tmp_path / "rows.parquet")
    inputs = ["x = {minimum = -9, maximum = 9}", "y = {}", "c = {}"]
    for number, order in enumerate(permutations(inputs)):
        recipe = RECIPE.replace("\n".join(inputs), "\n".join(order))
        (tmp_path / "recipe.toml").write_text(recipe)
        package = build_recipe(read_recipe(tmp_path / "recipe.toml"), tmp_path / str(number), None)
        assert package.manifest.reproducibility.test_metrics["mae"] == pytest.approx(0, abs=1e-6)


def test_a_recipe_may_name_a_pmml_file(tmp_path):
    (tmp_path / "m.pmml").write_bytes(priced())
    pyarrow.parquet.write_table(rows(), tmp_path / "rows.parquet")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    package = build_recipe(read_recipe(tmp_path / "recipe.toml"), tmp_path / "package", None)
    assert package.manifest.format == "onnx"
    assert package.manifest.reproducibility.test_metrics["mae"] == pytest.approx(0, abs=1e-6)
    assert set(package.manifest.reproducibility.test_metrics_by_segment) == {
        f"c={one}" for one in COLOURS
    }
    assert package.profile.inputs[2].allowed == COLOURS
    assert rebuild(package, tmp_path, tmp_path / "again").is_same
    for old, new, message in (
        ("y = {}\n", "", "should name the fields of the PMML: x, y, c"),
        (
            "[test]",
            '[[tensors]]\nname = "input"\ndtype = "FP64"\nfields = ["y", "x", "c"]\n[test]',
            r"\[\[tensors\]\] has no place beside a PMML file",
        ),
        ("c = {}", 'c = {allowed = ["red"]}', "as in the PMML: red, green, dark blue"),
    ):
        (tmp_path / "recipe.toml").write_text(RECIPE.replace(old, new))
        with pytest.raises(ConfigurationError, match=message):
            build_recipe(read_recipe(tmp_path / "recipe.toml"), tmp_path / "other", None)


def test_fields_of_any_name_become_fields_of_similar_names(tmp_path):
    content = priced().replace(b'"x"', b'"mean radius"').replace(b'"price"', b'"list price (EUR)"')
    table = rows().rename_columns(["mean radius", "y", "c", "list price (EUR)"])
    package = bring(tmp_path, content, table)
    first = package.profile.inputs[0]
    assert (first.name, first.description) == ("mean_radius", "column 'mean radius'")
    assert [one.name for one in package.profile.outputs] == ["list_price_EUR_"]
    assert package.manifest.reproducibility.parameters["compared_answers"] == 300
    (tmp_path / "m.pmml").write_bytes(content)
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    recipe = RECIPE.replace("x = {", 'radius = {from = "mean radius", ')
    recipe = recipe.replace('label = "price"', 'label = "list price (EUR)"')
    (tmp_path / "recipe.toml").write_text(recipe)
    built = build_recipe(read_recipe(tmp_path / "recipe.toml"), tmp_path / "built", None)
    assert built.profile.inputs[0].name == "radius"
    assert built.manifest.reproducibility.test_metrics["mae"] == pytest.approx(0, abs=1e-6)


def test_classes_that_are_numbers_are_compared_as_numbers(tmp_path):
    content = document(
        '<TreeModel functionName="classification"><MiningSchema>'
        '<MiningField name="late" usageType="target"/><MiningField name="x"/></MiningSchema>'
        '<Node score="0.0"><True/><Node score="0.0"><SimplePredicate field="x" '
        'operator="lessThan" value="0"/><ScoreDistribution value="0.0" recordCount="3"/>'
        '<ScoreDistribution value="1.0" recordCount="1"/></Node>'
        '<Node score="1.0"><True/></Node></Node></TreeModel>',
        target='<DataField name="late" optype="categorical" dataType="integer">'
        '<Value value="0"/><Value value="1"/></DataField>',
    )
    x = np.random.default_rng(0).normal(size=50)
    table = pa.table({"x": x, "late": (x >= 0).astype(float)})
    package = bring(tmp_path, content, table)
    assert package.manifest.reproducibility.parameters["compared_answers"] == 50
    assert package.profile.outputs[0].allowed == ("0", "1")
