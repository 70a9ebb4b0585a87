"""A builder's connection to a hub's registry: push packages, and fetch them again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from gnomon.edge.identity import IdentityFolder, key_pem
from gnomon.edge.link import call, open_channel
from gnomon.edge.membership import Membership
from gnomon.edge.settings import NodeSettings
from gnomon.proto import hub_pb2, hub_pb2_grpc
from gnomon.runtime.errors import StorageError
from gnomon.runtime.package import Package

#: Chunks are small, and a large package may have many of them.
_PUSH_SECONDS = 600.0


class RegistryClient:
    """An enrolled builder.

    The first connection to a hub trades a one-time token of the role `builder` for a certificate,
    which is kept in `settings.data_folder`.
    """

    def __init__(self, settings: NodeSettings) -> None:
        """Connect, and enrol where that has not been done.

        Raises:
            HubUnavailable: the hub cannot be reached.
            ConfigurationError: token or fingerprint are missing.
            NotAllowed: the hub refuses the token.
        """
        self._membership = Membership(settings, {"kind": "builder"})
        self._membership.connect()
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
        self._membership.close()

    def push(self, package: Package) -> bool:
        """Send what the hub lacks of a package, then publish it; return whether it was new.

        Raises:
            Conflict: another package has that name, version and format.
            UntrustedPackage: the hub trusts none of its signatures.
            PackageError: the hub found it incomplete.
            HubUnavailable: the hub cannot be reached; pushing again goes on where it broke off.
        """
        digests = [package.digest, *_chunks(package)]
        asked = hub_pb2.FindMissingRequest(digests=digests)
        missing = set(call(self._registry.FindMissing, asked).digests)
        if missing:
            call(self._registry.PutBlobs, _blobs(package, missing), _PUSH_SECONDS)
        request = hub_pb2.PublishRequest(digest=package.digest, envelopes=package.envelopes)
        return bool(call(self._registry.Publish, request, _PUSH_SECONDS).created)


def _chunks(package: Package) -> list[str]:
    return list(dict.fromkeys(c for entry in package.manifest.files for c in entry.chunks))


def _blobs(package: Package, wanted: set[str]) -> Iterator[hub_pb2.Blob]:
    """Yield the wanted blobs, each once."""
    left = set(wanted)
    for digest, data in package.iter_blobs():
        if digest in left:
            left.discard(digest)
            yield hub_pb2.Blob(digest=digest, data=data)


def builder_settings(
    data_folder: Path, *, name: str, hub: str, enrolment: str, token: str, fingerprint: str
) -> NodeSettings:
    """Return the settings under which a builder enrols."""
    return NodeSettings(
        name=name,
        data_folder=data_folder,
        hub=hub,
        enrolment=enrolment,
        token=token,
        authority_fingerprint=fingerprint,
    )
