"""Extensions show the interpreter their module's entry, and nothing to other libraries."""

import shutil
import subprocess
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXTENSIONS = sorted(
    path
    for path in (ROOT / "src" / "gnomon").glob("*/**/*.so")
    if path.name.endswith(tuple(EXTENSION_SUFFIXES))
)
NM = shutil.which("nm")


def exported(path: Path) -> set[str]:
    """Return the symbols that a shared object defines for others."""
    assert NM is not None
    command = [NM, "--dynamic", "--defined-only", "--format=posix", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {line.split()[0] for line in said.splitlines()}


@pytest.mark.slow
@pytest.mark.skipif(NM is None, reason="nm is not installed: apt-get install binutils")
def test_an_extension_exports_its_entry_alone() -> None:
    assert len(EXTENSIONS) > 10
    for path in EXTENSIONS:
        # Cython's own mark is hidden too, except in what was built without the present flags.
        own = {name for name in exported(path) if not name.startswith("__pyx_module_is_main_")}
        assert own == {f"PyInit_{path.name.split('.')[0]}"}, path.name


@pytest.mark.slow
@pytest.mark.skipif(NM is None, reason="nm is not installed: apt-get install binutils")
def test_c_symbols_have_the_prefix_of_the_project(tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("there is no C compiler: apt-get install gcc")
    sources = [path for name in ("bench", "core", "server") for path in (ROOT / name).rglob("*.c")]
    assert sources
    folders = {f"-I{path.parent}" for path in sources}
    command = [compiler, "-c", "-O0", *folders, *map(str, sources)]
    subprocess.run(command, check=True, cwd=tmp_path)
    for made in sorted(tmp_path.glob("*.o")):
        assert NM is not None
        command = [NM, "--extern-only", "--defined-only", "--format=posix", str(made)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        names = {line.split()[0].lstrip("_") for line in said.splitlines()}
        assert all(name.startswith("gnomon_") for name in names), (made.name, names)
