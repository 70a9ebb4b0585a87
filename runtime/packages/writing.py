"""Writes packages: the same inputs always give the same bytes, and so the same digest."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from gnomon.runtime.errors import Conflict, PackageError
from gnomon.runtime.files import sync_folder, write_synced
from gnomon.runtime.packages import layout
from gnomon.runtime.packages.chunks import sha256
from gnomon.runtime.packages.manifest import Manifest, decode_manifest, encode_manifest
from gnomon.runtime.packages.package import Package, describe_files
from gnomon.runtime.packages.signing import Signer, TrustStore


def write_package(
    folder: Path,
    manifest_fields: Mapping[str, Any],
    files: Mapping[str, bytes | Path],
    signer: Signer | None,
    predicate: Mapping[str, Any] | None = None,
) -> Package:
    """Write a package as `folder` and open it again, verified.

    `manifest_fields` are the manifest's fields but for `files`, as records or plain values; `files`
    are the contents, or the files that hold them, by relative path: the model file, `profile.json`,
    `golden.json`. There is either the whole package afterwards or, after a crash, none under that
    name. A folder that already holds this very package is left as it is.

    Args:
        folder: the package's folder; it must not exist, or hold the same.
        manifest_fields: all fields of the manifest but `files`.
        files: relative path → content, or where the content is.
        signer: whose key signs; None: unsigned.
        predicate: what the signature states beside the digest.

    Raises:
        PackageError: the fields, names or contents do not make a package.
        Conflict: the folder exists and holds something else.
    """
    manifest = _manifest(manifest_fields, files)
    manifest_bytes = encode_manifest(manifest)
    trust = TrustStore([signer.public_key]) if signer is not None else None
    folder = Path(folder)
    if folder.exists():
        return _existing(folder, sha256(manifest_bytes), trust)
    temporary = folder.with_name(f".{folder.name}.{uuid4().hex}.new")
    try:
        _write(temporary, manifest_bytes, files)
        if signer is not None:
            _attest(temporary, manifest, sha256(manifest_bytes), signer, predicate)
        package = Package.open(temporary, trust)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(folder.parent)
    return replace(package, path=folder)


def _manifest(fields: Mapping[str, Any], files: Mapping[str, bytes | Path]) -> Manifest:
    plain = msgspec.to_builtins(dict(fields))
    plain["files"] = msgspec.to_builtins(describe_files(files))
    manifest = decode_manifest(msgspec.json.encode(plain))
    layout.check_entries(manifest)
    return manifest


def _existing(folder: Path, digest: str, trust: TrustStore | None) -> Package:
    try:
        package = Package.open(folder, trust)
    except PackageError as error:
        raise Conflict(f"{folder} exists and is no such package: {error}") from error
    if package.digest != digest:
        raise Conflict(
            f"{folder} already holds {package.reference} with digest {package.digest[:16]}, "
            f"not {digest[:16]}; packages never change, so choose another version or folder"
        )
    return package


def _write(root: Path, manifest_bytes: bytes, files: Mapping[str, bytes | Path]) -> None:
    root.mkdir(parents=True)
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_synced(target, content if isinstance(content, bytes) else content.read_bytes())
    write_synced(root / layout.MANIFEST, manifest_bytes)
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        sync_folder(folder)


def _attest(
    root: Path,
    manifest: Manifest,
    digest: str,
    signer: Signer,
    predicate: Mapping[str, Any] | None,
) -> None:
    envelope = signer.sign_package(
        digest, manifest.name, manifest.version, predicate or _build_predicate(manifest)
    )
    folder = root / layout.ATTESTATIONS
    folder.mkdir()
    write_synced(folder / f"build-{signer.key_id[:16]}.json", envelope)
    sync_folder(folder)


def _build_predicate(manifest: Manifest) -> Mapping[str, Any]:
    """Return what a builder vouches for unless it says otherwise: what the package came from."""
    made_from = manifest.reproducibility
    return {
        "role": "build",
        "code_version": made_from.code_version,
        "dataset_fingerprint": made_from.dataset_fingerprint,
    }
