"""A query's rows are a dataset; the connection's secrets stay where they are."""

import sqlite3
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet
import pytest

from gnomon.core.fields import Kind
from gnomon.pipeline.datasets import sql_table
from gnomon.pipeline.datasets.dataset import Dataset
from gnomon.pipeline.datasets.fingerprint import DatasetError, row_hashes
from gnomon.pipeline.datasets.sql_table import query_uri
from gnomon.pipeline.recipes.build import build_recipe
from gnomon.pipeline.recipes.example import EXAMPLE
from gnomon.pipeline.recipes.file import read_recipe
from gnomon.runtime.errors import ConfigurationError
from tests.support.recipes import deliveries, write_project

VARIABLE = "GNOMON_TEST_WAREHOUSE"
QUERY = "SELECT * FROM delivery WHERE hour < 12"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    path = tmp_path_factory.mktemp("warehouse") / "w.sqlite"
    table = deliveries(2000, 0)
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE delivery (day, distance, weight, vehicle, hour, took)")
        database.executemany(
            "INSERT INTO delivery VALUES (?, ?, ?, ?, ?, ?)",
            [[str(row["day"])[:10], *list(row.values())[1:]] for row in table.to_pylist()],
        )
    return f"sqlite:///{path}"


def test_a_query_is_a_dataset(url):
    data = Dataset.from_sql(QUERY, url, VARIABLE)
    assert data.table.column_names == ["day", "distance", "weight", "vehicle", "hour", "took"]
    assert 0 < len(data) < 2000
    assert data.table.column("weight").null_count > 0
    assert data.fingerprint == Dataset.from_sql(f"{QUERY} ORDER BY took", url, VARIABLE).fingerprint
    assert (
        data.uri == f"sql:{VARIABLE}?query=SELECT%20%2A%20FROM%20delivery%20WHERE%20hour%20%3C%2012"
    )
    assert len(Dataset.from_sql("SELECT 1 AS a WHERE 0", url, VARIABLE)) == 0
    literal = Dataset.from_sql("SELECT ':a %s' AS a", url, VARIABLE)
    assert literal.table.column("a").to_pylist() == [":a %s"]


def test_a_recipe_may_name_a_query(url, tmp_path, monkeypatch):
    text = EXAMPLE.replace(
        'files = ["train.csv"]', f'sql = "{QUERY}"\nconnection = "{VARIABLE}"'
    ).replace('block = "day"', 'block = "hour"')
    text = text.replace('files = ["test.csv"]            #', 'time = "day"\nstart = 2026-01-10 #')
    text = text[: text.index("[test]")] + text[text.index("# [training]") :]
    recipe = read_recipe(write_project(tmp_path, text))
    with pytest.raises(ConfigurationError, match=f"'{VARIABLE}' is not set"):
        build_recipe(recipe, tmp_path / "package", None)
    monkeypatch.setenv(VARIABLE, url)
    package = build_recipe(recipe, tmp_path / "package", None)
    made_from = package.manifest.reproducibility
    assert made_from.dataset_uri == query_uri(QUERY, VARIABLE)
    assert url.encode() not in package.manifest_bytes


@pytest.mark.parametrize(
    ("query", "url", "message"),
    [
        ("SELECT", "sqlite://", "failed"),
        ("SELECT 1", "nonsense:secret", "should be a database's URL"),
        ("SELECT 1", "postgresql+psycopg://u:secret@127.0.0.1:1/x", "failed"),
        ("SELECT 1 AS a, 2 AS a", "sqlite://", "must differ|makes no table"),
    ],
)
def test_what_fails_tells_no_secret(query, url, message):
    with pytest.raises(DatasetError, match=message) as caught:
        Dataset.from_sql(query, url, VARIABLE)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('files = ["train.csv"]', 'sql = "SELECT 1"', "data.connection should name"),
        ('files = ["train.csv"]', 'files = ["a.csv"]\nsql = "x"', "either files"),
        ('files = ["train.csv"]', "", "either files"),
    ],
)
def test_a_recipe_names_files_or_a_query(tmp_path, old, new, message):
    with pytest.raises(ConfigurationError, match=message):
        read_recipe(write_project(tmp_path, EXAMPLE.replace(old, new, 1)))


def test_decimals_of_a_query_are_exact():
    long = [Decimal("12345678901234567.89"), None, Decimal("12345678901234567.88")]
    table = sql_table._batch(["x", "y"], [(one, 1.5) for one in long])
    assert table.column("x").to_pylist() == long
    assert len(set(row_hashes(table).tolist())) == 3
    short = [(Decimal("1.25"),), (None,)]
    floats = pa.table({"x": [1.25, None]})
    assert (row_hashes(sql_table._batch(["x"], short)) == row_hashes(floats)).all()
    mixed = sql_table._batch(["x"], [(Decimal("1.25"),), (2.5,), (Decimal("NaN"),)])
    assert mixed.column("x").to_pylist()[:2] == [1.25, 2.5]


def test_decimals_are_packed_as_floats(tmp_path):
    table = deliveries(200, 0)
    exact = table.column("distance").cast(pa.decimal128(20, 3))
    table = table.set_column(table.column_names.index("distance"), "distance", exact)
    path = write_project(tmp_path, EXAMPLE.replace('["train.csv"]', '["train.parquet"]'))
    pa.parquet.write_table(table, tmp_path / "train.parquet")
    package = build_recipe(read_recipe(path), tmp_path / "package", None)
    assert package.profile.inputs[0].kind is Kind.FLOAT64
    assert all(isinstance(row["distance"], float) for row in package.golden.rows)
