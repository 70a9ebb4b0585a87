"""A package's record is what somebody else wrote: it runs no query, reads no file, installs nothing
that its reader did not mean to."""

import sqlite3
import subprocess
from types import SimpleNamespace

import pytest

from gnomon.delivery.replay import environment
from gnomon.delivery.replay.archive import why_no_requirement
from gnomon.pipeline.datasets.fingerprint import DatasetError
from gnomon.pipeline.datasets.sql_table import query_table
from gnomon.pipeline.rebuild import describe_plan, recorded_recipe
from gnomon.runtime.errors import PackageError, UntrustedPackage
from gnomon.runtime.packages.manifest import Dependency

RECIPE = """
name = "eta"
version = "1"
[model]
file = "{model}"
[data]
{data}
[inputs]
x = {{}}
[outputs]
y = {{}}
"""
FILES = 'files = ["train.csv"]'
QUERY = 'connection = "WAREHOUSE"\nsql = "{sql}"'


def recorded(data=FILES, model="model.onnx", signers=()):
    """A package as far as its record is asked."""
    text = RECIPE.format(data=data, model=model)
    made_from = SimpleNamespace(parameters={"recipe": text})
    manifest = SimpleNamespace(reproducibility=made_from)
    return SimpleNamespace(reference="eta@1", signers=signers, manifest=manifest)


def test_a_query_of_an_unsigned_package_does_not_run(tmp_path):
    query = QUERY.format(sql="SELECT 1 AS x")
    with pytest.raises(UntrustedPackage, match="queries the database of WAREHOUSE"):
        recorded_recipe(recorded(query), tmp_path)
    recipe = recorded_recipe(recorded(query, signers=("ada",)), tmp_path)
    assert describe_plan(recipe)[0] == "sends to the database of WAREHOUSE: SELECT 1 AS x"


@pytest.mark.parametrize("sql", ["COMMIT; DROP TABLE t", "SELECT ';'", "SELECT 1;;"])
def test_a_query_is_one_statement(tmp_path, sql):
    with pytest.raises(PackageError, match="should be one statement"):
        recorded_recipe(recorded(QUERY.format(sql=sql), signers=("ada",)), tmp_path)


@pytest.mark.parametrize("file", ["/etc/passwd", "../key.pem", "link/key.pem"])
def test_a_recipe_reads_no_file_outside_of_the_data(tmp_path, file):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    for package in (recorded(f'files = ["{file}"]'), recorded(model=file)):
        with pytest.raises(PackageError, match=r"reads '.*', which is outside of"):
            recorded_recipe(package, folder)


def test_a_query_changes_nothing(tmp_path):
    path = tmp_path / "w.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (x)")
        database.execute("INSERT INTO t VALUES (1)")
    url = f"sqlite:///{path}"
    assert query_table("SELECT x FROM t", url, "WAREHOUSE").num_rows == 1
    for statement in ("DELETE FROM t RETURNING x", "INSERT INTO t VALUES (2) RETURNING x"):
        with pytest.raises(DatasetError, match="readonly"):
            query_table(statement, url, "WAREHOUSE")
    assert query_table("SELECT x FROM t", url, "WAREHOUSE").num_rows == 1


INJECTED = [
    {"name": "numpy @ https://evil.example/numpy.whl #", "version": "1"},
    {"name": "--index-url=https://evil.example", "version": "1"},
    {"name": "numpy\n--extra-index-url https://evil.example", "version": "1"},
    {"name": "../numpy", "version": "1"},
    {"name": "", "version": "1"},
    {"name": "numpy", "version": "1 --no-binary :all:"},
    {"name": "numpy", "version": "1\nevil"},
    {"name": "numpy", "version": "*"},
    {"name": "numpy", "version": "1", "hashes": ("sha256:0 --index-url=x",)},
    {"name": "numpy", "version": "1", "hashes": ("md5:00",)},
]


@pytest.mark.parametrize("given", INJECTED, ids=range(len(INJECTED)))
def test_pip_is_given_names_versions_and_hashes_only(monkeypatch, tmp_path, given):
    one = Dependency(**given)
    assert why_no_requirement(one)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("pip was run"))
    told = []
    found = environment.rebuild([one], tmp_path / "environment", tmp_path, told.append)
    assert len(found.missing) == 1
    assert told == []


def test_pip_requires_hashes_and_leaves_the_wheelhouse_for_nothing(monkeypatch, tmp_path):
    (tmp_path / "tiny-1-py3-none-any.whl").write_bytes(b"no wheel")
    commands = []

    def run(command, **_):
        commands.append(command)
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    one = Dependency(name="tiny", version="1")
    assert environment.rebuild([one], tmp_path / "environment", tmp_path).missing == ()
    (command,) = commands
    assert {"--require-hashes", "--only-binary", "--isolated", "--no-index"} <= set(command)


@pytest.mark.parametrize("version", ["1", "1.24.1", "2!1.0rc1", "1.0.post1+cu118", "2024.1"])
def test_ordinary_requirements_are_allowed(version):
    hashes = ("sha256:" + "0" * 64,)
    assert why_no_requirement(Dependency(name="scikit-learn", version=version)) is None
    assert why_no_requirement(Dependency(name="x", version=version, hashes=hashes)) is None


def test_no_wheel_is_installed_without_a_hash(monkeypatch, tmp_path):
    one = Dependency(name="Tiny.Library", version="1.4")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("pip was run"))
    for wheelhouse in (None, tmp_path):
        found = environment.rebuild([one], tmp_path / f"{wheelhouse is None}", wheelhouse)
        assert "names no hash" in found.missing[0]
    monkeypatch.undo()
    (tmp_path / "tiny_library-1.4-py3-none-any.whl").write_bytes(b"no wheel")
    told = []
    found = environment.rebuild([one], tmp_path / "environment", tmp_path, told.append)
    assert told[0].startswith("installs Tiny.Library==1.4 --hash=sha256:")
    assert len(found.missing) == 1
