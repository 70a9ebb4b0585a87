"""Bytes: whole, compact, refused where damaged, and never a crash."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.fields import Field, Kind
from gnomon.core.profiling import build_reference
from gnomon.core.reference import ReferenceMismatch
from gnomon.core.row import Columns
from gnomon.core.window import Window
from gnomon.core.window.codec import BitReader, BitWriter, CorruptWindow

integers = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-100, 100))


@given(st.lists(st.lists(integers, max_size=50), max_size=8))
def test_integers_come_back(groups):
    writer = BitWriter()
    for group in groups:
        writer.write(np.array(group, dtype=np.int64))
    data = writer.finish()
    reader = BitReader(data)
    assert [reader.read(len(group)).tolist() for group in groups] == groups
    reader.finish()
    if data:
        with pytest.raises(CorruptWindow):
            short = BitReader(data[:-1])
            for group in groups:
                short.read(len(group))
            short.finish()


@given(st.binary(max_size=60), st.lists(st.integers(0, 40), max_size=5))
def test_any_bytes_are_read_or_refused(data, sizes):
    reader = BitReader(data)
    try:
        for size in sizes:
            assert len(reader.read(size)) == size
        reader.finish()
    except CorruptWindow:
        pass


def mixed_data(rows, seed):
    """Make 8 numeric fields of all shapes, 4 categories, and one output."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=rows)
    numbers = [
        base,
        0.7 * base + rng.normal(size=rows),
        rng.exponential(size=rows),
        rng.lognormal(0, 2, rows),
        rng.integers(0, 24, rows).astype(float),
        np.where(rng.random(rows) < 0.3, 0.0, rng.normal(50, 20, rows)),
        np.where(rng.random(rows) < 0.05, np.nan, rng.uniform(size=rows)),
        rng.normal(1e6, 10, rows),
    ]
    codes = [rng.integers(0, levels, rows).astype(np.int32) for levels in (2, 3, 8, 20)]
    return numbers, codes, numbers[1] * 3 + 100


def reference_of(numbers, codes):
    fields = [Field(name=f"x{index}", kind=Kind.FLOAT64) for index in range(len(numbers))]
    for index, column in enumerate(codes):
        allowed = tuple(f"level-{code}" for code in range(int(column.max()) + 1))
        fields.append(Field(name=f"c{index}", kind=Kind.CATEGORY, allowed=allowed))
    indices = set(range(len(numbers), len(fields)))
    return build_reference(fields, Columns([*numbers, *codes], None, indices))


NUMBERS, CODES, OUTPUT = mixed_data(20_000, 1)
INPUTS = reference_of(NUMBERS, CODES)
OUTPUTS = reference_of([OUTPUT], [])


def window_of(rows, seed=2):
    numbers, codes, output = mixed_data(rows, seed)
    window = Window(INPUTS, OUTPUTS, rules=40)
    window.update_columns(Columns([*numbers, *codes], None, set(range(8, 12))))
    window.update_output_columns(Columns([output]))
    for latency in np.random.default_rng(seed).lognormal(13, 0.4, min(rows, 2_000)):
        window.observe(0, int(latency))
    window.count_violations([3] * 17 + [20])
    return window


@pytest.mark.parametrize("rows", [0, 1, 500, 10_000, 100_000])
def test_twelve_mixed_fields_take_at_most_one_and_a_half_kilobytes(rows):
    window = window_of(rows)
    data = window.to_bytes()
    assert len(data) <= 1536
    again = Window.from_bytes(INPUTS, OUTPUTS, data, rules=40)
    assert again == window
    assert again.snapshot() == window.snapshot() or rows < 2  # NaN is not itself
    again.merge(window)
    assert again.rows == 2 * rows


def test_every_flipped_bit_and_every_cut_is_refused():
    data = window_of(500).to_bytes()
    dice = random.Random(5)
    for _ in range(300):
        place = dice.randrange(8 * len(data))
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << (place % 8)
        with pytest.raises((CorruptWindow, ReferenceMismatch)):
            Window.from_bytes(INPUTS, OUTPUTS, damaged, rules=40)
    for length in range(0, len(data), 7):
        with pytest.raises(CorruptWindow):
            Window.from_bytes(INPUTS, OUTPUTS, data[:length], rules=40)


def test_damage_behind_a_right_checksum_is_refused_or_counts_still_add_up():
    import struct
    import zlib

    data = window_of(500).to_bytes()
    dice = random.Random(6)
    for _ in range(300):
        damaged = bytearray(data[:-4])
        damaged[dice.randrange(20, len(damaged))] ^= 1 << dice.randrange(8)
        damaged += struct.pack("<I", zlib.crc32(damaged))
        try:
            read = Window.from_bytes(INPUTS, OUTPUTS, damaged, rules=40)
        except CorruptWindow:
            continue
        for index in range(12):
            assert read.cells(index).sum() == read.rows
            assert read.cells(index).min() >= 0
        read.snapshot()


def test_other_references_and_versions_are_refused():
    window = window_of(100)
    data = window.to_bytes()
    counts = [(one.counts[0] + 1, *one.counts[1:]) for one in INPUTS.fields]
    for inputs, outputs in (
        (OUTPUTS, INPUTS),
        (INPUTS, None),
        (INPUTS.with_counts(counts), OUTPUTS),
    ):
        with pytest.raises(ReferenceMismatch):
            Window.from_bytes(inputs, outputs, data, rules=40)
    import struct
    import zlib

    newer = bytearray(data[:-4])
    newer[2] = 9
    newer += struct.pack("<I", zlib.crc32(newer))
    with pytest.raises(CorruptWindow, match="version 9"):
        Window.from_bytes(INPUTS, OUTPUTS, newer, rules=40)


def test_a_sketch_and_extremes_survive():
    reference = build_reference([Field(name="free", kind=Kind.FLOAT64)], {"free": [math.nan] * 3})
    window = Window(reference)
    window.update_columns(Columns([np.array([-1e30, 0.1, math.nan, math.inf])]))
    again = Window.from_bytes(reference, None, window.to_bytes())
    assert again == window
    assert again.moments("free").minimum == -1e30 and again.moments("free").maximum == math.inf
