"""A client of a hub's registry for builders: pushes and pulls packages."""

import base64
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import uuid4

from gnomon.proto import hub_pb2, hub_pb2_grpc
from gnomon.runtime.enrolment.download import fetch_blobs
from gnomon.runtime.enrolment.enrolment import Enrolment
from gnomon.runtime.enrolment.hub_channel import call, open_channel
from gnomon.runtime.enrolment.identity import IdentityFolder, key_pem
from gnomon.runtime.enrolment.settings import check_hub_address, check_name
from gnomon.runtime.errors import (
    Conflict,
    HubError,
    PackageError,
    StorageError,
    UnknownModel,
    UntrustedPackage,
)
from gnomon.runtime.files import sync_folder
from gnomon.runtime.packages.manifest import Manifest
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import TrustStore
from gnomon.runtime.packages.slots import Slots

_Result = TypeVar("_Result")

#: Chunks are small, and a large package may have many of them.
_PUSH_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class BuilderSettings:
    """A builder: who pushes packages to a hub's registry, and pulls them.

    Raises:
        ValueError: a figure is out of range or no hub is named; the message names it.
    """

    #: The builder's name at the hub.
    name: str = "builder"
    #: Folder of the builder's private key, certificate and interrupted downloads.
    data_folder: Path = Path("builder-data")
    #: The hub's sync address, `host:port`.
    hub: str
    #: The hub's enrolment address; empty: the same host, one port below.
    enrolment: str = ""
    #: The one-time token; needed until the builder has enrolled.
    token: str = ""
    #: The hub's authority (PEM), or the SHA-256 of its certificate in hex: one of them to enrol.
    authority_file: Path | None = None
    authority_fingerprint: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        check_hub_address(self.hub)


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedPackage:
    """A package as the hub lists it. None of it is believed but by its digest and envelopes."""

    name: str
    version: str
    format: str
    digest: str
    envelopes: tuple[bytes, ...]


def find_published(
    listed: Sequence[Mapping[str, Any]], version: str, format: str | None
) -> ListedPackage:
    """Return the one package of a version in what the hub lists of a model's versions.

    Raises:
        UnknownModel: there is no package of this version and format, or the version has several
            formats and none was requested.
        HubError: the listing is not what a hub lists.
    """
    try:
        found = [
            ListedPackage(
                name=str(one["name"]),
                version=str(one["version"]),
                format=str(one["format"]),
                digest=str(one["digest"]),
                envelopes=tuple(base64.b64decode(text, validate=True) for text in one["envelopes"]),
            )
            for one in listed
            if one["version"] == version and format in (None, one["format"])
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise HubError(f"the hub's list of versions is not understood: {error!r}") from error
    if len(found) == 1:
        return found[0]
    there = ", ".join(sorted(f"{one['name']}@{one['version']} ({one['format']})" for one in listed))
    wanted = f"version {version!r}" + (f" in format {format!r}" if format else "")
    if found:
        raise UnknownModel(f"{wanted} has several formats, say which; there are {there}")
    raise UnknownModel(f"there is no {wanted} in the registry; there are {there}")


class RegistryClient:
    """An enrolled builder.

    The first connection to a hub trades a one-time token of the role `builder` for a certificate,
    which is kept in `settings.data_folder`.
    """

    def __init__(self, settings: BuilderSettings) -> None:
        """Connect; enrol first if that was not done yet.

        Raises:
            HubUnavailable: the hub cannot be reached.
            ConfigurationError: token or fingerprint are missing.
            NotAllowed: the hub refuses the token.
        """
        self._slots_folder = settings.data_folder / "slots"
        self._enrolment = Enrolment(settings, {"kind": "builder"})
        self._enrolment.connect()
        self._enrolment.renew_if_due(datetime.now(UTC))
        folder = IdentityFolder(settings.data_folder / "identity")
        identity = folder.load()
        if identity is None:
            raise StorageError(f"the identity in {settings.data_folder} is gone")
        self._channel = open_channel(settings.hub, identity, key_pem(folder.key()))
        self._registry = hub_pb2_grpc.RegistryStub(self._channel)  # type: ignore[no-untyped-call]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()
        self._enrolment.close()

    def open(self, path: Path) -> Package:
        """Verify a package on disk as the hub would, and return it.

        Raises:
            UntrustedPackage: no key that the hub trusts signed it.
            PackageError: it is damaged or contradicts itself.
        """
        return self._trusting(lambda trust: Package.open(path, trust))

    def push(self, package: Package) -> bool:
        """Send what the hub lacks of a package, then publish it; return whether it was new.

        Raises:
            Conflict: another package has that name, version and format.
            UntrustedPackage: the hub trusts none of its signatures.
            PackageError: the hub found it incomplete.
            HubUnavailable: the hub cannot be reached; pushing again resumes.
        """
        digests = [package.digest, *_chunks(package)]
        request = hub_pb2.FindMissingRequest(digests=digests)
        missing = set(call(self._registry.FindMissing, request).digests)
        if missing:
            call(self._registry.PutBlobs, _blobs(package, missing), _PUSH_SECONDS)
        request = hub_pb2.PublishRequest(digest=package.digest, envelopes=package.envelopes)
        return bool(call(self._registry.Publish, request, _PUSH_SECONDS).created)

    def pull(self, published: ListedPackage, folder: Path) -> Package:
        """Fetch a package, verify all of it, and leave it as `folder`; return it.

        It must be signed by a key that the hub gave when this builder enrolled. What a broken
        download has fetched is not fetched again.

        Raises:
            UntrustedPackage: none of those keys signed it.
            PackageError: it is damaged, or not the requested package.
            Conflict: the folder exists.
            HubUnavailable: the hub cannot be reached; pulling again resumes.
            StorageError: the disk has no space for it.
        """
        if folder.exists():
            raise Conflict(f"{folder} exists; pull into a folder that does not")
        self._trusting(lambda trust: trust.verify(published.digest, published.envelopes))
        trust = self._enrolment.trust
        slots = Slots(self._slots_folder)
        manifest = self._fetch_manifest(slots, published)
        fetch_blobs(slots, slots.missing(manifest), self._enrolment.connect())
        package = slots.install(published.digest, published.envelopes, trust)
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = folder.with_name(f".{folder.name}.{uuid4().hex}.new")
        try:
            shutil.copytree(package.path, temporary)
            copied = Package.open(temporary, trust)
            temporary.rename(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(folder.parent)
        slots.collect(())
        return replace(copied, path=folder)

    def _trusting(self, attempt: Callable[[TrustStore], _Result]) -> _Result:
        """Return what an attempt gives under the keys that the hub trusts."""
        try:
            return attempt(self._enrolment.trust)
        except UntrustedPackage:
            # A key may be newer than the certificate: the hub sends its keys with each one.
            self._enrolment.renew_if_due(datetime.max.replace(tzinfo=UTC))
            return attempt(self._enrolment.trust)

    def _fetch_manifest(self, slots: Slots, published: ListedPackage) -> Manifest:
        manifest = slots.manifest(published.digest)
        if manifest is None:
            fetch_blobs(slots, [published.digest], self._enrolment.connect())
            manifest = slots.manifest(published.digest)
        if manifest is None:
            raise PackageError(f"the manifest of {published.digest[:16]} did not come whole")
        failure = (published.name, published.version, published.format)
        if (manifest.name, manifest.version, manifest.format) != failure:
            raise PackageError(
                f"the hub offers {published.digest[:16]} as {'/'.join(failure)}, but it is "
                f"{manifest.name}/{manifest.version}/{manifest.format}"
            )
        return manifest


def _chunks(package: Package) -> list[str]:
    return list(dict.fromkeys(c for entry in package.manifest.files for c in entry.chunks))


def _blobs(package: Package, wanted: set[str]) -> Iterator[hub_pb2.Blob]:
    """Yield the wanted blobs, each once."""
    left = set(wanted)
    for digest, data in package.iter_blobs():
        if digest in left:
            left.discard(digest)
            yield hub_pb2.Blob(digest=digest, data=data)
