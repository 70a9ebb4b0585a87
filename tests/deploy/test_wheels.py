"""Wheels for other machines: the variables of each target, and what a wheel is held to."""

import sys
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import pytest

from tests.support.names import ROOT

TARGETS = ("manylinux-x86_64", "manylinux-aarch64", "musllinux-x86_64", "musllinux-aarch64")


@pytest.fixture(scope="module")
def wheels() -> ModuleType:
    module = ModuleType("wheels")
    module.__file__ = str(ROOT / "deploy" / "wheels.py")
    exec((ROOT / "deploy" / "wheels.py").read_text(encoding="utf-8"), module.__dict__)
    return module


@pytest.mark.parametrize("target", TARGETS)
def test_each_target_has_its_compiler_platform_and_suffix(wheels: ModuleType, target: str) -> None:
    assert set(wheels.TARGETS) == set(TARGETS)
    libc, _, machine = target.partition("-")
    triple, platform, _ = wheels.TARGETS[target]
    environment = wheels.environment(target)
    assert f" -target {triple}" in environment["CC"]
    assert triple.startswith(machine)
    assert platform.startswith(libc)
    assert platform.endswith(machine)
    c_library = "gnu" if libc == "manylinux" else "musl"
    python = f"{sys.version_info[0]}{sys.version_info[1]}"
    suffix = f".cpython-{python}-{machine}-linux-{c_library}.so"
    assert environment["SETUPTOOLS_EXT_SUFFIX"] == suffix


def test_each_python_builds_in_an_environment_of_its_own() -> None:
    """A second call with another interpreter would build for the first one again."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (line,) = [
        one for one in makefile.splitlines() if "venv" in one and "build/wheels/venv" in one
    ][:1]
    assert "$(PYTHON) -m venv --clear " in line


@pytest.mark.parametrize("library", ["libc.so.6", "libdl.so.2", "libc.musl-aarch64.so.1"])
def test_the_c_library_may_be_needed(wheels: ModuleType, library: str) -> None:
    assert wheels._NEEDED.fullmatch(library)


@pytest.mark.parametrize(
    "library", ["libc.so", "libnghttp2.so.14", "libssl.so.3", "libstdc++.so.6"]
)
def test_no_other_library_may_be_needed(wheels: ModuleType, library: str) -> None:
    assert not wheels._NEEDED.fullmatch(library)


def test_a_wheel_for_another_machine_is_refused(wheels: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("elftools", reason="pip install pyelftools")
    built = next((ROOT / "core").rglob("*.so"))
    path = tmp_path / "gnomon-0-cp311-cp311-manylinux_2_28_aarch64.whl"
    with ZipFile(path, "w") as archive:
        archive.write(built, f"gnomon/{built.name}")
    with pytest.raises(SystemExit, match="is for x64"):
        wheels.check(path, "manylinux-aarch64")
