"""Export: a registry's packages with all that is known of them, as a signed bundle.

Nodes, placements, keys of people and telemetry stay: they belong to the site (`gnomon hub backup`
keeps a whole hub).
"""

import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from sqlalchemy import Connection, select

from gnomon.runtime.errors import ConfigurationError, UnknownModel
from gnomon.runtime.files import sync_folder
from gnomon.runtime.packages.signing import Signer
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.blobs import Blobs
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.transfer.bundle import (
    Bundle,
    BundledAlias,
    BundledDecommission,
    BundledPackage,
    BundledTag,
    write_bundle,
    writing,
)

__all__ = ["export"]

_ALIAS = schema.alias.c
_TAG = schema.tag.c
_VERSION = schema.version.c


def export(
    database: Database, blobs: Blobs, out: Path, signer: Signer, only: Sequence[str] = ()
) -> Bundle:
    """Write a bundle as the new folder or `.tar` file `out`; whole, or not there at all.

    `only` are models or versions (`eta`, `eta@3`); without it, all there is.

    Args:
        database: the hub's; read in one transaction.
        blobs: the content of the packages.
        out: the new folder or `.tar` file.
        signer: whose key signs the bundle.
        only: models or versions; empty: all there is.

    Raises:
        ConfigurationError: `out` exists.
        UnknownModel: something of `only` is not there.
        StorageError: content is missing or damaged; then there is no bundle.
    """
    if out.exists():
        raise ConfigurationError(f"{out} exists; name a folder or file that does not")
    with database.read() as connection:
        bundle = _collect(connection, only)
    partial = out.with_name(f".{out.stem}.{os.getpid()}.partial{out.suffix}")
    _remove(partial)
    try:
        with writing(partial) as writer:
            write_bundle(writer, bundle, ((one, blobs.get(one)) for one in bundle.blobs), signer)
        partial.rename(out)
        sync_folder(out.parent)
    finally:
        _remove(partial)
    return bundle


def _collect(connection: Connection, only: Sequence[str]) -> Bundle:
    packages, digests = [], set()
    unseen = set(only)
    for row in connection.execute(select(schema.version).order_by(_VERSION.published_at)):
        names = {row.name, f"{row.name}@{row.version}"}
        if only and not names & set(only):
            continue
        unseen -= names
        packages.append(
            BundledPackage(
                name=row.name,
                version=row.version,
                format=row.format,
                digest=row.digest,
                publisher=row.publisher,
                published_at=row.published_at,
                envelopes=tuple(row.envelopes),
            )
        )
        digests |= {row.digest}
        digests |= {chunk for entry in row.manifest["files"] for chunk in entry["chunks"]}
    if unseen:
        raise UnknownModel(f"there is no {min(unseen)} in the registry")
    pairs = {(one.name, one.version) for one in packages}
    return Bundle(
        exported_at=now_ms(),
        packages=tuple(packages),
        aliases=_aliases(connection, pairs),
        tags=_tags(connection, pairs),
        runs=_runs(connection, {one.digest for one in packages}),
        decommissioned=_decommissioned(connection, pairs),
        blobs=_sizes(connection, digests),
    )


def _aliases(
    connection: Connection, pairs: Collection[tuple[str, str]]
) -> tuple[BundledAlias, ...]:
    rows = connection.execute(select(schema.alias).order_by(_ALIAS.model, _ALIAS.alias))
    return tuple(
        BundledAlias(model=row.model, alias=row.alias, version=row.version)
        for row in rows
        if (row.model, row.version) in pairs
    )


def _tags(connection: Connection, pairs: Collection[tuple[str, str]]) -> tuple[BundledTag, ...]:
    rows = connection.execute(select(schema.tag).order_by(_TAG.model, _TAG.version, _TAG.key))
    return tuple(
        BundledTag(model=row.model, version=row.version, key=row.key, value=row.value)
        for row in rows
        if (row.model, row.version) in pairs
    )


def _decommissioned(
    connection: Connection, pairs: Collection[tuple[str, str]]
) -> tuple[BundledDecommission, ...]:
    rows = connection.execute(
        select(schema.decommission).order_by(schema.decommission.c.decommissioned_at)
    )
    return tuple(
        BundledDecommission(model=row.model, version=row.version, reason=row.reason)
        for row in rows
        if (row.model, row.version) in pairs
    )


def _runs(connection: Connection, digests: Collection[str]) -> tuple[dict[str, object], ...]:
    """Return the records of the runs that made these packages."""
    made = connection.execute(select(schema.run_package)).all()
    wanted = {row.run for row in made if row.digest in digests}
    rows = connection.execute(
        select(schema.run.c.id, schema.run.c.record).order_by(schema.run.c.id)
    )
    return tuple(dict(row.record) for row in rows if row.id in wanted)


def _sizes(connection: Connection, digests: Collection[str]) -> dict[str, int]:
    rows = connection.execute(select(schema.blob.c.digest, schema.blob.c.size))
    return {row.digest: row.size for row in rows if row.digest in digests}


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
