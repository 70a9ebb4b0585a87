"""Slots take only what verifies, fetch only what is not there, and survive half-done work."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from gnomon.runtime.errors import PackageError, UntrustedPackage
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer, TrustStore
from gnomon.runtime.packages.slots import Slots
from tests.support.packages import linear_onnx, make_package, package_files


@pytest.fixture
def package(tmp_path: Path, signer: Signer) -> Package:
    files = package_files(linear_onnx([0.1, 0.1, 0, 0, 0], 0.0))
    files["extra.bin"] = np.random.default_rng(1).bytes(700_000)
    made: Package = make_package(tmp_path / "eta-1", signer, files=files)
    return made


def fetch(slots: Slots, package: Package, limit: int = 10_000) -> list[str]:
    """Put the manifest and the missing chunks, as a node does; return what was fetched."""
    blobs = dict(package.iter_blobs())
    if slots.manifest(package.digest) is None:
        slots.put(package.digest, blobs[package.digest])
    manifest = slots.manifest(package.digest)
    assert manifest
    fetched = slots.missing(manifest)[:limit]
    for chunk in fetched:
        slots.put(chunk, blobs[chunk])
    return fetched


def test_a_package_is_installed_from_its_chunks(
    tmp_path: Path, package: Package, trust: TrustStore
) -> None:
    slots = Slots(tmp_path / "slots")
    assert len(fetch(slots, package)) == 6
    installed = slots.install(package.digest, package.envelopes, trust)
    assert installed.read("extra.bin") == package.read("extra.bin")
    assert slots.collect({package.digest}) == []
    again = Slots(tmp_path / "slots")
    assert again.installed() == {package.digest}
    assert again.open(package.digest, trust).signers == package.signers


def test_a_download_that_broke_off_continues_where_it_was(
    tmp_path: Path, package: Package, trust: TrustStore
) -> None:
    assert len(fetch(Slots(tmp_path / "slots"), package, limit=4)) == 4
    slots = Slots(tmp_path / "slots")
    damaged = next((tmp_path / "slots" / "blobs").glob("*"))
    damaged.write_bytes(b"\0" * 10)
    assert 2 <= len(fetch(slots, package)) <= 3
    slots.install(package.digest, package.envelopes, trust)


def test_a_second_version_fetches_only_what_changed(
    tmp_path: Path, package: Package, signer: Signer, trust: TrustStore
) -> None:
    slots = Slots(tmp_path / "slots")
    fetch(slots, package)
    slots.install(package.digest, package.envelopes, trust)
    slots.collect({package.digest})
    files = {entry.path: package.read(entry.path) for entry in package.manifest.files}
    files["model.onnx"] = linear_onnx([0.2, 0.1, 0, 0, 0], 0.0)
    second = make_package(tmp_path / "eta-2", signer, version="2", files=files)
    assert len(fetch(slots, second)) == 1
    slots.install(second.digest, second.envelopes, trust)
    assert slots.collect({second.digest}) == [package.digest]
    assert slots.installed() == {second.digest}
    slots.open(second.digest, trust)


def test_a_blob_that_is_not_what_its_hash_says_is_refused(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "slots")
    with pytest.raises(PackageError, match="SHA-256"):
        slots.put("0" * 64, b"data")
    with pytest.raises(PackageError, match="SHA-256"):
        slots.put("../../escape", b"data")


def test_what_no_one_trusts_is_not_installed(tmp_path: Path, package: Package) -> None:
    slots = Slots(tmp_path / "slots")
    fetch(slots, package)
    stranger = TrustStore([Signer.generate().public_key])
    with pytest.raises(UntrustedPackage):
        slots.install(package.digest, package.envelopes, stranger)
    assert slots.installed() == frozenset()
    assert not list((tmp_path / "slots" / "packages").iterdir())


def test_missing_chunks_and_missing_manifests_are_named(
    tmp_path: Path, package: Package, trust: TrustStore
) -> None:
    slots = Slots(tmp_path / "slots")
    with pytest.raises(PackageError, match="manifest"):
        slots.install(package.digest, package.envelopes, trust)
    fetch(slots, package, limit=2)
    with pytest.raises(PackageError, match="chunk"):
        slots.install(package.digest, package.envelopes, trust)
    assert slots.installed() == frozenset()


def test_a_slot_that_was_damaged_is_seen_and_can_be_replaced(
    tmp_path: Path, package: Package, trust: TrustStore
) -> None:
    slots = Slots(tmp_path / "slots")
    fetch(slots, package)
    slots.install(package.digest, package.envelopes, trust)
    slots.collect({package.digest})
    file = tmp_path / "slots" / "packages" / package.digest / "extra.bin"
    data = bytearray(file.read_bytes())
    data[300_000] ^= 1
    file.write_bytes(data)
    with pytest.raises(PackageError, match=r"extra\.bin"):
        slots.open(package.digest, trust)
    manifest = slots.manifest(package.digest)
    assert manifest
    assert len(slots.missing(manifest)) == 1
    slots.discard(package.digest)
    fetch(slots, package)
    slots.install(package.digest, package.envelopes, trust)


def test_leftovers_of_a_crash_are_cleared_away(
    tmp_path: Path, package: Package, trust: TrustStore
) -> None:
    slots = Slots(tmp_path / "slots")
    shutil.copytree(package.path, tmp_path / "slots" / "packages" / f".{package.digest}")
    (tmp_path / "slots" / "blobs" / ".half").write_bytes(b"x")
    slots = Slots(tmp_path / "slots")
    assert slots.installed() == frozenset()
    assert not list((tmp_path / "slots").rglob(".*"))
