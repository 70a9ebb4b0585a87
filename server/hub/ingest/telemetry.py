"""Telemetry: records become rows, each exactly once, in the transaction that moves the watermark.

Uploads that come at the same time commit together: what is acknowledged is durable, and a commit
costs the same for many. A record that the hub cannot read or store becomes an event and is counted;
it never blocks the queue behind it, nor the uploads of other nodes.
"""

from collections.abc import Mapping, Sequence

import structlog
from sqlalchemy import Connection, insert

from gnomon.runtime.errors import InvalidInput, NotReady, Overloaded, StorageError
from gnomon.server.hub.ingest import receipts
from gnomon.server.hub.ingest.batch import NewRecords, RecordsMissing, Upload
from gnomon.server.hub.ingest.group_commit import GroupCommit
from gnomon.server.hub.ingest.preparing import prepare
from gnomon.server.hub.ingest.quotas import UPLOADS, Quota, Quotas
from gnomon.server.hub.ingest.storing import store
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.versions.catalogue import Catalogue

__all__ = ["MAXIMUM_RECORDS", "RECORDS_LOST", "RecordsMissing", "Telemetry"]

_log = structlog.get_logger(__name__)

#: Records of one upload.
MAXIMUM_RECORDS = 10_000
#: Records that are stored in one transaction, unless a single upload has more: other writers wait.
GROUP_RECORDS = 4_000

#: The kind of event for records that a node was told are durable, and that are not here.
RECORDS_LOST = "records_lost"

_BOOT = 64

#: Errors that are no upload's fault: nodes send the same again later.
_DATABASE_FAILED = (NotReady, Overloaded, StorageError)


class Telemetry:
    """Takes uploads. Threads may share it."""

    def __init__(
        self, database: Database, catalogue: Catalogue, quotas: Quotas | None = None
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._quotas = quotas or Quotas(database, {})
        self._group: GroupCommit[Upload] = GroupCommit(self.store_uploads, GROUP_RECORDS)

    def upload(
        self,
        node: str,
        boot: str,
        records: Sequence[bytes],
        *,
        acknowledged: int = 0,
        kept_from: int = 0,
    ) -> int:
        """Store what is new and return the watermark: all up to it is durable here.

        Args:
            node: the sender.
            boot: of the records.
            records: serialized records.
            acknowledged: the watermark of the boot that the node was given before. If it is higher
                than the one here, this hub has lost records, and an event says so.
            kept_from: the node still has all records of the boot from here on; 0: unknown.

        Raises:
            RecordsMissing: the node still has records that were lost here, and sends them first.
            InvalidInput: if the boot has no name, the records are too many or out of order.
            Overloaded: if the node has reached a quota.
        """
        if not 0 < len(boot) <= _BOOT:
            raise InvalidInput(f"boot should have 1 to {_BOOT} characters, has {len(boot)}")
        if len(records) > MAXIMUM_RECORDS:
            raise InvalidInput(f"{len(records)} records in one call; at most {MAXIMUM_RECORDS}")
        self._quotas.check(node, *UPLOADS)
        upload = Upload(node, boot, records, acknowledged, kept_from)
        self._group.run(upload)
        return upload.answer()

    def find_lost(self, node: str, acknowledged: Mapping[str, int]) -> dict[str, int]:
        """Return the watermarks here of boots that are below what the node was given.

        Args:
            node: the sender.
            acknowledged: the watermark by boot that the node was given.
        """
        if not acknowledged:
            return {}
        with self._database.read() as connection:
            return receipts.find_lost(connection, node, acknowledged)

    def store_uploads(self, uploads: Sequence[Upload]) -> None:
        """Store uploads together and answer them; if that fails by one of them, each by itself.

        An upload has no answer yet if its node has sent others meanwhile: it is to be stored again.

        Args:
            uploads: of different nodes or boots.
        """
        try:
            self._store(uploads)
        except _DATABASE_FAILED as error:
            _fail(uploads, error)
        except Exception as error:
            if len(uploads) == 1:
                _fail(uploads, error)
                return
            _log.warning("uploads_stored_alone", uploads=len(uploads), reason=repr(error))
            for upload in uploads:
                if not upload.is_done:
                    self.store_uploads([upload])

    def _store(self, uploads: Sequence[Upload]) -> None:
        """Store uploads in one transaction; those whose node has sent others meanwhile stay."""
        with self._database.read() as connection:
            batches = prepare(connection, self._catalogue, uploads)
        if not batches:
            return
        with self._database.write() as connection:
            known = receipts.watermarks(connection, [batch.upload.key for batch in batches])
            current = [batch for batch in batches if known[batch.upload.key] == batch.known]
            _record_losses(connection, current)
            store(connection, current)
            receipts.receive(connection, current)
        for batch in current:
            self._count(batch)
            _log_refused(batch)
            batch.upload.watermark = batch.watermark

    def _count(self, batch: NewRecords) -> None:
        """Count what was stored by the quotas of the node."""
        node, rows = batch.sender.node, [entry.rows for entry in batch.entries]
        sampled = sum(len(some) for one in rows for some in one.predictions.values())
        sampled += sum(len(one.refusals) + len(one.events) for one in rows)
        size = sum(len(entry.numbered.data) for entry in batch.entries)
        self._quotas.count(node, Quota.TELEMETRY_BYTES, size)
        self._quotas.count(node, Quota.WINDOWS, sum(len(one.windows) for one in rows))
        self._quotas.count(node, Quota.LABELS, sum(len(one.label_rows) for one in rows))
        self._quotas.count(node, Quota.SAMPLES, sampled)


def _fail(uploads: Sequence[Upload], error: Exception) -> None:
    for upload in uploads:
        if not upload.is_done:
            upload.error = error


def _record_losses(connection: Connection, batches: Sequence[NewRecords]) -> None:
    """Record what nodes were promised and this hub does not have, as after a restore."""
    lost = [_lost(batch) for batch in batches if not batch.is_resumed]
    if lost:
        connection.execute(insert(schema.event), lost)


def _lost(batch: NewRecords) -> dict[str, object]:
    sender, first = batch.sender, batch.known + 1
    detail = (
        f"records {first} to {batch.upload.acknowledged} of boot {sender.boot} were acknowledged "
        "before, and this hub does not have them: was it restored from an older backup?"
    )
    _log.warning("records_lost", node=sender.node, detail=detail)
    return sender.event(first, sender.received_at, RECORDS_LOST, detail)


def _log_refused(batch: NewRecords) -> None:
    refused = batch.refused
    if refused:
        _log.warning(
            "records_refused",
            node=batch.sender.node,
            boot=batch.sender.boot,
            records=len(refused),
            sequence=refused[0].numbered.sequence,
            reason=refused[0].refused,
        )
