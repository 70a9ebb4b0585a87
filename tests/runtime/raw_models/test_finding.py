"""Which models lie under a path, and which of their versions are taken."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.versioning import VersionPolicy, age
from gnomon.runtime.raw_models.finding import find


def place(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"model")


def found(path: Path) -> list[str]:
    return [one.reference for one in find(path)]


def test_files_packages_and_folders_of_versions(
    tmp_path: Path, write: Callable[..., Package]
) -> None:
    write("models/packed", version="7")
    place(tmp_path / "models", "linear/1/model.onnx", "linear/10/model.tflite", "My net.onnx")
    place(tmp_path / "models", "notes.txt", "linear/config.pbtxt", ".hidden/1/model.onnx")
    everything = ["my_net@1", "linear@1", "linear@10", "eta@7"]
    assert sorted(found(tmp_path / "models")) == sorted(everything)
    assert found(tmp_path / "models" / "linear") == ["linear@1", "linear@10"]
    assert found(tmp_path / "models" / "packed") == ["eta@7"]
    assert found(tmp_path / "models" / "My net.onnx") == ["my_net@1"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["notes.txt"], "holds no model: expected a package"),
        (["m/1/a.onnx", "m/1/b.onnx"], "holds 2 model files"),
        (["m/1/readme"], "holds 0 model files"),
    ],
)
def test_what_is_no_model_is_reported(tmp_path: Path, names: list[str], message: str) -> None:
    place(tmp_path / "models", *names)
    with pytest.raises(ConfigurationError, match=message):
        find(tmp_path / "models")


def test_a_package_in_a_place_that_is_not_its_own_is_refused(
    tmp_path: Path, write: Callable[..., Package]
) -> None:
    write("models/eta/2", version="1")
    with pytest.raises(ConfigurationError, match=r"holds the package eta@1; .* should be eta@2"):
        find(tmp_path / "models")


@pytest.mark.parametrize(
    ("policy", "chosen"),
    [
        ("latest", ("10",)),
        ("latest:2", ("9", "10")),
        ("latest:9", ("1", "9", "10")),
        ("all", ("1", "9", "10")),
        ("specific:9, 1", ("1", "9")),
    ],
)
def test_policies_choose_oldest_first(policy: str, chosen: tuple[str, ...]) -> None:
    assert VersionPolicy.parse(policy).choose(["10", "1", "9"]) == chosen


@pytest.mark.parametrize("policy", ["", "newest", "latest:0", "latest:x", "all:2", "specific:"])
def test_what_is_no_policy_is_refused(policy: str) -> None:
    with pytest.raises(ConfigurationError, match="version_policy should be"):
        VersionPolicy.parse(policy)


def test_a_version_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="names version 3; there are 1, 2"):
        VersionPolicy.parse("specific:1,3").choose(["2", "1"])


@given(st.lists(st.integers(0, 10**9).map(str), min_size=1, unique=True))
def test_whole_numbers_are_ordered_as_numbers(versions: list[str]) -> None:
    assert sorted(versions, key=age) == sorted(versions, key=int)
