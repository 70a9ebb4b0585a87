"""Packages: the immutable, signed unit that a node takes into service, known by its digest.

The digest is the SHA-256 of `manifest.json`, which names every other file. The order in which a
package is believed: the manifest's bytes give the digest; a trusted signature over the digest makes
the manifest believable; the manifest's hashes make the files believable; only then is one decoded.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gnomon.core.contract import Contract
from gnomon.core.packing import Packing
from gnomon.runtime.errors import PackageError, UntrustedPackage
from gnomon.runtime.packages import chunks, layout
from gnomon.runtime.packages.drawing import draw_package
from gnomon.runtime.packages.golden import Golden, decode_golden
from gnomon.runtime.packages.manifest import FileEntry, Manifest, decode_manifest
from gnomon.runtime.packages.profile import UNUSABLE, Profile, decode_profile
from gnomon.runtime.packages.served_tensors import read_served_tensors
from gnomon.runtime.packages.signing import TrustStore

_T = TypeVar("_T")

#: Formats whose model file runs code of its own, or calls what it names; never without a trusted
#: signature.
FORMATS_THAT_RUN_CODE = frozenset({"sklearn", "skops"})


@dataclass(frozen=True, slots=True)
class Package:
    """A package on disk, all of it verified.

    `signers` are the names of the trusted keys behind it; none for an explicitly unsigned open.
    """

    path: Path
    digest: str
    manifest_bytes: bytes
    manifest: Manifest
    profile: Profile
    golden: Golden
    envelopes: tuple[bytes, ...]
    signers: tuple[str, ...]

    @classmethod
    def open(cls, path: Path, trust: TrustStore | None) -> "Package":
        """Verify all of a package, then return it.

        `trust=None` says openly that this is a local package whose signature does not matter; such
        a package may not be of a format that runs code.

        Raises:
            UntrustedPackage: no trusted key signed it.
            PackageError: a file is missing, altered, too large, not named by the manifest, or no
                plain file; or the manifest contradicts itself, the profile or the golden samples.
        """
        root = Path(path)
        listing = layout.list_files(root)
        manifest_bytes = layout.read_limited(root, layout.MANIFEST, layout.MANIFEST_LIMIT)
        digest = chunks.sha256(manifest_bytes)
        envelopes = layout.read_attestations(root, listing)
        if trust is not None:
            trust.verify(digest, envelopes)
        manifest = decode_manifest(manifest_bytes)
        # Again: only the manifest says whose package it is, and a key may be for other models.
        signers = trust.verify(digest, envelopes, manifest.name) if trust is not None else ()
        if trust is None and manifest.format in FORMATS_THAT_RUN_CODE:
            raise UntrustedPackage(
                f"{manifest.reference} has format {manifest.format!r}, whose model file runs code; "
                "it is opened only with a trust store, never unsigned"
            )
        layout.check_listing(manifest, listing)
        for entry in manifest.files:
            layout.verify_file(root, manifest, entry)
        package = cls(
            path=root,
            digest=digest,
            manifest_bytes=manifest_bytes,
            manifest=manifest,
            profile=_decode(decode_profile, root, manifest, layout.PROFILE),
            golden=_decode(decode_golden, root, manifest, layout.GOLDEN),
            envelopes=envelopes,
            signers=signers,
        )
        _check_consistency(package)
        return package

    def __repr__(self) -> str:
        """Name the package, and where it is."""
        return f"Package({self.reference}, {self.digest[:16]}, at {self.path})"

    def _repr_html_(self) -> str:
        """Return its facts and its fields, for a notebook."""
        return draw_package(self.manifest, self.profile, self.digest, self.signers)

    @property
    def reference(self) -> str:
        """Return `name@version`."""
        return self.manifest.reference

    def read(self, path: str) -> bytes:
        """Return the bytes of one of the package's files, verified as they are read.

        Raises:
            PackageError: if the file was altered since the package was opened.
        """
        return layout.read_verified(self.path, self.manifest, path)

    def read_model(self) -> bytes:
        """Return the bytes of the model file, verified as they are read."""
        return self.read(self.manifest.model_file)

    def iter_blobs(self) -> Iterator[tuple[str, bytes]]:
        """Yield all content as (SHA-256, bytes): the manifest, then every chunk of every file."""
        yield self.digest, self.manifest_bytes
        for entry in self.manifest.files:
            with layout.open_file(self.path, entry.path) as file:
                yield from zip(entry.chunks, chunks.read_chunks(file), strict=True)


def _decode(decode: Callable[[bytes], _T], root: Path, manifest: Manifest, path: str) -> _T:
    """Decode a file of a package; the message of what fails names the package."""
    content = layout.read_verified(root, manifest, path)
    try:
        return decode(content)
    except PackageError as error:
        raise PackageError(f"{manifest.reference}: {error}") from error


def _check_consistency(package: Package) -> None:
    """Raise PackageError if manifest, profile and golden samples are inconsistent."""
    manifest, profile = package.manifest, package.profile
    for side, specs, fields in (
        ("inputs", manifest.signature.inputs, profile.inputs),
        ("outputs", manifest.signature.outputs, profile.outputs),
    ):
        signed = [spec.name for spec in specs]
        profiled = [field.name for field in fields]
        if signed != profiled:
            raise PackageError(
                f"{manifest.reference}: the signature's {side} are {signed}, "
                f"but the profile's are {profiled}"
            )
    if len(set(manifest.output_tensors)) != len(manifest.output_tensors):
        raise PackageError(
            f"{manifest.reference}: two outputs have the same tensor behind them: "
            f"{', '.join(manifest.output_tensors)}"
        )
    if len(manifest.output_tensors) != len(profile.outputs):
        raise PackageError(
            f"{manifest.reference}: {len(manifest.output_tensors)} output tensors stand behind "
            f"{len(profile.outputs)} outputs"
        )
    try:
        # What a node will make of it: a fault that shows here shows nowhere later.
        inputs = Contract(profile.inputs, profile.rules)
        Contract(profile.outputs)
        if read_served_tensors(manifest.packing) is None:
            Packing.from_dict(inputs, manifest.packing)
        profile.new_window()
    except UNUSABLE as error:
        raise PackageError(
            f"{manifest.reference}: contract, packing or reference cannot be used: {error}"
        ) from error


def describe_files(files: Mapping[str, bytes | Path]) -> tuple[FileEntry, ...]:
    """Return the manifest's entries of these files, in order of their paths."""
    return tuple(chunks.describe(path, _chunks_of(files[path])) for path in sorted(files))


def _chunks_of(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield from chunks.split(content)
        return
    with content.open("rb") as file:
        yield from chunks.read_chunks(file)
