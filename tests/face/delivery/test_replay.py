"""A version is kept in a folder and answers again years later, or it is said what does not."""

import base64
import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gnomon.client.hub import HubClient
from gnomon.client.registry import BuilderSettings, RegistryClient
from gnomon.command.root import root
from gnomon.delivery.replay.archive import builders_keys, open_archive
from gnomon.runtime.errors import ConfigurationError, PackageError
from gnomon.runtime.packages.manifest import Dependency
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.package_keys import PackageKey
from gnomon.runtime.packages.signing import REPLAY_PREDICATE_TYPE, Signer, TrustStore
from tests.support.hub_command import HubCommand
from tests.support.packages import make_package

pytestmark = pytest.mark.slow

LIBRARY = Dependency(name="gnomon-tiny", version="1.4")
ROW = {"distance": 400.0, "wind": None, "carrier": "AA"}


def write_wheel(folder: Path, version: str) -> None:
    """Write the wheel of a library that holds nothing but its version."""
    folder.mkdir(exist_ok=True)
    about = f"gnomon_tiny-{version}.dist-info"
    files = {
        "gnomon_tiny.py": f"VERSION = {version!r}\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: gnomon-tiny\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(text)}")
    record = "\n".join([*lines, f"{about}/RECORD,,"]) + "\n"
    with zipfile.ZipFile(folder / f"gnomon_tiny-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in (files | {f"{about}/RECORD": record}).items():
            wheel.writestr(path, text)


@dataclass
class Kept:
    """An archive of `eta@1`, and what it was made with."""

    folder: Path
    signer: Signer
    settings: BuilderSettings
    hub: HubCommand


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    folder = tmp_path_factory.mktemp("kept")
    hub, signer = HubCommand(tmp_path_factory.mktemp("hub")), Signer.generate()
    with HubClient(hub.rest) as client:
        client.post("keys", {"key": signer.public_key.hex(), "name": "ada"})
        token = client.post("tokens", {"role": "builder"})
    settings = BuilderSettings(
        data_folder=folder / "builder",
        hub=token["sync"],
        enrolment=token["enrolment"],
        token=token["token"],
        authority_fingerprint=token["fingerprint"],
    )
    for wheels in ("1.4", "1.5"):
        write_wheel(folder / "wheelhouse", wheels)
    package = make_package(folder / "package", signer, dependencies=[LIBRARY], test_passed=True)
    with RegistryClient(settings) as registry:
        registry.push(package)
    made = registry_command(
        "archive", "eta@1", str(folder / "archive"), "--wheelhouse", str(folder / "wheelhouse"),
        "--url", hub.rest, *flags(settings),
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    yield Kept(folder / "archive", signer, settings, hub)
    hub.stop()


def flags(settings: BuilderSettings) -> list[str]:
    return ["--hub", settings.hub, "--data-folder", str(settings.data_folder)]


def registry_command(*arguments: str) -> Result:
    line = ["registry", *arguments, "--json"]
    return CliRunner().invoke(root, line, obj=None, standalone_mode=False)


def replayed(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = registry_command("replay", "eta@1", *arguments)
    assert result.exception is None, result.output
    (one,) = json.loads(result.stdout)
    return result.return_value, one


def test_an_archive_holds_all_that_is_needed(kept: Kept) -> None:
    index = open_archive(kept.folder)
    assert (index.name, index.version, index.formats) == ("eta", "1", ("onnx",))
    names = {path.name for path in kept.folder.iterdir()}
    assert names >= {"archive.json", "packages", "lineage.json", "audit.json", "keys.json"}
    # The very version that is pinned, and no other.
    assert [path.name for path in (kept.folder / "wheels").iterdir()] == [
        "gnomon_tiny-1.4-py3-none-any.whl"
    ]
    audited = json.loads((kept.folder / "audit.json").read_text())
    assert [one["action"] for one in audited] == ["publish"]


def test_an_archive_alone_answers_digit_for_digit(kept: Kept, tmp_path: Path) -> None:
    requests = tmp_path / "requests.jsonl"
    requests.write_text(json.dumps({"row": ROW, "outputs": {"air_time": 50.0}}) + "\n")
    key = tmp_path / "key.pem"
    kept.signer.save(key)
    code, one = replayed(
        "--archive", str(kept.folder), "--requests", str(requests), "--key", str(key)
    )
    assert one["not_reproduced"] == []
    assert one["versions"] == {"gnomon-tiny": "1.4"}
    assert [(part["rows"], part["exact"]) for part in one["parts"]] == [(1, 1), (1, 1)]
    assert (code, one["passed"], one["agreement"]) == (0, True, "exact")
    trust = TrustStore([kept.signer.public_key])
    package = Package.open(kept.folder / "packages" / "onnx", trust)
    (stated,) = trust.statements(
        package.digest, package.envelopes, REPLAY_PREDICATE_TYPE, package.manifest.name
    )
    assert stated["passed"]
    open_archive(kept.folder)


def test_a_hub_s_version_is_replayed_without_its_libraries(kept: Kept, tmp_path: Path) -> None:
    code, one = replayed(
        "--url", kept.hub.rest, *flags(kept.settings), "--wheelhouse", str(tmp_path)
    )
    assert (code, one["agreement"]) == (1, "exact")
    first, second = one["not_reproduced"]
    assert first.startswith("gnomon-tiny==1.4: the package names no hash")
    assert second == "gnomon-tiny is not installed, built with 1.4"


@pytest.mark.parametrize(
    ("air_time", "agreement"), [(50.0001, "within tolerance"), (51.0, "different")]
)
def test_a_request_that_comes_out_otherwise_is_shown(
    kept: Kept, tmp_path: Path, air_time: float, agreement: str
) -> None:
    requests = tmp_path / "requests.jsonl"
    requests.write_text(json.dumps({"row": ROW, "outputs": {"air_time": air_time}}))
    code, one = replayed("--archive", str(kept.folder), "--here", "--requests", str(requests))
    assert (code, one["agreement"]) == (1, agreement)
    told = f"recorded {{'air_time': {air_time}}}, now {{'air_time': 50.0}}"
    assert told in one["parts"][1]["first"]


def test_only_keys_of_builders_vouch_for_packages() -> None:
    listed = [
        {"key": "0a", "role": "builder", "revoked_at": None},
        {"key": "0b", "role": "approver", "revoked_at": None},
        {"key": "0c", "role": "builder", "revoked_at": 5},
    ]
    assert builders_keys(listed) == [PackageKey(b"\x0a")]


def test_what_was_altered_is_named(kept: Kept, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(kept.folder, copy)
    (copy / "lineage.json").write_text("{}")
    with pytest.raises(PackageError, match=r"lineage\.json is altered"):
        open_archive(copy)
    (copy / "lineage.json").unlink()
    with pytest.raises(PackageError, match=r"lineage\.json is missing"):
        open_archive(copy)
    other = registry_command("replay", "eta@2", "--archive", str(kept.folder))
    assert isinstance(other.exception, ConfigurationError)


def test_a_request_that_is_none_is_named(kept: Kept, tmp_path: Path) -> None:
    requests = tmp_path / "requests.jsonl"
    requests.write_text('{"row": {}, "outputs": {}}\n{"row": 1}\n')
    result = registry_command(
        "replay", "eta@1", "--archive", str(kept.folder), "--requests", str(requests)
    )
    assert "line 2" in str(result.exception)


def test_the_wheel_of_a_pinned_library_must_be_there(kept: Kept, tmp_path: Path) -> None:
    result = registry_command(
        "archive", "eta@1", str(tmp_path / "archive"), "--wheelhouse", str(tmp_path),
        "--url", kept.hub.rest, *flags(kept.settings),
    )  # fmt: skip
    assert isinstance(result.exception, ConfigurationError)
    assert "lacks a pinned library" in str(result.exception)
    assert list(tmp_path.iterdir()) == []
