"""Each library's section of the page on models runs, if the library is installed."""

import doctest
import importlib.util
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "models.md"
SECTIONS = {
    part.partition("\n")[0]: part
    for part in PAGE.read_text(encoding="utf-8").split("\n## ")
    if ">>> " in part
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in re.findall(r"^>>> (?:import|from) (\w+)", SECTIONS[name], re.MULTILINE):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(SECTIONS[name], {}, name, str(PAGE), 0)
    assert test.examples
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0
