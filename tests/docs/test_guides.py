"""The guides can be followed: their blocks run, and their tables are what the code has."""

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click import Context

import gnomon
from gnomon.client.hub import HubClient
from gnomon.command.bench.group import bench
from gnomon.command.root import run
from gnomon.runtime.packages.package import Package
from gnomon.server.hub.rollout.criteria import Gates
from tests.support.hub_command import HubCommand
from tests.support.names import ROOT, commands
from tests.support.packages import make_package
from tests.support.serving import Served

DOCS = ROOT / "docs"
ID = "01M8P4WZZ1QK3V7N5T2R9XBYCD"


def blocks(page: str) -> list[tuple[str, str]]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"```(\w+)\n(.*?)```", text, flags=re.DOTALL)


def code(page: str) -> list[str]:
    return [text for language, text in blocks(page) if language == "python"]


def shell_lines(page: str) -> list[str]:
    """Return the calls of gnomon in a page's blocks."""
    shell = "".join(text for language, text in blocks(page) if language == "sh")
    return [line for line in shell.replace("\\\n", "").splitlines() if line.startswith("gnomon")]


def run_python(text: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_model_of_ones_own_is_built_as_the_guide_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run_python(code("own-model.md")[0], tmp_path)
    (recipe,) = (text for language, text in blocks("own-model.md") if language == "toml")
    Path("recipe.toml").write_text(recipe, encoding="utf-8")
    calls = [line for line in shell_lines("own-model.md") if " serve " not in line]
    assert len(calls) == 4
    for line in calls:
        capsys.readouterr()
        assert run(shlex.split(line)[1:]) == 0, line
    answers = capsys.readouterr().out.splitlines()
    assert len(answers) == 500
    assert '"minutes"' in answers[0]
    assert Package.open(tmp_path / "packages" / "delivery-1", None).manifest.name == "delivery"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Served]]:
    """A folder with the package of the blocks, and a server of it."""
    folder = tmp_path_factory.mktemp("python")
    served = Served(make_package(folder / "packages" / "eta-1", None))
    yield folder, served
    served.close()


@pytest.mark.slow
def test_the_blocks_of_the_python_page_run(served: tuple[Path, Served]) -> None:
    folder, server = served
    *texts, _ = code("python.md")
    text = "\n".join(texts).replace("127.0.0.1:8500", server.address)
    printed = run_python(text, folder)
    for part in ("eta 1", "distance minimum", "[111, 111, 111]", "unknown_model", "eta@1"):
        assert part in printed


def test_the_python_page_names_all_that_is_public() -> None:
    rows = re.findall(r"^\| (.+?) \|", (DOCS / "python.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(gnomon.__all__)
    count = {9: "nine", 10: "ten"}[len(gnomon.__all__)]
    assert f"gives {count} names" in (DOCS / "python.md").read_text(encoding="utf-8")


def test_the_limits_of_gates_are_those_of_the_code() -> None:
    page = (DOCS / "rollouts.md").read_text(encoding="utf-8")
    for name, field in Gates.model_fields.items():
        default = "" if name == "require_proof" else rf" \({re.escape(str(field.default))}\)"
        assert re.search(rf"`{name}`{default}", page) or f"(`{name}`, {field.default})" in page, (
            name
        )


def test_the_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    rows = re.findall(r"^\| (`.+?) \|", (DOCS / "install.md").read_text("utf-8"), re.MULTILINE)
    told = re.findall(r"`(\w+)`", " ".join(rows))
    internal = {"bench", "browser", "demo", "dev", "docs"}
    assert sorted(told) == sorted(set(project["optional-dependencies"]) - internal)


def test_every_measurement_has_its_place_in_the_docs() -> None:
    page = (DOCS / "bench.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(?:gnomon bench )?([a-z-]+)[^`]*`", page))
    hidden = {name for name, one in bench.commands.items() if one.hidden}
    assert bench.commands.keys() - hidden <= told


@pytest.mark.parametrize("page", ["alerts.md", "hub.md", "labels.md", "rollouts.md", "install.md"])
def test_every_call_of_a_guide_is_one_that_the_command_takes(page: str) -> None:
    for line in shell_lines(page):
        found, words = commands()[""], shlex.split(line, comments=True)[1:]
        name = ""
        while words and f"{name} {words[0]}".strip() in commands():
            name = f"{name} {words.pop(0)}".strip()
            found = commands()[name]
        with Context(found, resilient_parsing=True) as context:
            found.make_parser(context).parse_args(words)


@pytest.mark.slow
def test_the_calls_of_a_hub_in_the_guides_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With nothing in the hub, what is about a version, an alert or a rollout is not found."""
    hub = HubCommand(tmp_path)
    monkeypatch.setenv("GNOMON_HUB_URL", hub.rest)
    try:
        for page in ("alerts.md", "rollouts.md", "labels.md"):
            for line in shell_lines(page):
                # No message reaches a host that is not there.
                expected = 1 if "alert test" in line else 2 if ID in line or "@" in line else 0
                assert run(shlex.split(line)[1:]) == expected, line
            for text in code(page):
                if "agent.socket" in text:  # run by the test of that socket
                    continue
                with pytest.raises(gnomon.GnomonError) as caught:
                    exec(text.replace("http://127.0.0.1:8600", hub.rest))
                assert caught.value.code == "unknown_model", caught.value
        exec(code("python.md")[-1].replace("http://127.0.0.1:8600", hub.rest))
        assert capsys.readouterr().out.endswith("[]\n[]\n")
        with HubClient(hub.rest) as client:
            assert client.get("webhooks")[0]["name"] == "board"
    finally:
        hub.stop()
