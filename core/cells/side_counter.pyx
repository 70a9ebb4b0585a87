# distutils: depends = src/gnomon/core/cells/block_kernels.h src/gnomon/core/cells/load_kernels.h
"""The counts of one side of a window: fixed-size buffers around the loops of side_counter.h."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from gnomon.core.row cimport Column, Columns

import math

import numpy as np

cdef extern from "side_counter.h":
    ctypedef struct NumericField:
        int32_t kind, bins, zero_cell, slot
        int64_t cells, moments
        const double* edges
        const int32_t* keys
        double shift, inverse_step, center, inverse_spread, median, tie

    ctypedef struct Pair:
        int32_t first, second

    ctypedef struct Side:
        int32_t fields, pairs, slots, pending
        NumericField* field
        Pair* pair
        int64_t pair_counts, size
        int32_t* slot_field
        int64_t* counts
        double* extremes
        double* waiting
        int16_t* stage
        uint8_t* gaps
        int32_t wide

    enum:
        BLOCK
        WAITING
        KIND_NUMERIC
        KIND_SKETCH
        KIND_CATEGORY
    double LIMIT
    double SCORE_UNIT
    int side_can_run_wide() noexcept nogil
    int32_t quantise_one(double x, double shift, double scale, double limit) noexcept nogil
    int sketch_bucket(double x) noexcept nogil
    void side_row(Side* side, const double* values, const uint8_t* status) noexcept nogil
    void side_block(Side* side, int i, const void* data, const uint8_t* status, int type,
                    int64_t start, int rows) noexcept nogil
    void side_end_block(Side* side, int rows) noexcept nogil
    void side_settle(Side* side) noexcept nogil
    void side_clear(Side* side) noexcept nogil
    void side_absorb(Side* side, const int64_t* counts, const double* extremes) noexcept nogil

cdef dict KINDS = {"numeric": KIND_NUMERIC, "sketch": KIND_SKETCH, "category": KIND_CATEGORY}


cdef void* address(array) except? NULL:
    return <void*><uintptr_t>array.ctypes.data


cdef class CountingPlan:
    def __cinit__(self, layout, edges):
        cdef Py_ssize_t index
        self.layout = layout
        count = len(layout.fields)
        self._records = np.zeros(max(count, 1) * sizeof(NumericField), dtype=np.uint8)
        self._slots = np.array(layout.slots or (0,), dtype=np.int32)
        self._pairs = np.zeros((max(len(layout.pairs), 1), 2), dtype=np.int32)
        self._edges = []
        self._keys = []
        for index in range(count):
            self._describe(index, layout.fields[index])
            self._place_edges(index, edges[index])
        slots = list(layout.slots)
        for index, (first, second) in enumerate(layout.pairs):
            self._pairs[index] = slots.index(first), slots.index(second)

    def _describe(self, Py_ssize_t index, field):
        cdef NumericField* record = &(<NumericField*>address(self._records))[index]
        record.kind = KINDS[field.kind]
        record.bins = field.bins
        record.slot = field.slot
        record.cells = field.cells
        record.moments = field.moments
        record.shift = field.shift
        record.inverse_step = 1.0 / field.step
        record.center = field.center
        record.inverse_spread = SCORE_UNIT / field.spread if field.spread > 0 else 0.0
        record.median = field.median
        record.tie = field.tie

    def _place_edges(self, Py_ssize_t index, edges):
        """Nudge the last edge up: the last bin is closed. NaN ends every search."""
        cdef NumericField* record = &(<NumericField*>address(self._records))[index]
        nudged = list(edges)
        if nudged:
            nudged.append(math.nextafter(nudged.pop(), math.inf))
        kept = np.array([*nudged, math.nan])
        keys = np.array(
            [quantise_one(edge, record.shift, record.inverse_step, LIMIT) for edge in nudged],
            dtype=np.int32,
        )
        self._edges.append(kept)
        self._keys.append(keys)
        record.edges = <const double*>address(kept)
        record.keys = <const int32_t*>address(keys)
        record.zero_cell = int(np.count_nonzero(keys < 0))

    @property
    def nbytes(self):
        arrays = (self._records, self._slots, self._pairs, *self._edges, *self._keys)
        return sum(array.nbytes for array in arrays)


cdef class SideCounter:
    def __cinit__(self, reference, version="auto"):
        self.reference = reference
        self._plan = reference.window_plan
        self.layout = self._plan.layout
        self.fields = len(reference.fields)
        self.side = calloc(1, sizeof(Side))
        if self.side == NULL:
            raise MemoryError
        self._allocate()
        self._choose(version)

    def __dealloc__(self):
        free(self.side)

    def _allocate(self):
        cdef Side* side = <Side*>self.side
        layout, plan = self.layout, self._plan
        self.counts = np.zeros(layout.size, dtype=np.int64)
        self.extremes = np.empty((max(self.fields, 1), 2))
        self._waiting = np.zeros((max(self.fields, 1), WAITING))
        self._stage = np.zeros(max(len(layout.slots), 1) * 3 * BLOCK, dtype=np.int16)
        self._gaps = np.zeros(max(len(layout.slots), 1), dtype=np.uint8)
        side.fields = self.fields
        side.pairs = len(layout.pairs)
        side.slots = len(layout.slots)
        side.pair_counts = layout.pair_counts
        side.field = <NumericField*>address(plan._records)
        side.pair = <Pair*>address(plan._pairs)
        side.slot_field = <int32_t*>address(plan._slots)
        side.counts = <int64_t*>address(self.counts)
        side.extremes = <double*>address(self.extremes)
        side.waiting = <double*>address(self._waiting)
        side.stage = <int16_t*>address(self._stage)
        side.gaps = <uint8_t*>address(self._gaps)
        side.size = layout.size
        side_clear(side)

    def _choose(self, version):
        if version not in ("auto", "base", "wide"):
            raise ValueError(f"version is {version!r}, expected 'auto', 'base' or 'wide'")
        can = side_can_run_wide()
        if version == "wide" and not can:
            raise ValueError("this processor has no AVX2")
        (<Side*>self.side).wide = can and version != "base"

    cdef void add_row(self, const double* values, const uint8_t* status) noexcept nogil:
        side_row(<Side*>self.side, values, status)

    cdef void add_columns(self, Columns columns) noexcept nogil:
        cdef Side* side = <Side*>self.side
        cdef const Column* column
        cdef Py_ssize_t start = 0, index
        cdef int rows
        while start < columns.rows:
            rows = <int>min(columns.rows - start, <Py_ssize_t>BLOCK)
            for index in range(self.fields):
                column = &columns.columns[index]
                side_block(side, <int>index, column.data, column.status, column.type, start, rows)
            side_end_block(side, rows)
            start += rows

    cdef void copy_to(self, int64_t* counts, double* extremes) noexcept nogil:
        """Copy the numbers to arrays of the same layout."""
        cdef Side* side = <Side*>self.side
        side_settle(side)
        memcpy(counts, side.counts, side.size * sizeof(int64_t))
        memcpy(extremes, side.extremes, 2 * side.fields * sizeof(double))

    cdef void absorb(self, const int64_t* counts, const double* extremes) noexcept nogil:
        """Add numbers that `copy_to` gave."""
        side_absorb(<Side*>self.side, counts, extremes)

    cdef void wipe(self) noexcept nogil:
        side_clear(<Side*>self.side)

    @property
    def nbytes(self):
        arrays = (self.counts, self.extremes, self._waiting, self._stage, self._gaps)
        return sizeof(Side) + self._plan.nbytes + sum(array.nbytes for array in arrays)


def bucket_of(double value):
    """Return the sketch's bucket of a value that is not NaN."""
    return sketch_bucket(value)


def can_run_wide():
    """Return whether this processor runs the AVX2 version of the loops."""
    return bool(side_can_run_wide())
