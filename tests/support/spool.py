"""Records for a spool, and what a hub does with them."""

from collections.abc import Iterable

from gnomon.edge.telemetry.spool import Spool
from gnomon.proto import hub_pb2


def window(detail: bytes = b"w", **key: object) -> hub_pb2.Record:
    return hub_pb2.Record(window=hub_pb2.Window(digest="d", rows=1, window=detail, **key))


def sample(count: int = 3) -> hub_pb2.Record:
    ids = [str(number) for number in range(count)]
    return hub_pb2.Record(predictions=hub_pb2.Predictions(digest="d", request_ids=ids))


def add(_: str, one: bytes, other: bytes) -> bytes:
    """Merge the windows of these tests, which hold a number."""
    return str(int(one) + int(other)).encode()


class Receiver:
    """What the hub does: takes records above the boot's watermark, skips the others."""

    def __init__(self) -> None:
        self.watermarks: dict[str, int] = {}
        self.taken: list[hub_pb2.Record] = []

    def upload(self, boot_id: str, records: list[bytes]) -> int:
        for data in records:
            record = hub_pb2.Record.FromString(data)
            if record.sequence > self.watermarks.get(boot_id, 0):
                self.taken.append(record)
                self.watermarks[boot_id] = record.sequence
        return self.watermarks.get(boot_id, 0)

    def drain(self, spool: Spool, limit_bytes: int = 300) -> None:
        while spool.figures().records:
            boot_id, records = spool.batch(limit_bytes)
            spool.acknowledge(boot_id, self.upload(boot_id, records))


def rows_in(records: Iterable[hub_pb2.Record]) -> int:
    windows = [record.window for record in records if record.HasField("window")]
    assert sum(one.rows for one in windows) == sum(int(one.window) for one in windows)
    return sum(one.rows for one in windows)
