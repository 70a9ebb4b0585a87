"""The registry: packages come in whole, verified as a node would verify them, and never change.

Order of a publication: blobs, each verified against its hash; then the manifest's digest. The
package is put together from the blobs and opened as a node opens it, so nothing is published that a
node would refuse. One transaction makes it visible: a publication that is killed before leaves only
blobs that no row names, and can be repeated.
"""

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import insert, select, update

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import Conflict, InvalidInput, NotAllowed, PackageError, UntrustedPackage
from gnomon.runtime.packages import layout
from gnomon.runtime.packages.manifest import Manifest, decode_manifest
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.risk_tiers import is_strict
from gnomon.runtime.packages.signing import RUN_PREDICATE_TYPE, TrustStore
from gnomon.server.hub.access import keys
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.blobs import Blobs, check_digest
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.rights import Actor
from gnomon.server.hub.versions import approvals, decommission, runs, search

#: How many digests one question may hold, and how many envelopes one package.
MAXIMUM_DIGESTS = 50_000
MAXIMUM_ENVELOPES = 64

_SHOWN = 5
_VERSION = schema.version.c


class Registry:
    """Publishes packages."""

    def __init__(
        self, database: Database, blobs: Blobs, staging: Path, strict_models: Sequence[str] = ()
    ) -> None:
        """Assemble packages under `staging`, which is empty between two calls.

        Args:
            database: the hub's.
            blobs: content of packages.
            staging: a folder.
            strict_models: patterns of models whose further packages are of a strict risk tier.
        """
        self._strict_models = tuple(strict_models)
        self._database = database
        self._blobs = blobs
        self._staging = staging
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)

    def find_missing(self, digests: Sequence[str]) -> list[str]:
        """Return which blobs the hub does not have.

        Raises:
            InvalidInput: if there are too many.
        """
        if len(digests) > MAXIMUM_DIGESTS:
            raise InvalidInput(f"{len(digests)} digests in one call; at most {MAXIMUM_DIGESTS}")
        return self._blobs.missing(digests)

    def put_blobs(self, blobs: Iterable[tuple[str, bytes]]) -> int:
        """Store blobs and return how many."""
        return self._blobs.put(blobs)

    def chunks_of(self, digest: str) -> list[str]:
        """Return the chunks that a stored manifest names.

        Raises:
            PackageError: if it is no manifest, or names what no package has.
        """
        manifest = decode_manifest(self._blobs.get(digest))
        layout.check_entries(manifest)
        return [chunk for entry in manifest.files for chunk in entry.chunks]

    def publish(
        self, publisher: Actor, digest: str, envelopes: Sequence[bytes], author: str = ""
    ) -> tuple[hub_pb2.PackageRef, bool]:
        """Publish the package of this digest; return it, and whether it is new here.

        `author` is the publisher at another hub, if the package was imported from there.

        Args:
            publisher: who publishes.
            digest: SHA-256 of the manifest.
            envelopes: the attestations.
            author: who published it elsewhere, if it was carried from another hub.

        Raises:
            PackageError: if something is missing, damaged or contradicts itself.
            UntrustedPackage: if no key that the hub trusts signed it, or its risk tier requires a
                recorded build and no such key states one, or it is not recorded here by another.
            Conflict: if another package has this name, version and format, or the version was
                decommissioned, or is in service in an environment in which another format needs an
                approval.
            NotAllowed: if the publisher may not publish this model, or the hub requires a stricter
                risk tier of it.
        """
        if len(envelopes) > MAXIMUM_ENVELOPES:
            raise InvalidInput(f"{len(envelopes)} envelopes; at most {MAXIMUM_ENVELOPES}")
        manifest = self._read_manifest(digest)
        publisher.check("publish", manifest.name)
        with tempfile.TemporaryDirectory(dir=self._staging) as folder:
            self._assemble(Path(folder), digest, manifest, envelopes)
            trust = keys.trust_store(self._database)
            package = Package.open(Path(folder), trust)
            profile = package.read(layout.PROFILE)
        with self._database.change(publisher) as change:
            if not _is_known(change, manifest):
                # The run of a package from another hub was checked there.
                self._check_tier(change, package, trust, is_carried=bool(author))
            created = _record(change, package, profile, author or publisher.name)
        return _reference(manifest, digest, envelopes), created

    def _check_tier(
        self, change: Change, package: Package, trust: TrustStore, *, is_carried: bool
    ) -> None:
        """Refuse a further package that is not of the tier, or not built as its tier requires."""
        manifest = package.manifest
        if is_strict(manifest.risk_tier):
            stated = _stated_runs(package, trust)
            if not is_carried:
                _check_recorded(change, package, stated)
        elif any(fnmatchcase(manifest.name, one) for one in self._strict_models):
            raise NotAllowed(
                f"{manifest.reference} is of risk tier {manifest.risk_tier!r}, but packages of "
                f"{manifest.name} need a stricter one here (strict_models), such as 'high'"
            )

    def _read_manifest(self, digest: str) -> Manifest:
        if self._blobs.missing([digest]):
            raise PackageError(f"package {digest}: its manifest was not put as a blob")
        manifest = decode_manifest(self._blobs.get(digest))
        layout.check_entries(manifest)
        wanted = [chunk for entry in manifest.files for chunk in entry.chunks]
        try:
            missing = self.find_missing([check_digest(chunk) for chunk in wanted])
        except InvalidInput as error:
            raise PackageError(f"{manifest.reference}: {error}") from error
        if missing:
            shown = ", ".join(missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
            raise PackageError(
                f"{manifest.reference} is incomplete: {len(missing)} of {len(wanted)} chunks are "
                f"missing: {shown}",
                details=[{"missing": missing[:1_000]}],
            )
        return manifest

    def _assemble(
        self, folder: Path, digest: str, manifest: Manifest, envelopes: Sequence[bytes]
    ) -> None:
        (folder / layout.MANIFEST).write_bytes(self._blobs.get(digest))
        for entry in manifest.files:
            path = folder / entry.path
            path.parent.mkdir(parents=True, exist_ok=True)
            left = entry.size
            with path.open("wb") as file:
                for chunk in entry.chunks:
                    data = self._blobs.get(chunk)
                    left -= len(data)
                    if left < 0:  # a manifest could name one chunk a million times
                        where = f"{manifest.reference}: {entry.path}"
                        raise PackageError(f"{where} has more than its {entry.size} bytes")
                    file.write(data)
        attestations = folder / layout.ATTESTATIONS
        attestations.mkdir()
        for position, envelope in enumerate(envelopes):
            (attestations / f"{position:02}.json").write_bytes(envelope)


def _is_known(change: Change, manifest: Manifest) -> bool:
    """Whether a package of this name, version and format is published."""
    return (
        change.connection.scalar(
            select(_VERSION.digest).where(
                _VERSION.name == manifest.name,
                _VERSION.version == manifest.version,
                _VERSION.format == manifest.format,
            )
        )
        is not None
    )


def _stated_runs(package: Package, trust: TrustStore) -> Sequence[Mapping[str, Any]]:
    """Return the trusted statements of runs of committed code; refuse a package without one."""
    found = trust.statements(
        package.digest, package.envelopes, RUN_PREDICATE_TYPE, package.manifest.name
    )
    stated = [one for one in found if one.get("code_clean") is True]
    if not stated:
        raise UntrustedPackage(
            f"{package.reference} is of risk tier {package.manifest.risk_tier!r}, and no trusted "
            "key states which run of committed code made it; build and publish it by "
            "`gnomon pipeline run --publish`",
            details=[{"digest": package.digest}],
        )
    return stated


def _check_recorded(change: Change, package: Package, stated: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a package if no stated run is recorded here as it says, and by somebody else."""
    faults = [runs.fault_of(change.connection, package.digest, one, change.actor) for one in stated]
    if all(faults):
        raise UntrustedPackage(
            f"{package.reference} is of risk tier {package.manifest.risk_tier!r}, but {faults[0]}",
            details=[{"digest": package.digest, "fault": fault} for fault in faults],
        )


def _record(change: Change, package: Package, profile: bytes, publisher: str) -> bool:
    """Write a verified package down; return whether it is new."""
    manifest = package.manifest
    envelopes = [envelope.decode() for envelope in package.envelopes]
    known = change.execute(
        select(_VERSION.digest, _VERSION.envelopes).where(
            _VERSION.name == manifest.name,
            _VERSION.version == manifest.version,
            _VERSION.format == manifest.format,
        )
    ).one_or_none()
    if known is None:
        decommission.check_in_use(change.connection, manifest.name, manifest.version)
        approvals.check_addition(
            change.connection, manifest.name, manifest.version, manifest.risk_tier
        )
        change.execute(
            insert(schema.version).values(
                digest=package.digest,
                name=manifest.name,
                version=manifest.version,
                format=manifest.format,
                **search.columns_of(manifest, publisher),
                manifest=msgspec.json.decode(package.manifest_bytes),
                envelopes=envelopes,
                profile=profile,
                published_at=now_ms(),
                publisher=publisher,
            )
        )
        _audit(change, "publish", package)
        return True
    if known.digest != package.digest:
        raise Conflict(
            f"{manifest.reference} ({manifest.format}) is published already, as {known.digest}; "
            f"a version never changes: publish {package.digest} under another version",
            details=[{"digest": known.digest}],
        )
    together = list(dict.fromkeys([*known.envelopes, *envelopes]))[:MAXIMUM_ENVELOPES]
    if together != known.envelopes:
        change.execute(
            update(schema.version)
            .where(_VERSION.digest == package.digest)
            .values(envelopes=together)
        )
        _audit(change, "attest", package)
    return False


def _audit(change: Change, action: str, package: Package) -> None:
    detail = {
        "digest": package.digest,
        "format": package.manifest.format,
        "signers": list(package.signers),
    }
    change.audit(action, package.reference, detail, model=package.manifest.name)


def _reference(manifest: Manifest, digest: str, envelopes: Sequence[bytes]) -> hub_pb2.PackageRef:
    return hub_pb2.PackageRef(
        name=manifest.name,
        version=manifest.version,
        digest=digest,
        format=manifest.format,
        envelopes=envelopes,
    )
