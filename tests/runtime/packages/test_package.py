"""A package is believed only as a whole: every way to alter one is refused, by name."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gnomon.runtime.errors import Conflict, PackageError, UntrustedPackage
from gnomon.runtime.packages import layout
from gnomon.runtime.packages.chunks import sha256
from gnomon.runtime.packages.manifest import (
    CHUNK_BYTES,
    Manifest,
    decode_manifest,
    encode_manifest,
)
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer, TrustStore

Write = Callable[..., Package]


@pytest.fixture
def trust(signer: Signer) -> TrustStore:
    return TrustStore([signer.public_key])


def rewrite_manifest(package: Package, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest and leave all else, as who has no key would."""
    document = json.loads(package.manifest_bytes)
    change(document)
    (package.path / "manifest.json").write_bytes(json.dumps(document).encode())


def test_opens_what_was_written(package: Package, signer: Signer, trust: TrustStore) -> None:
    again = Package.open(package.path, trust)
    assert again.signers == (signer.key_id,)
    assert again.digest == sha256((package.path / "manifest.json").read_bytes())
    assert again.reference == "eta@1"
    assert again.profile == package.profile
    assert again.golden == package.golden
    assert again.read_model() == (package.path / "model.onnx").read_bytes()


def test_same_inputs_give_the_same_digest(write: Write) -> None:
    first, second = write("first"), write("second")
    assert first.digest == second.digest
    assert first.envelopes == second.envelopes
    assert first.digest != write("third", version="2").digest


def test_manifest_survives_encoding(package: Package) -> None:
    assert encode_manifest(decode_manifest(package.manifest_bytes)) == package.manifest_bytes


def test_blobs_rebuild_every_file(write: Write) -> None:
    model = bytes(range(256)) * (CHUNK_BYTES // 100)
    package = write(model=model)
    blobs = dict(package.iter_blobs())
    assert all(sha256(data) == digest for digest, data in blobs.items())
    for entry in package.manifest.files:
        rebuilt = b"".join(blobs[chunk] for chunk in entry.chunks)
        assert rebuilt == (package.path / entry.path).read_bytes()
    assert len(package.manifest.files[1].chunks) == 3


@pytest.mark.parametrize("name", ["model.onnx", "profile.json", "golden.json"])
def test_altered_byte_is_refused(package: Package, trust: TrustStore, name: str) -> None:
    path = package.path / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(PackageError, match=rf"eta@1: {name} is not what was built: expected"):
        Package.open(package.path, trust)
    with pytest.raises(PackageError, match="is not what was built"):
        package.read(name)


def test_truncated_file_is_refused(package: Package, trust: TrustStore) -> None:
    path = package.path / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PackageError, match=r"model.onnx has \d+ bytes, expected \d+"):
        Package.open(package.path, trust)


def test_altered_manifest_is_refused(package: Package, trust: TrustStore) -> None:
    rewrite_manifest(package, lambda manifest: manifest.update(owner="someone else"))
    with pytest.raises(UntrustedPackage, match=r"it vouches for .*, another package"):
        Package.open(package.path, trust)


def test_signature_of_an_unknown_key_is_refused(package: Package, signer: Signer) -> None:
    other = Signer.generate()
    with pytest.raises(UntrustedPackage) as refusal:
        Package.open(package.path, TrustStore([other.public_key]))
    assert other.key_id[:16] in str(refusal.value)
    assert signer.key_id[:16] in str(refusal.value)


def test_unsigned_package_opens_only_openly(write: Write, trust: TrustStore) -> None:
    package = write(signer=None)
    assert package.signers == ()
    with pytest.raises(UntrustedPackage, match="no envelope at all"):
        Package.open(package.path, trust)


def test_unsigned_package_that_runs_code_is_refused(write: Write) -> None:
    with pytest.raises(UntrustedPackage, match="model file runs code"):
        write(signer=None, format="sklearn")


@pytest.mark.parametrize("name", ["extra.py", "attestations/extra.py", "folder/model.onnx"])
def test_extra_file_is_refused(package: Package, trust: TrustStore, name: str) -> None:
    path = package.path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"import os")
    with pytest.raises(PackageError, match="files that the manifest does not name"):
        Package.open(package.path, trust)


def test_missing_file_is_refused(package: Package, trust: TrustStore) -> None:
    (package.path / "golden.json").unlink()
    with pytest.raises(PackageError, match=r"not there: \['golden.json'\]"):
        Package.open(package.path, trust)


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json", "attestations/link.json"])
def test_link_is_refused(package: Package, trust: TrustStore, tmp_path: Path, name: str) -> None:
    path = package.path / name
    target = tmp_path / "elsewhere"
    target.write_bytes(path.read_bytes() if path.exists() else b"{}")
    path.unlink(missing_ok=True)
    path.symlink_to(target)
    with pytest.raises(PackageError, match="a link, a device or too deep"):
        Package.open(package.path, trust)


def test_linked_folder_is_refused(package: Package, trust: TrustStore, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(package.path)
    with pytest.raises(PackageError, match="is not a folder"):
        Package.open(tmp_path / "alias", trust)


def test_pipe_is_refused_without_waiting_on_it(package: Package, trust: TrustStore) -> None:
    (package.path / "model.onnx").unlink()
    os.mkfifo(package.path / "model.onnx")
    with pytest.raises(PackageError, match="a link, a device"):
        Package.open(package.path, trust)


@pytest.mark.parametrize(
    "name",
    ["../model.onnx", "/etc/passwd", "a/../b", "a//b", "a\\b", ".hidden", "a/.b", "", "a\n", "C:x"],
)
def test_path_that_could_leave_the_folder_is_refused(
    package: Package, signer: Signer, trust: TrustStore, name: str
) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["files"][0]["path"] = name

    rewrite_manifest(package, change)
    sign_again(package, signer)
    with pytest.raises(PackageError, match="not a plain relative path"):
        Package.open(package.path, trust)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m["files"].append(m["files"][0] | {"path": "GOLDEN.json"}), "named twice"),
        (lambda m: m["files"].append(m["files"][0] | {"path": "attestations/x"}), "is kept for"),
        (lambda m: m["files"][0].update(size=layout.PACKAGE_LIMIT + 1), "are allowed"),
        (lambda m: m["files"][0].update(size=-1), "are allowed"),
        (lambda m: m.update(model_file="other.onnx"), "does not name other.onnx"),
        (lambda m: m.update(name="../eta"), "does not match"),
        (lambda m: m.update(surprise=1), "unknown field `surprise`"),
        (lambda m: m["signature"]["inputs"].pop(), "the signature's inputs are"),
        (lambda m: m.update(output_tensors=[]), "0 output tensors stand behind 1 outputs"),
        (lambda m: m.update(output_tensors=["y", "y"]), "the same tensor behind them: y, y"),
        (lambda m: m["files"][0].update(chunks=["0" * 64]), "whose chunk hashes differ"),
    ],
)
def test_manifest_that_contradicts_itself_is_refused(
    package: Package,
    signer: Signer,
    trust: TrustStore,
    change: Callable[[dict[str, Any]], None],
    reason: str,
) -> None:
    rewrite_manifest(package, change)
    sign_again(package, signer)
    with pytest.raises(PackageError, match=reason):
        Package.open(package.path, trust)


def sign_again(package: Package, signer: Signer) -> None:
    """Sign whatever the manifest now is: a builder gone wrong, not a stranger."""
    digest = sha256((package.path / "manifest.json").read_bytes())
    (attestation,) = (package.path / "attestations").iterdir()
    attestation.write_bytes(signer.sign_package(digest, "eta", "1"))


def test_oversized_manifest_is_refused_before_it_is_parsed(
    package: Package, trust: TrustStore
) -> None:
    (package.path / "manifest.json").write_bytes(b"[" * (layout.MANIFEST_LIMIT + 1))
    with pytest.raises(PackageError, match=r"manifest.json .* is larger than"):
        Package.open(package.path, trust)


def test_too_many_files_are_refused(package: Package, trust: TrustStore) -> None:
    for number in range(layout.FILES_LIMIT):
        (package.path / f"f{number}").touch()
    with pytest.raises(PackageError, match="more than 1000 files"):
        Package.open(package.path, trust)


def test_writing_again_is_idempotent_and_never_overwrites(write: Write) -> None:
    first = write("eta")
    assert write("eta").digest == first.digest
    with pytest.raises(Conflict, match="packages never change"):
        write("eta", owner="someone else")
    assert Package.open(first.path, None).digest == first.digest


def test_failed_write_leaves_nothing(write: Write, tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="the signature's inputs"):
        write("eta", signature={"inputs": [], "outputs": []})
    assert list(tmp_path.iterdir()) == []


def test_profile_and_golden_survive_encoding(package: Package) -> None:
    raw = json.loads(package.read("profile.json"))
    assert [field["name"] for field in raw["inputs"]] == ["distance", "wind", "carrier"]
    assert msgspec.json.decode(package.read("golden.json"))["rows"][0]["carrier"] == "UA"


@pytest.mark.parametrize("name", [layout.PROFILE, layout.GOLDEN])
def test_what_cannot_be_decoded_names_its_package(
    package: Package, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A node with several packages says which one a newer Gnomon refuses."""
    read = layout.read_verified

    def read_other(root: Path, manifest: Manifest, path: str) -> bytes:
        return b'{"of": "another Gnomon"}' if path == name else read(root, manifest, path)

    monkeypatch.setattr(layout, "read_verified", read_other)
    with pytest.raises(PackageError, match=f"^{package.reference}: "):
        Package.open(package.path, None)
