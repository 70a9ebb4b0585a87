"""The Containerfile parses, compiles nothing in its last stage, and runs as nobody."""

from pathlib import Path
from typing import Any

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture
def stages(tmp_path: Path) -> list[list[dict[str, Any]]]:
    """Return the instructions of each stage."""
    parser = pytest.importorskip("dockerfile_parse").DockerfileParser(path=str(tmp_path))
    parser.content = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    found: list[list[dict[str, Any]]] = []
    for one in parser.structure:
        if one["instruction"] == "FROM":
            found.append([])
        if one["instruction"] != "COMMENT":
            found[-1].append(one)
    return found


def values(stage: list[dict[str, Any]], instruction: str) -> list[str]:
    return [one["value"] for one in stage if one["instruction"] == instruction]


def test_bases_are_named_whole(stages: list[list[dict[str, Any]]]) -> None:
    bases = [values(stage, "FROM")[0].split()[0] for stage in stages]
    assert len(bases) == 2
    for base in bases:
        registry, _, tag = base.partition(":")
        assert registry.count("/") >= 2
        assert tag not in ("", "latest")


def test_the_last_stage_has_no_compiler_and_no_root(stages: list[list[dict[str, Any]]]) -> None:
    last = stages[-1]
    commands = " ".join(values(last, "RUN"))
    assert "gcc" not in commands
    assert "pip install" not in commands
    (user,) = values(last, "USER")
    assert int(user.split(":")[0]) >= 10_000
    assert f"--uid {user.split(':')[0]}" in commands
    # The last word on who runs it comes before what is run.
    kinds = [one["instruction"] for one in last]
    assert kinds.index("USER") < kinds.index("ENTRYPOINT")


def test_layers_keep_no_lists_of_packages(stages: list[list[dict[str, Any]]]) -> None:
    for stage in stages:
        for command in values(stage, "RUN"):
            if "apt-get update" in command:
                assert "--no-install-recommends" in command
                assert "rm -rf /var/lib/apt/lists/*" in command
            if "pip install" in command:
                assert command.count("pip install") == command.count("--no-cache-dir")


def test_signals_reach_the_server(stages: list[list[dict[str, Any]]]) -> None:
    last = stages[-1]
    # A list, or else a shell stands between.
    assert values(last, "ENTRYPOINT") == ['["gnomon"]']
    assert values(last, "STOPSIGNAL") == ["SIGTERM"]
    ports = values(last, "EXPOSE")[0].split()
    assert ports == ["8500", "8080"]


def test_what_the_image_must_not_hold_is_left_out() -> None:
    ignored = (DEPLOY / "Containerfile.containerignore").read_text(encoding="utf-8").split()
    assert {".git", ".venv"} <= set(ignored)
