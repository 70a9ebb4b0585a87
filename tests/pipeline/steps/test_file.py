"""What is wrong with a build's file is named; a Python file may hold the build instead."""

import os
import sys
from pathlib import Path

import pytest

from gnomon.pipeline.steps.file import read_pipeline, read_when
from gnomon.pipeline.steps.running import run_pipeline
from gnomon.runtime.errors import ConfigurationError
from tests.support.builds import BUILD, write_build

TAKES = 'takes = {rows = "rows"}'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "duration"', "name =", "not readable as TOML"),
        ('name = "duration"', "", "name"),
        ('run = "dataset"', 'run = "datasets"', "use dataset, package, or a function such as"),
        (TAKES, 'takes = {rows = "row"}', "takes rows from 'row', which is no step before it"),
        (TAKES, f"{TAKES}\nwith = {{}}", "with"),
        ("steps.py:train", "steps.py:fit", "steps.py has no function 'fit'"),
        ("steps.py:train", "other.py:train", "there is no such Python file"),
        ('makes = "model"\n', "", "step 'model' should say what it makes"),
        ("slope = 1.5", "", "wants the parameter 'slope'; there are: version"),
        ("{slope = ", "{rows = ", "is given rows more than once"),
        ("[parameters]", '[when]\ncron = "daily"\n[parameters]', "no cron expression"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in BUILD
    path = write_build(tmp_path, BUILD.replace(old, new, 1))
    try:
        outcome = run_pipeline(read_pipeline(path), tmp_path / "state").error
    except ConfigurationError as error:
        outcome = str(error)
    assert said in outcome


def test_a_module_that_fails_is_named(tmp_path: Path) -> None:
    path = write_build(tmp_path, steps="import nothing_of_that_name")
    with pytest.raises(ConfigurationError, match=r"steps\.py cannot be imported: ModuleNotFound"):
        read_pipeline(path)


def test_when_is_read(tmp_path: Path) -> None:
    when = '[when]\ncron = "0 3 * * 1"\nlabels = {model = "eta", minimum = 5}\n[parameters]'
    path = write_build(tmp_path, BUILD.replace("[parameters]", when))
    found = read_when(path)
    assert (found.cron, found.asks_hub) == ("0 3 * * 1", True)
    assert not read_when(write_build(tmp_path / "other")).asks_hub


def test_a_python_file_holds_one_pipeline(tmp_path: Path) -> None:
    path = tmp_path / "build.py"
    path.write_text(
        "from pathlib import Path\n"
        "from helper import numbers\n"
        "from gnomon.pipeline.steps.build import Pipeline\n"
        "def build(build):\n"
        "    build.step('n', numbers, makes='metrics', count=build.parameters['count'])\n"
        "pipeline = Pipeline(name='own', function=build, source=Path(__file__),\n"
        "                    parameters={'count': 2})\n"
    )
    (tmp_path / "helper.py").write_text("def numbers(count):\n    return {'n': count}\n")
    record = run_pipeline(read_pipeline(path), tmp_path / "state")
    assert record.metrics == {"n": 2.0}, record.error
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(ConfigurationError, match="should hold one Pipeline, it holds 0"):
        read_pipeline(tmp_path / "empty.py")


def test_code_changed_within_a_second_runs_as_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / "build.py"

    def name_of(here: str, beside: str) -> str:
        for module in [one for one in sys.modules if one.startswith("gnomon_build_")]:
            del sys.modules[module]
        sys.modules.pop("beside_the_build", None)
        path.write_text(
            "from beside_the_build import NAME\n"
            "from gnomon.pipeline.steps.build import Pipeline\n"
            f"pipeline = Pipeline(name='{here}' + NAME, function=print, source=__file__)\n"
        )
        (tmp_path / "beside_the_build.py").write_text(f"NAME = '{beside}'\n")
        for file in tmp_path.glob("*.py"):
            os.utime(file, (1_000_000_000, 1_000_000_000))
        return read_pipeline(path).name

    assert [name_of("a", "x"), name_of("b", "x"), name_of("b", "y")] == ["ax", "bx", "by"]
