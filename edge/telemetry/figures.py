"""What a spool holds, and what it lost."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpoolFigures:
    """The content of the spool, and what was lost since it was opened.

    Attributes:
        records: records that wait for the hub.
        bytes: their size.
        merged: windows that were merged into others.
        dropped: samples that were dropped.
        damaged: places in the files that cannot be read.
        lost: records in segments that could no longer be read.
        in_memory: records that are in memory only, since the disk cannot be written.
        disk_error: why it cannot be written; empty: it can.
    """

    records: int
    bytes: int
    merged: int
    dropped: int
    damaged: int
    lost: int = 0
    in_memory: int = 0
    disk_error: str = ""
