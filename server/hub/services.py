"""What the hub's doors share: one object, made once by the process."""

from dataclasses import dataclass

from gnomon.server.hub.store.database import Database


@dataclass(frozen=True)
class Services:
    """Handles on the hub's state; the doors keep nothing else."""

    database: Database
