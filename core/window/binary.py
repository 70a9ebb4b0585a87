"""A window as bytes: what differs from the reference's expectation, Rice-coded.

The form, version 1: `b"GW"`, version, flags (1: has outputs), the first 8 bytes of the input
reference's digest, those of the output reference's, if any, bits, CRC-32 of all before it
(little-endian). The digest covers layout and shares, both of which reading depends on.
The bits hold the service counts, then each side: rows; for each field its cells less what the
reference's shares foretell, then its moments and extremes, or its sketch; then the pairs.
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnomon.core.cells.layout import MOMENTS, PAIR_SUMS, SIGN_UNIT
from gnomon.core.reference import Reference, ReferenceMismatch
from gnomon.core.window.codec import BitReader, BitWriter, CorruptWindow

MAGIC = b"GW"
VERSION = 1
HAS_OUTPUTS = 1
LARGEST_SUM = 2**62

Counts = NDArray[np.int64]
Extremes = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SideCounts:
    """The numbers of one side (inputs or outputs), in the order of its layout.

    Attributes:
        reference: what was counted against.
        counts: int64, of the layout's `size`.
        extremes: float64 `(fields, 2)`, least and greatest value of each field.
    """

    reference: Reference
    counts: Counts
    extremes: Extremes


def encode(service: list[Counts], sides: list[SideCounts]) -> bytes:
    """Write the service counts, group by group, and one or two sides."""
    flags = HAS_OUTPUTS if len(sides) == 2 else 0
    head = MAGIC + bytes((VERSION, flags))
    head += b"".join(bytes.fromhex(side.reference.digest[:16]) for side in sides)
    writer = BitWriter()
    for group in service:
        _write_sparse(writer, group)
    for side in sides:
        _write_side(writer, side)
    body = head + writer.finish()
    return body + struct.pack("<I", zlib.crc32(body))


def decode(
    data: bytes, service_sizes: list[int], references: list[Reference]
) -> tuple[list[Counts], list[SideCounts]]:
    """Read what `encode` wrote.

    Raises `CorruptWindow` for bytes that are damaged, and `ReferenceMismatch` for a window
    that was counted against other references.
    """
    body = _checked_body(data)
    start = _check_references(body, references)
    reader = BitReader(body[start:])
    service = [_read_sparse(reader, size) for size in service_sizes]
    sides = [_read_side(reader, reference) for reference in references]
    reader.finish()
    return service, sides


def _checked_body(data: bytes) -> bytes:
    if len(data) < 16 or data[:2] != MAGIC:
        raise CorruptWindow(f"{len(data)} bytes that do not begin like a window")
    if data[2] != VERSION:
        raise CorruptWindow(f"the window has version {data[2]}, this program reads {VERSION}")
    body = data[:-4]
    if struct.unpack("<I", data[-4:])[0] != zlib.crc32(body):
        raise CorruptWindow("the window's checksum does not fit its bytes")
    return body


def _check_references(body: bytes, references: list[Reference]) -> int:
    count = 2 if body[3] & HAS_OUTPUTS else 1
    if count != len(references):
        raise ReferenceMismatch(f"the window has {count} sides, got {len(references)} references")
    start = 4
    for side, reference in zip(("input", "output"), references, strict=False):
        found = body[start : start + 8].hex()
        if found != reference.digest[:16]:
            raise ReferenceMismatch(
                f"the window's {side} reference is {found}…, the one given is "
                f"{reference.digest[:16]}…"
            )
        start += 8
    return start


def _expected(reference: Reference, rows: int) -> Counts:
    """Return how many of `rows` rows would fall in each cell of all fields, had nothing changed."""
    expected: Counts = np.floor(rows * reference.cell_shares).astype(np.int64)
    return expected


def _write_side(writer: BitWriter, side: SideCounts) -> None:
    layout, counts = side.reference.window_layout, side.counts
    rows = int(counts[0])
    expected, start = _expected(side.reference, rows), 0
    writer.write(counts[:1])
    for index, field in enumerate(layout.fields):
        cells = counts[field.cells : field.cells + field.cell_count]
        writer.write(cells - expected[start : start + field.cell_count])
        start += field.cell_count
        moments = counts[field.moments : field.moments + field.moment_count]
        if field.kind == "sketch":
            _write_sparse(writer, moments)
        else:
            for value in range(len(moments)):
                writer.write(moments[value : value + 1])
        if field.kind != "category":
            writer.write(side.extremes[index].view(np.int64))
    sums = counts[layout.pair_counts :].reshape(-1, PAIR_SUMS)
    writer.write(rows - sums[:, 0])
    writer.write(np.ascontiguousarray(sums[:, 1]))
    writer.write(np.ascontiguousarray(sums[:, 2]))


def _read_side(reader: BitReader, reference: Reference) -> SideCounts:
    layout = reference.window_layout
    counts = np.zeros(layout.size, dtype=np.int64)
    extremes = np.tile([np.inf, -np.inf], (max(len(layout.fields), 1), 1))
    counts[:1] = reader.read(1)
    rows = int(counts[0])
    if not 0 <= rows < 2**53:
        raise CorruptWindow(f"a window cannot have {rows} rows")
    expected, start = _expected(reference, rows), 0
    moment_sums = []
    for index, field in enumerate(layout.fields):
        cells = counts[field.cells : field.cells + field.cell_count]
        cells[:] = reader.read(field.cell_count)
        cells += expected[start : start + field.cell_count]
        start += field.cell_count
        moments = counts[field.moments : field.moments + field.moment_count]
        if field.kind == "sketch":
            moments[:] = _read_sparse(reader, field.moment_count)
        elif field.kind != "category":
            moments[:] = reader.read_each(MOMENTS)
            moment_sums.append(moments)
        if field.kind != "category":
            extremes[index] = reader.read(2).view(np.float64)
    _check_cells(reference, counts, rows)
    _check_sums(moment_sums)
    if np.isnan(extremes).any():
        raise CorruptWindow("an extreme is not a number")
    sums = counts[layout.pair_counts :].reshape(-1, PAIR_SUMS)
    pairs = len(layout.pairs)
    sums[:, 0] = rows - reader.read(pairs)
    sums[:, 1] = reader.read(pairs)
    sums[:, 2] = reader.read(pairs)
    if pairs and not (int(sums[:, 0].min()) >= 0 and int(sums[:, 0].max()) <= rows):
        raise CorruptWindow("a pair has more complete rows than the window has rows")
    if (np.abs(sums[:, 1]) > SIGN_UNIT**2 * sums[:, 0]).any():
        raise CorruptWindow("the signs of a pair cannot come from its rows")
    return SideCounts(reference, counts, extremes)


def _check_cells(reference: Reference, counts: Counts, rows: int) -> None:
    fields = reference.window_layout.fields
    if not fields:
        return
    cells = np.concatenate([counts[one.cells : one.cells + one.cell_count] for one in fields])
    starts = np.cumsum([0, *(one.cell_count for one in fields[:-1])])
    is_wrong = np.add.reduceat(cells, starts) != rows
    if is_wrong.any() or int(cells.min()) < 0 or int(cells.max()) > rows:
        is_wrong |= np.minimum.reduceat(cells, starts) < 0
        is_wrong |= np.maximum.reduceat(cells, starts) > rows
        name = reference.fields[int(is_wrong.argmax())].name
        raise CorruptWindow(f"the cells of field {name!r} do not add up to {rows} rows")


def _check_sums(sums: list[Counts]) -> None:
    """Check the moments of all numeric fields."""
    if not sums:
        return
    found = np.stack(sums)
    is_large = (found > LARGEST_SUM) | (found < -LARGEST_SUM)
    if is_large.any() or (found[:, [1, 2, 4]] < 0).any():
        raise CorruptWindow("the sums of a field cannot come from any values")


def _write_sparse(writer: BitWriter, values: Counts) -> None:
    """Write only the stretch between the first and the last value that is not zero."""
    used = np.flatnonzero(values)
    first = int(used[0]) if len(used) else 0
    length = int(used[-1]) + 1 - first if len(used) else 0
    writer.write(np.array([first, length], dtype=np.int64))
    writer.write(values[first : first + length])


def _read_sparse(reader: BitReader, size: int) -> Counts:
    first, length = (int(value) for value in reader.read(2))
    if first < 0 or length < 0 or first + length > size:
        raise CorruptWindow(f"{length} counts from {first} on do not fit in {size}")
    values = np.zeros(size, dtype=np.int64)
    values[first : first + length] = reader.read(length)
    if length and int(values.min()) < 0:
        raise CorruptWindow("a count is negative")
    return values
