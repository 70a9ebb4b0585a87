"""A small build of one's own: a TOML file, a module with its steps, and data."""

import shutil
import subprocess
from pathlib import Path

from tests.support.recipes import write_project

STEPS = """
from pathlib import Path

import numpy as np
from gnomon.pipeline.datasets.dataset import Dataset
from tests.support.recipes import linear_onnx


def train(rows, slope=1.5):
    print("training on", len(rows), "rows")
    with Path(__file__).with_name("calls.txt").open("a") as file:
        file.write("train\\n")
    return linear_onnx([slope, 0.5, 4.0, 0.0], 5.0)


def measure(rows, model):
    assert model.read_bytes()
    return {"mean": float(np.nanmean(rows.columns(["took"])["took"]))}
"""

BUILD = """
name = "duration"

[parameters]
slope = 1.5
version = "1"

[[steps]]
name = "rows"
run = "dataset"
files = {files = ["train.csv"]}

[[steps]]
name = "test-rows"
run = "dataset"
files = {files = ["test.csv"]}

[[steps]]
name = "model"
run = "steps.py:train"
makes = "model"
takes = {rows = "rows"}
parameters = {slope = "$slope"}

[[steps]]
name = "metrics"
run = "steps.py:measure"
makes = "metrics"
takes = {rows = "rows", model = "model"}

[[steps]]
name = "package"
run = "package"
takes = {model = "model", data = "rows", test = "test-rows"}
files = {recipe = "recipe.toml"}
parameters = {version = "$version"}
"""


def write_build(folder: Path, build: str = BUILD, steps: str = STEPS) -> Path:
    """Write the build with its data, recipe and steps; return the path of its TOML file."""
    write_project(folder)
    (folder / "steps.py").write_text(steps, encoding="utf-8")
    path = folder / "build.toml"
    path.write_text(build, encoding="utf-8")
    return path


def commit(folder: Path, *files: str) -> None:
    """Put files under git."""
    shutil.rmtree(folder / ".git", ignore_errors=True)
    who = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    for line in (["init", "-q"], ["add", *files], [*who, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", "-C", str(folder), *line], check=True, capture_output=True)
