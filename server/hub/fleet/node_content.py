"""What content a node may fetch: that of packages that were in service in its environment.

Not only of the present state: a node that refused the newest one repairs the package that it has in
service. A stolen node's certificate gives nothing away that was never meant for its environment.
"""

from sqlalchemy import Connection, select, union

from gnomon.runtime.errors import NotAllowed
from gnomon.server.hub.fleet.audited_cache import AuditedCache
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database

_NODE = schema.node.c
_VERSION = schema.version.c
_PLACEMENT = schema.placement.c
_ROLLOUT = schema.rollout.c


class NodeContent:
    """The digests for each environment, kept until the audit chain grows. Threads may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._allowed = AuditedCache(_digests)

    def check(self, node: str, digests: list[str]) -> None:
        """Check that a node may fetch all of these.

        Raises:
            NotAllowed: naming the first one that it may not fetch.
        """
        with self._database.read() as connection:
            environment = connection.scalar(select(_NODE.environment).where(_NODE.name == node))
            allowed = self._allowed.find(connection, environment or "")
        for digest in digests:
            if digest not in allowed:
                raise NotAllowed(
                    f"{node!r} may not fetch {digest[:64]!r}: it is of no package that was in "
                    f"service or rolled out in {environment!r}"
                )


def _digests(connection: Connection, environment: str) -> frozenset[str]:
    """Return the digests of manifests and chunks."""
    told = union(
        select(_PLACEMENT.model, _PLACEMENT.version).where(_PLACEMENT.environment == environment),
        select(_ROLLOUT.model, _ROLLOUT.candidate).where(_ROLLOUT.environment == environment),
    ).subquery()
    rows = connection.execute(
        select(_VERSION.digest, _VERSION.manifest).join(
            told, (told.c.model == _VERSION.name) & (told.c.version == _VERSION.version)
        )
    )
    found: set[str] = set()
    for digest, manifest in rows:
        found.add(digest)
        for entry in manifest.get("files", ()):
            found.update(entry["chunks"])
    return frozenset(found)
