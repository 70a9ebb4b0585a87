"""The lock files pin what the project asks for, with hashes, and name no index."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from tests.deploy.test_extras import applies, canonical
from tests.support.names import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDER = ROOT / "requirements"
EXTRAS = {"dev.txt": ["dev"], "server.txt": ["cli", "server", "tflite"]}
ENTRY = re.compile(
    r"(?P<name>[a-z0-9.-]+)==(?P<version>\S+)(?: ; (?P<marker>.+?))?"
    r"(?: --hash=sha256:[0-9a-f]{64})+"
)


def pins(file: str) -> dict[str, str]:
    """Return the version of each package that is pinned here, for this Python and machine."""
    found: dict[str, str] = {}
    for entry in entries(file):
        parsed = ENTRY.fullmatch(entry)
        assert parsed, f"no version with hashes: {entry[:100]}"
        if parsed["marker"] is None or Marker(parsed["marker"]).evaluate():
            found[parsed["name"]] = parsed["version"]
    return found


def entries(file: str) -> list[str]:
    text = (FOLDER / file).read_text(encoding="utf-8").replace("\\\n", "")
    lines = (" ".join(line.split()) for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def asked(extras: list[str]) -> list[Requirement]:
    """Return what the project asks for, with these extras, and what compiles it."""
    waiting = [f"gnomon[{','.join(extras)}]", *PROJECT["build-system"]["requires"]]
    waiting += PROJECT["project"]["dependencies"]
    found = []
    while waiting:
        one = Requirement(waiting.pop())
        if one.name == "gnomon":
            for extra in one.extras:
                waiting += PROJECT["project"]["optional-dependencies"][extra]
        else:
            found.append(one)
    return found


@pytest.mark.parametrize("file", EXTRAS)
def test_the_lock_satisfies_the_project(file: str) -> None:
    pinned = pins(file)
    for one in asked(EXTRAS[file]):
        version = pinned.get(canonical(one.name), "")
        assert one.specifier.contains(version, prereleases=True), f"{one}: run `make lock`"


@pytest.mark.parametrize("file", EXTRAS)
def test_the_lock_has_what_its_packages_need(file: str) -> None:
    """As far as the same versions are installed here."""
    pinned, compared = pins(file), 0
    for name, version in pinned.items():
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        if found.version != version:
            continue
        compared += 1
        for need in map(Requirement, found.requires or ()):
            if applies(need, set()):
                version_of_need = pinned.get(canonical(need.name), "")
                assert need.specifier.contains(version_of_need, prereleases=True), (name, need)
    assert compared > len(pinned) / 4


@pytest.mark.parametrize("file", EXTRAS)
def test_the_lock_names_no_place(file: str) -> None:
    text = (FOLDER / file).read_text(encoding="utf-8")
    assert not re.search(r"://|--index|--extra-index|--find-links|file:|@ ", text)


def test_both_locks_agree() -> None:
    dev = pins("dev.txt")
    assert {name: dev.get(name) for name in pins("server.txt")} == pins("server.txt")


def test_what_compiles_is_what_the_project_says() -> None:
    assert entries("build.in") == PROJECT["build-system"]["requires"]


def test_the_image_is_made_of_the_lock() -> None:
    text = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
    assert "--require-hashes --requirement requirements/server.txt" in text
    assert "--no-deps ." in text
