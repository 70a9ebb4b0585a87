"""A registry is carried from hub to hub; what contradicts is told, what was altered is refused."""

import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gnomon.command.root import root
from gnomon.runtime.errors import ConfigurationError, PackageError, UnknownModel, UntrustedPackage
from gnomon.runtime.ids import new_id
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer
from gnomon.server.hub.process import Hub
from gnomon.server.hub.settings import HubAddresses, HubSettings
from tests.support.packages import linear_onnx, record_run, run_of

Make = Callable[..., Package]


def hub_command(settings: HubSettings, *arguments: str) -> Result:
    line = ["hub", *arguments, "--data-folder", str(settings.data_folder), "--json"]
    if settings.database_url:
        line += ["--database-url", settings.database_url]
    return CliRunner().invoke(root, line, obj=None, standalone_mode=False)


@pytest.fixture
def key(tmp_path: Path, signer: Signer) -> Path:
    signer.save(tmp_path / "key.pem")
    return tmp_path / "key.pem"


@pytest.fixture
def other(
    settings: HubSettings,
    tmp_path: Path,
    new_database_url: Callable[[], str],
    caller_of: Callable[[HubAddresses], Any],
    signer: Signer,
) -> Iterator[Any]:
    """A caller of a hub on the other side, which trusts the builder's key."""
    url = new_database_url() if settings.database_url else ""
    hub = Hub(replace(settings, data_folder=tmp_path / "other", database_url=url))
    hub.start()
    caller = caller_of(hub.addresses)
    caller.settings = hub.services.settings
    caller.post("keys", key=signer.public_key.hex(), name="ada")
    yield caller
    hub.stop()


@pytest.fixture
def filled(builder: Any, caller: Any, make: Make) -> Package:
    """Two versions, one in two formats; a name, a tag and a run of the first."""
    package = make()
    builder.publish(package)
    builder.publish(make(format="tflite"))
    builder.publish(make("2"))
    caller.post("models/eta/aliases", alias="audited", version="1")
    caller.post("models/eta/versions/1/tags", tags={"region": "north"})
    made = {"name": "eta", "version": "1", "format": "onnx", "digest": package.digest}
    run = {"id": new_id(), "pipeline": "flights", "trigger": "hand", "state": "succeeded"}
    caller.post("runs", **run, started_at=1, ended_at=2, packages=[made])
    return package


def export(settings: HubSettings, out: Path, key: Path, *options: str) -> dict[str, Any]:
    result = hub_command(settings, "export", str(out), "--key", str(key), *options)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.output))


def take_in(settings: HubSettings, path: Path, *options: str) -> tuple[int, dict[str, int]]:
    result = hub_command(settings, "import", str(path), *options)
    if result.exception is not None:
        raise result.exception
    return result.return_value, json.loads(result.output)["counts"]


@pytest.mark.slow
@pytest.mark.both_databases
@pytest.mark.parametrize("name", ["bundle", "bundle.tar"])
def test_all_of_it_arrives_and_may_arrive_twice(
    settings: HubSettings,
    caller: Any,
    other: Any,
    filled: Package,
    key: Path,
    tmp_path: Path,
    name: str,
) -> None:
    export(settings, tmp_path / name, key)
    assert take_in(other.settings, tmp_path / name) == (0, {"added": 6})
    assert take_in(other.settings, tmp_path / name) == (0, {"there already": 6})

    known = ("name", "version", "format", "digest", "envelopes", "publisher")

    def listed(one: Any) -> list[tuple[Any, ...]]:
        return sorted(
            tuple(map(str, map(row.get, known))) for row in one.get("models/eta/versions")
        )

    assert listed(other) == listed(caller)
    assert other.get("models/eta/aliases") == {"audited": "1"}
    there, here = (one.get("models/eta/versions/1/lineage") for one in (other, caller))
    assert there["tags"] == {"region": "north"}
    assert [run["id"] for run in there["runs"]] == [run["id"] for run in here["runs"]]
    reader = other.enrol("builder", "reader")
    blobs = dict(filled.iter_blobs())
    assert reader.blobs(*blobs) == list(blobs.values())
    assert other.get("audit/verify")["intact"]
    examined = hub_command(other.settings, "doctor")
    assert examined.return_value == 0


def test_a_package_of_a_strict_tier_is_carried_with_the_run_that_was_checked_there(
    settings: HubSettings,
    caller: Any,
    builder: Any,
    other: Any,
    make: Make,
    key: Path,
    tmp_path: Path,
) -> None:
    package = make(risk_tier="high")
    record_run(caller, package)
    builder.publish(package)
    export(settings, tmp_path / "bundle", key)
    assert take_in(other.settings, tmp_path / "bundle") == (0, {"added": 2})
    (run,) = other.get("models/eta/versions/1/lineage")["runs"]
    assert run["id"] == run_of(package)


def test_what_was_decommissioned_stays_so(
    settings: HubSettings, caller: Any, other: Any, filled: Package, key: Path, tmp_path: Path
) -> None:
    caller.post("models/eta/versions/2/decommission", reason="biased")
    export(settings, tmp_path / "bundle", key)
    assert take_in(other.settings, tmp_path / "bundle") == (0, {"added": 7})
    assert other.get("models/eta/versions/2")["decommissioned"]["reason"] == "biased"
    body = {"model": "eta", "version": "2"}
    assert other.http.post("/api/v1/placements", json=body).status_code == 409


def test_one_model_or_version_may_be_chosen(
    settings: HubSettings, filled: Package, key: Path, tmp_path: Path
) -> None:
    exported = export(settings, tmp_path / "one", key, "--only", "eta@2")
    assert (exported["packages"], exported["runs"]) == (["eta@2 (onnx)"], 0)
    assert len(export(settings, tmp_path / "all", key, "--only", "eta")["packages"]) == 3
    audited = export(settings, tmp_path / "audited", key, "--only", "eta@audited")
    assert set(audited["packages"]) == {"eta@1 (onnx)", "eta@1 (tflite)"}
    absent = hub_command(
        settings, "export", str(tmp_path / "none"), "--key", str(key), "--only", "eta@9"
    )
    assert isinstance(absent.exception, UnknownModel)
    again = hub_command(settings, "export", str(tmp_path / "one"), "--key", str(key))
    assert isinstance(again.exception, ConfigurationError)
    assert sorted(path.name for path in tmp_path.glob("*none*")) == []


def test_what_contradicts_is_reported_and_stays(
    settings: HubSettings,
    other: Any,
    filled: Package,
    key: Path,
    make: Make,
    tmp_path: Path,
) -> None:
    export(settings, tmp_path / "bundle", key)
    rival = make("2", model=linear_onnx([1.0, 0.0, 0.0, 0.0, 0.0], 1.0))
    builder = other.enrol("builder", "grace")
    builder.publish(rival)
    builder.publish(make("1"))
    other.post("models/eta/aliases", alias="audited", version="2")
    other.post("models/eta/versions/1/tags", tags={"region": "south"})
    result = hub_command(other.settings, "import", str(tmp_path / "bundle"))
    assert result.return_value == 1
    told = {
        (one["what"], one["name"].partition(" ")[0]): (one["outcome"], one["reason"])
        for one in json.loads(result.output)["taken"]
    }
    outcome, reason = told["onnx", "eta@2"]
    assert outcome == "conflict"
    assert rival.digest in reason
    assert told["alias", "eta@1"] == ("conflict", "here it is 2, which stays")
    assert told["tag", "eta@1"] == ("conflict", "here it is south, which stays")
    assert told["tflite", "eta@1"][0] == "added"
    (kept,) = other.get("models/eta/versions/2")["packages"]
    assert kept["digest"] == rival.digest


def test_only_packages_of_trusted_builders_come_in(
    settings: HubSettings, other: Any, filled: Package, key: Path, signer: Signer, tmp_path: Path
) -> None:
    export(settings, tmp_path / "bundle", key)
    other.http.delete(f"/api/v1/keys/{signer.public_key.hex()}").raise_for_status()
    with pytest.raises(UntrustedPackage, match="bundle is not signed by a trusted key"):
        take_in(other.settings, tmp_path / "bundle")
    public = signer.public_key.hex()
    code, counts = take_in(other.settings, tmp_path / "bundle", "--trust", public)
    assert (code, counts) == (1, {"refused": 3, "added": 1})
    assert other.get("models") == []


def test_a_bundle_that_was_altered_is_refused(
    settings: HubSettings, other: Any, filled: Package, key: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    export(settings, bundle, key)
    index = bundle / "bundle.json"
    whole = index.read_bytes()
    index.write_bytes(whole.replace(b'"audited"', b'"trusted"'))
    with pytest.raises(UntrustedPackage):
        take_in(other.settings, bundle)
    index.write_bytes(whole)
    chunk = bundle / "blobs" / filled.digest[:2] / filled.digest
    chunk.write_bytes(chunk.read_bytes() + b" ")
    assert take_in(other.settings, bundle)[1]["refused"] == 1
    chunk.unlink()
    chunk.symlink_to("/etc/passwd")
    result = hub_command(other.settings, "import", str(bundle))
    assert "the bundle lacks blobs/" in result.output


@pytest.mark.parametrize("content", [b"", b"not a tar", b"\0" * 10_240])
def test_what_is_no_bundle_is_refused(
    settings: HubSettings, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "some.tar").write_bytes(content)
    with pytest.raises(PackageError):
        take_in(settings, tmp_path / "some.tar")


def test_a_tar_is_never_unpacked(settings: HubSettings, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        link = tarfile.TarInfo("bundle.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(PackageError, match=r"the bundle lacks bundle\.json"):
        take_in(settings, tmp_path / "evil.tar")
