"""Labels: what turned out to be true, joined to predictions by request."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection


class LabelRow(NamedTuple):
    """One label of one request, from a node or from a person."""

    model: str
    request_id: str
    at: int  # Unix milliseconds, the data's own time
    value: float


def ingest(connection: Connection, labels: Iterable[LabelRow]) -> int:
    """Store labels in the caller's transaction and return how many were new."""
    raise NotImplementedError
