"""Which content packages name: their manifests, and the chunks that these name."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from gnomon.server.hub.store import schema

#: Manifests that are in memory at once.
_AT_ONCE = 500


def of_manifest(digest: str, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield the digests of a package's content, its manifest first."""
    yield digest
    for entry in manifest.get("files", ()):
        yield from entry["chunks"]


def read(connection: Connection) -> set[str]:
    """Return the digests of the content of all packages."""
    columns = schema.version.c
    wanted = select(columns.digest, columns.manifest).execution_options(yield_per=_AT_ONCE)
    return {
        blob for row in connection.execute(wanted) for blob in of_manifest(row.digest, row.manifest)
    }
