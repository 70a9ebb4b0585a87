"""Every code block of docs/packages.md does what it says, in the order of the page."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gnomon.client.hub import HubClient
from gnomon.client.registry import BuilderSettings
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import TEST_PREDICATE_TYPE, TrustStore
from tests.support.hub_command import HubCommand
from tests.support.recipes import write_project

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "packages.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubCommand]:
    process = HubCommand(tmp_path_factory.mktemp("hub"))
    yield process
    process.stop()


def run(language: str, text: str, folder: Path, hub: HubCommand) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = {"sh": ["sh", "-e", "-c", text], "python": [sys.executable, "-c", text]}[language]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PATH": path, "GNOMON_HUB_URL": hub.rest, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def settings(text: str, hub: HubCommand) -> str:
    """Fill in what the page cannot know."""
    with HubClient(hub.rest) as client:
        token = client.post("tokens", {"role": "builder"})
    known = {
        "hub": hub.addresses["sync"],
        "enrolment": hub.addresses["enrolment"],
        "token": token["token"],
        "authority_fingerprint": token["fingerprint"],
    }
    shown = tomllib.loads(text)["builder"]
    assert set(shown) == set(known) < set(BuilderSettings.__dataclass_fields__)
    return "[builder]\n" + "".join(f'{name} = "{value}"\n' for name, value in known.items())


def test_the_page_can_be_followed_from_top_to_bottom(tmp_path: Path, hub: HubCommand) -> None:
    write_project(tmp_path, "")
    output = ""
    for language, text in BLOCKS:
        if language == "toml":
            (tmp_path / "gnomon.toml").write_text(settings(text, hub))
        else:
            output += run(language, text, tmp_path, hub)
    for told in (
        "passed",
        "published",
        "minutes",
        "bicycle",
        "no reference to measure drift against",
    ):
        assert told in output
    trust = TrustStore([bytes.fromhex((tmp_path / "key.pem.pub").read_text())])
    built = Package.open(tmp_path / "packages" / "duration-1", trust)
    pulled = Package.open(tmp_path / "pulled" / "duration-1", trust)
    assert pulled.digest == built.digest
    (statement,) = trust.statements(
        pulled.digest, pulled.envelopes, TEST_PREDICATE_TYPE, pulled.manifest.name
    )
    assert statement["passed"]
    Package.open(tmp_path / "packages" / "found-1", trust)


@pytest.mark.parametrize("name", re.findall(r"`((?:tests|docs)/\S+?)`", PAGE.read_text("utf-8")))
def test_files_that_the_page_names_are_there(name: str) -> None:
    assert (PAGE.parents[1] / name).exists()
