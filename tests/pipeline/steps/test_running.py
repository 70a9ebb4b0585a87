"""Builds run step by step, are recorded however they end, and do nothing twice."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from gnomon.pipeline.rebuild import rebuild
from gnomon.pipeline.steps.build import Build, Pipeline, StepChange
from gnomon.pipeline.steps.file import read_pipeline
from gnomon.pipeline.steps.record import PipelineRun, RunState
from gnomon.pipeline.steps.rules import Rules
from gnomon.pipeline.steps.running import find_packages, open_log, run_pipeline
from gnomon.runtime.errors import ConfigurationError, StorageError
from gnomon.runtime.lock import FolderLock
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer, TrustStore
from tests.support.builds import BUILD, STEPS, commit, write_build
from tests.support.packages import make_package


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(folder: Path, build: str = BUILD, steps: str = STEPS, **options: Any) -> PipelineRun:
    """Run the build of a folder as a fresh process would: its module is read anew."""
    import sys

    for name in [name for name in sys.modules if name.startswith("gnomon_build_")]:
        del sys.modules[name]
    return run_pipeline(read_pipeline(write_build(folder, build, steps)), Path("state"), **options)


def states(record: PipelineRun) -> dict[str, str]:
    return {step.name: step.state for step in record.steps}


def calls(folder: Path) -> int:
    return len((folder / "calls.txt").read_text().splitlines())


def test_a_build_makes_its_package_and_is_recorded(tmp_path: Path) -> None:
    signer = Signer.generate()
    record = run(tmp_path, signer=signer)
    assert record.state is RunState.SUCCEEDED, record.error
    assert set(states(record).values()) == {"done"}
    assert record.parameters == {"slope": 1.5, "version": "1"}
    assert record.metrics["mean"] == pytest.approx(72, abs=8)
    assert record.metrics["blocks"] == 20
    assert [one["rows"] for one in record.datasets] == [2000, 500]
    assert all(one["fingerprint"].startswith("rows-1:") for one in record.datasets)
    assert "training on 2000 rows" in record.log
    assert record.environment["python"]
    assert record.started_at <= (record.ended_at or 0)
    (path,) = find_packages(record, Path("state"))
    package = Package.open(path, TrustStore([signer.public_key]))
    assert [package.digest] == [one["digest"] for one in record.packages]
    made_from = package.manifest.reproducibility
    assert made_from.dataset_fingerprint == record.datasets[0]["fingerprint"]
    assert made_from.dataset_uri == "train.csv"
    assert open_log(Path("state")).runs() == [record]


def test_the_same_build_elsewhere_gives_the_same_digest(tmp_path: Path) -> None:
    first = run(tmp_path / "one")
    again = run_pipeline(read_pipeline(write_build(tmp_path / "two")), Path("other-state"))
    assert states(again)["package"] == "done"
    assert again.packages == first.packages


def test_nothing_is_done_twice(tmp_path: Path) -> None:
    first = run(tmp_path)
    again = run(tmp_path)
    assert set(states(again).values()) == {"cached"}
    assert again.packages == first.packages
    assert calls(tmp_path) == 1


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ("parameter", {"model", "metrics", "package"}),
        ("code", {"model", "metrics", "package"}),
        ("data", {"rows", "model", "metrics", "package"}),
        ("recipe", {"package"}),
        ("cache", {"model"}),
    ],
)
def test_what_depends_on_a_change_is_done_again(
    tmp_path: Path, change: str, again: set[str]
) -> None:
    first = run(tmp_path)
    options: dict[str, Any] = {}
    if change == "parameter":
        options = {"parameters": {"slope": 1.75}}
    if change == "code":
        options = {"steps": STEPS.replace("[slope, 0.5, 4.0, 0.0]", "[slope, 0.5, 4.5, 0.0]")}
    path = write_build(tmp_path, steps=options.pop("steps", STEPS))
    if change == "data":
        rows = (tmp_path / "train.csv").read_text().splitlines(keepends=True)
        (tmp_path / "train.csv").write_text("".join(rows[:-1]))
    if change == "recipe":
        recipe = (tmp_path / "recipe.toml").read_text()
        (tmp_path / "recipe.toml").write_text(recipe.replace("logistics team", "others"))
    if change == "cache":
        (step,) = [step for step in first.steps if step.name == "model"]
        (tmp_path / "state" / "cache" / step.key / "content" / "model.onnx").write_bytes(b"broken")
    import sys

    for name in [name for name in sys.modules if name.startswith("gnomon_build_")]:
        del sys.modules[name]
    record = run_pipeline(read_pipeline(path), Path("state"), **options)
    assert record.state is RunState.SUCCEEDED, record.error
    assert {name for name, state in states(record).items() if state == "done"} == again


def test_a_failure_is_recorded_and_what_was_done_before_is_kept(tmp_path: Path) -> None:
    broken = STEPS.replace("assert model.read_bytes()", "raise ValueError('no such unit')")
    failed = run(tmp_path, steps=broken)
    assert failed.state is RunState.FAILED
    assert failed.error == "ValueError: no such unit"
    assert "steps.py" in failed.log
    assert states(failed)["metrics"] == "failed"
    assert "package" not in states(failed)
    assert [one.state for one in open_log(Path("state")).runs()] == [RunState.FAILED]
    mended = run(tmp_path, steps=broken)
    assert states(mended)["model"] == "cached"


def test_versions_may_follow_the_day_or_the_run(tmp_path: Path) -> None:
    record = run(tmp_path, parameters={"version": "{day}-{run}"})
    (made,) = record.packages
    day, _, identity = made["version"].partition("-")
    assert (len(day), identity) == (8, record.id)


def test_an_observer_is_notified(tmp_path: Path) -> None:
    seen: list[StepChange] = []
    run(tmp_path, observe=seen.append)
    assert [(one.name, one.state) for one in seen[:4]] == [
        ("rows", "running"),
        ("rows", "done"),
        ("test-rows", "running"),
        ("test-rows", "done"),
    ]


class TestRules:
    STRICT = BUILD.replace('name = "duration"', 'name = "duration"\nrisk_tier = "high"', 1)

    def test_code_that_is_not_committed_is_refused(self, tmp_path: Path) -> None:
        record = run(tmp_path, build=self.STRICT)
        assert record.state is RunState.REFUSED
        assert "build.toml is not committed" in record.error
        assert record.steps == ()

    def test_data_without_a_fingerprint_are_refused(self, tmp_path: Path) -> None:
        write_build(tmp_path, self.STRICT)
        commit(tmp_path, "build.toml", "steps.py", "recipe.toml")
        record = run_pipeline(read_pipeline(tmp_path / "build.toml"), Path("state"))
        assert record.state is RunState.REFUSED
        assert "step 'rows' reads data without a fingerprint" in record.error

    def test_what_is_committed_and_written_down_runs(self, tmp_path: Path) -> None:
        lenient = run(tmp_path)
        text = self.STRICT
        for file, one in zip(("train.csv", "test.csv"), lenient.datasets, strict=True):
            line = f'files = {{files = ["{file}"]}}'
            text = text.replace(line, f'{line}\nfingerprint = "{one["fingerprint"]}"')
        path = write_build(tmp_path, text)
        recipe = tmp_path / "recipe.toml"
        recipe.write_text(recipe.read_text().replace('risk_tier = "low"', ""))
        commit(tmp_path, "build.toml", "steps.py", "recipe.toml")
        record = run_pipeline(read_pipeline(path), tmp_path / "state")
        assert record.state is RunState.SUCCEEDED, record.error
        assert record.code_clean
        assert record.code_version.startswith("git:")
        (folder,) = find_packages(record, tmp_path / "state")
        package = Package.open(folder, None)
        assert package.manifest.risk_tier == "high"
        assert rebuild(package, tmp_path, tmp_path / "again").package.manifest.risk_tier == "high"
        git = ["git", "-C", str(tmp_path)]
        subprocess.run([*git, "add", "."], check=True)
        shown = subprocess.run([*git, "status", "-s"], capture_output=True, text=True, check=True)
        assert "state" not in shown.stdout

    def test_a_recipe_of_another_tier_is_refused(self, tmp_path: Path) -> None:
        record = run(tmp_path, BUILD.replace('"duration"', '"duration"\nrisk_tier = "medium"', 1))
        assert record.state is RunState.FAILED
        assert "its risk_tier is 'low', the build's 'medium'; name one tier" in record.error

    def test_other_data_are_refused(self, tmp_path: Path) -> None:
        line = 'files = {files = ["train.csv"]}'
        record = run(tmp_path, BUILD.replace(line, f'{line}\nfingerprint = "rows-1:00"'))
        assert record.state is RunState.FAILED
        assert "expected rows-1:00, got rows-1:" in record.error

    def test_a_package_of_a_higher_tier_is_refused(self, tmp_path: Path) -> None:
        path = write_build(tmp_path)
        recipe = (tmp_path / "recipe.toml").read_text()
        (tmp_path / "recipe.toml").write_text(recipe.replace('"low"', '"high"'))
        record = run_pipeline(read_pipeline(path), Path("state"))
        assert record.state is RunState.REFUSED
        assert "is of risk tier 'high'" in record.error


def test_one_run_at_a_time(tmp_path: Path) -> None:
    lock = FolderLock(Path("state"))
    with pytest.raises(StorageError, match="another process"):
        run(tmp_path)
    lock.release()
    assert run(tmp_path).state is RunState.SUCCEEDED


def test_an_unknown_parameter_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no parameter 'slop'; it has: slope, version"):
        run(tmp_path, parameters={"slop": 2})


@pytest.mark.parametrize(
    ("tier", "is_strict"), [("", False), ("medium", False), ("high", True), ("critical", True)]
)
def test_only_what_is_said_to_be_harmless_is_free(tier: str, is_strict: bool) -> None:
    assert Rules.of_tier(tier) == Rules(clean_code=is_strict, fingerprints=is_strict)


class TestFunctions:
    """A build in Python: a function that calls `step`."""

    def run(self, function: Any, **settings: Any) -> PipelineRun:
        pipeline = Pipeline(name="own", function=function, source=Path(__file__), **settings)
        return run_pipeline(pipeline, Path("state"))

    def test_steps_take_what_others_made(self, tmp_path: Path) -> None:
        def build(build: Build) -> None:
            numbers = build.step("numbers", make_numbers, makes="metrics", count=3)
            build.step("more", double, makes="metrics", numbers=numbers)

        record = self.run(build)
        assert record.metrics == {"0": 0.0, "1": 2.0, "2": 4.0}

    @pytest.mark.parametrize(
        ("makes", "values", "said"),
        [
            ("nothing", {"count": 1}, "makes 'nothing'; use one of dataset"),
            ("model", {"count": 1}, "it should return the bytes of an ONNX model"),
            ("metrics", {"count": object()}, "count is a object, which cannot be recorded"),
            ("metrics", {"count": Path("none")}, "count none does not exist"),
        ],
    )
    def test_what_is_wrong_is_named(self, makes: str, values: dict[str, Any], said: str) -> None:
        record = self.run(lambda build: build.step("n", make_numbers, makes=makes, **values))
        assert said in record.error

    def test_a_package_is_of_the_tier_of_the_build(self) -> None:
        def build(build: Build) -> None:
            build.step("package", pack, makes="package")

        record = self.run(build, risk_tier="medium")
        assert record.state is RunState.REFUSED
        assert "eta@1 is of risk tier 'low', the build of 'medium'" in record.error

    def test_names_are_given_once(self) -> None:
        def build(build: Build) -> None:
            build.step("n", make_numbers, makes="metrics", count=1)
            build.step("n", make_numbers, makes="metrics", count=2)

        assert "two steps are called 'n'" in self.run(build).error


def make_numbers(count: int) -> dict[str, float]:
    return {str(number): float(number) for number in range(count)}


def pack(scratch: Path) -> Package:
    return make_package(scratch / "package", None)


def double(numbers: dict[str, float]) -> dict[str, float]:
    return {name: 2 * value for name, value in numbers.items()}
