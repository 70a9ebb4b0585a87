"""Import of a bundle, as if builders had pushed each package; conflicts are reported.

What is there already stays as it is, so an import may be repeated, also after an interruption. A
package must be signed by a key that this hub trusts; the bundle's own signature only proves that
nothing was changed on the way.
"""

import enum
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import ValidationError
from sqlalchemy import select

from gnomon.runtime.errors import Conflict, GnomonError
from gnomon.runtime.packages.signing import TrustStore
from gnomon.server.hub.access.principals import LOCAL
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.blobs import Blobs
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.transfer.bundle import (
    Bundle,
    BundledAlias,
    BundledDecommission,
    BundledPackage,
    BundledTag,
    BundleReader,
    open_bundle,
    read_blobs,
    reading,
)
from gnomon.server.hub.versions import aliases, decommission, runs, tags
from gnomon.server.hub.versions.registry import Registry

__all__ = ["ImportOutcome", "ImportedItem", "import_bundle"]


class ImportOutcome(enum.StrEnum):
    """The result of importing one item of a bundle."""

    ADDED = "added"
    THERE = "there already"
    CONFLICT = "conflict"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ImportedItem:
    """One item of a bundle, the result of its import, and the reason if that failed."""

    what: str
    name: str
    outcome: ImportOutcome
    reason: str = ""

    @property
    def is_well(self) -> bool:
        """Whether it is now here as the bundle has it."""
        return self.outcome in (ImportOutcome.ADDED, ImportOutcome.THERE)


def import_bundle(
    database: Database, blobs: Blobs, folder: Path, path: Path, trust: TrustStore
) -> list[ImportedItem]:
    """Import a bundle; `folder` is the hub's data folder, `trust` has the keys of its signers.

    Args:
        database: the hub's.
        blobs: where content is stored.
        folder: the hub's data folder.
        path: the folder or `.tar` file of the bundle.
        trust: keys; a bundle counts if one of them signed it.

    Raises:
        UntrustedPackage: no key of `trust` signed the bundle.
        PackageError: it is no bundle, or content is missing.
        InvalidInput: content is not what its digest says; what came before it stays, unnamed.
    """
    with reading(path) as reader, TemporaryDirectory(dir=folder, prefix="import-") as staging:
        bundle = open_bundle(reader, trust)
        registry = Registry(database, blobs, Path(staging) / "packages")
        taken = [_publish(registry, reader, one) for one in bundle.packages]
    here = {one.name for one in taken if one.is_well}
    return [*taken, *_details(database, bundle, here)]


def summary(taken: list[ImportedItem]) -> dict[str, int]:
    """Return how many items had which outcome."""
    return dict(Counter(one.outcome.value for one in taken))


def _publish(registry: Registry, reader: BundleReader, listed: BundledPackage) -> ImportedItem:
    name = f"{listed.name}@{listed.version}"
    envelopes = [envelope.encode() for envelope in listed.envelopes]
    try:
        _put(registry, reader, [listed.digest])
        _put(registry, reader, registry.chunks_of(listed.digest))
        reference, created = registry.publish(LOCAL, listed.digest, envelopes, listed.publisher)
    except Conflict as error:
        return ImportedItem(listed.format, name, ImportOutcome.CONFLICT, str(error))
    except GnomonError as error:
        return ImportedItem(listed.format, name, ImportOutcome.REFUSED, str(error))
    reference_text = f"{reference.name}@{reference.version}"
    return ImportedItem(
        listed.format, reference_text, ImportOutcome.ADDED if created else ImportOutcome.THERE
    )


def _put(registry: Registry, reader: BundleReader, digests: list[str]) -> None:
    registry.put_blobs(read_blobs(reader, registry.find_missing(digests)))


def _details(database: Database, bundle: Bundle, here: set[str]) -> Iterator[ImportedItem]:
    """Import aliases, tags and runs of the packages that are here now."""
    for named in bundle.aliases:
        if f"{named.model}@{named.version}" in here:
            yield _name(database, named)
    for tagged in bundle.tags:
        if f"{tagged.model}@{tagged.version}" in here:
            yield _tag(database, tagged)
    for record in bundle.runs:
        yield _run(database, record)
    for ended in bundle.decommissioned:
        if f"{ended.model}@{ended.version}" in here:
            yield _end(database, ended)


def _name(database: Database, named: BundledAlias) -> ImportedItem:
    name = f"{named.model}@{named.version} as {named.alias}"
    try:
        with database.change(LOCAL) as change:
            known = aliases.of_model(change.connection, named.model).get(named.alias)
            if known is None:
                aliases.assign(change, named.model, named.alias, named.version)
    except GnomonError as error:
        return ImportedItem("alias", name, ImportOutcome.REFUSED, str(error))
    return _make_item("alias", name, known, named.version)


def _tag(database: Database, tagged: BundledTag) -> ImportedItem:
    name = f"{tagged.model}@{tagged.version} {tagged.key}={tagged.value}"
    columns = schema.tag.c
    try:
        with database.change(LOCAL) as change:
            known = change.execute(
                select(columns.value).where(
                    columns.model == tagged.model,
                    columns.version == tagged.version,
                    columns.key == tagged.key,
                )
            ).scalar_one_or_none()
            if known is None:
                tags.assign(change, tagged.model, tagged.version, {tagged.key: tagged.value})
    except GnomonError as error:
        return ImportedItem("tag", name, ImportOutcome.REFUSED, str(error))
    return _make_item("tag", name, known, tagged.value)


def _run(database: Database, record: dict[str, object]) -> ImportedItem:
    name = str(record.get("id", ""))[:26]
    try:
        with database.change(LOCAL) as change:
            created = runs.record(change, runs.RunRecord.model_validate(record))
    except Conflict as error:
        return ImportedItem("run", name, ImportOutcome.CONFLICT, str(error))
    except (GnomonError, ValidationError) as error:
        return ImportedItem("run", name, ImportOutcome.REFUSED, str(error))
    return ImportedItem("run", name, ImportOutcome.ADDED if created else ImportOutcome.THERE)


def _end(database: Database, ended: BundledDecommission) -> ImportedItem:
    """Decommission here what is decommissioned there; refused while something here runs it."""
    name = f"{ended.model}@{ended.version} decommissioned"
    try:
        with database.change(LOCAL) as change:
            if decommission.find(change.connection, ended.model, ended.version) is not None:
                return ImportedItem("decommission", name, ImportOutcome.THERE)
            decommission.decommission(change, ended.model, ended.version, ended.reason)
    except GnomonError as error:
        return ImportedItem("decommission", name, ImportOutcome.REFUSED, str(error))
    return ImportedItem("decommission", name, ImportOutcome.ADDED)


def _make_item(what: str, name: str, known: str | None, wanted: str) -> ImportedItem:
    if known is None:
        return ImportedItem(what, name, ImportOutcome.ADDED)
    if known == wanted:
        return ImportedItem(what, name, ImportOutcome.THERE)
    return ImportedItem(what, name, ImportOutcome.CONFLICT, f"here it is {known}, which stays")
