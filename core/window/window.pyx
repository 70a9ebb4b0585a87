"""`Window`: what one package saw on one node over one interval, as counts that merge exactly."""

from libc.stdint cimport int64_t, uint8_t, uintptr_t
from libc.string cimport memcpy, memset

from gnomon.core.cells.latency cimport LATENCY_BUCKETS, latency_bucket
from gnomon.core.row cimport Columns, Row
from gnomon.core.cells.side_counter cimport SideCounter

import numpy as np

from gnomon.core.window import reading as window_reading
from gnomon.core.window.binary import SideCounts, decode, encode
from gnomon.core.reference import ReferenceMismatch

__all__ = ["ANSWERED_CODE", "FAILED_CODE", "FALLBACK_CODE", "REFUSED_CODE", "Window"]

ANSWERED_CODE = ANSWERED
REFUSED_CODE = REFUSED
FAILED_CODE = FAILED
FALLBACK_CODE = FALLBACK

cdef enum:
    LATENCY_START = 2 * OUTCOMES
    RULES_START = 2 * OUTCOMES + LATENCY_BUCKETS


cdef class WindowSnapshot:
    """All numbers of a window, at rest."""

    def __init__(self, Window window):
        sides = []
        for counter in (window._inputs, window._outputs):
            if counter is not None:
                counts, extremes = np.empty_like(counter.counts), np.empty_like(counter.extremes)
                sides.append(SideCounts(counter.reference, counts, extremes))
        self.sides = sides
        self.service = np.empty_like(window._service)
        self.service_counts = <int64_t*><uintptr_t>self.service.ctypes.data
        self.input_counts = <int64_t*><uintptr_t>sides[0].counts.ctypes.data
        self.input_extremes = <double*><uintptr_t>sides[0].extremes.ctypes.data
        if len(sides) == 2:
            self.output_counts = <int64_t*><uintptr_t>sides[1].counts.ctypes.data
            self.output_extremes = <double*><uintptr_t>sides[1].extremes.ctypes.data


cdef class Window:
    def __init__(self, inputs, outputs=None, Py_ssize_t rules=0, *, version="auto"):
        if rules < 0:
            raise ValueError(f"a window has 0 or more rules, not {rules}")
        self._inputs = SideCounter(inputs, version)
        self._has_outputs = outputs is not None
        self._outputs = SideCounter(outputs, version) if outputs is not None else None
        self.rules = rules
        self._service = np.zeros(RULES_START + rules, dtype=np.int64)
        self._service_counts = <int64_t*><uintptr_t>self._service.ctypes.data
        self._service_bytes = self._service.nbytes

    def update_row(self, Row row not None):
        if row.fields != self._inputs.fields:
            raise width_error("inputs", row.fields, self._inputs.fields)
        window_update_row(self, row.value_buffer, row.status_buffer)

    def update_output_row(self, Row row not None):
        if not self._has_outputs:
            raise ValueError("the window has no reference of outputs")
        if row.fields != self._outputs.fields:
            raise width_error("outputs", row.fields, self._outputs.fields)
        window_update_output_row(self, row.value_buffer, row.status_buffer)

    def update_columns(self, Columns columns not None, violations=None):
        if columns.fields != self._inputs.fields:
            raise width_error("inputs", columns.fields, self._inputs.fields)
        codes = self._checked_codes(violations)
        with nogil:
            window_update_columns(self, columns)
        self.count_violations(codes)

    def update_output_columns(self, Columns columns not None, violations=None):
        if not self._has_outputs:
            raise ValueError("the window has no reference of outputs")
        if columns.fields != self._outputs.fields:
            raise width_error("outputs", columns.fields, self._outputs.fields)
        codes = self._checked_codes(violations)
        with nogil:
            window_update_output_columns(self, columns)
        self.count_violations(codes)

    def observe(self, int outcome, int64_t latency_ns, int64_t rows=1):
        if not 0 <= outcome < OUTCOMES:
            raise ValueError(f"outcome {outcome}, expected 0 to {OUTCOMES - 1}")
        if rows < 0:
            raise ValueError(f"{rows} rows were observed, expected 0 or more")
        window_observe(self, <Outcome>outcome, latency_ns, rows)

    def count_violations(self, violations):
        cdef int64_t[::1] counts
        cdef Py_ssize_t rule
        codes = self._checked_codes(violations)
        if codes is None or codes.size == 0:
            return
        counts = np.bincount(codes, minlength=self.rules).astype(np.int64)
        with nogil, self.lock:
            for rule in range(self.rules):
                self._service_counts[RULES_START + rule] += counts[rule]

    def _checked_codes(self, violations):
        """Return rule codes that fit: those of an array, or of an object that has `rules`."""
        if violations is None:
            return None
        codes = np.asarray(getattr(violations, "rules", violations))
        if codes.size and not np.issubdtype(codes.dtype, np.integer):
            raise TypeError(f"rule codes are whole numbers, not {codes.dtype}")
        if codes.size and not (0 <= codes.min() and codes.max() < self.rules):
            raise ValueError(
                f"rule codes {codes.min()} to {codes.max()}, the window counts {self.rules} rules"
            )
        return codes.astype(np.int64)

    cdef WindowSnapshot _snapshot(self, bint wipe):
        """Copy all numbers in one step under the lock, and reset them if `wipe`."""
        cdef WindowSnapshot snapshot = WindowSnapshot(self)
        with nogil, self.lock:
            self._inputs.copy_to(snapshot.input_counts, snapshot.input_extremes)
            if self._has_outputs:
                self._outputs.copy_to(snapshot.output_counts, snapshot.output_extremes)
            memcpy(snapshot.service_counts, self._service_counts, self._service_bytes)
            if wipe:
                self._wipe()
        return snapshot

    cdef void _add(self, WindowSnapshot snapshot) noexcept nogil:
        cdef Py_ssize_t index
        with self.lock:
            self._inputs.absorb(snapshot.input_counts, snapshot.input_extremes)
            if self._has_outputs:
                self._outputs.absorb(snapshot.output_counts, snapshot.output_extremes)
            for index in range(RULES_START + self.rules):
                self._service_counts[index] += snapshot.service_counts[index]

    cdef void _wipe(self) noexcept nogil:
        self._inputs.wipe()
        if self._has_outputs:
            self._outputs.wipe()
        memset(self._service_counts, 0, self._service_bytes)

    cdef Window _window_of(self, WindowSnapshot snapshot):
        cdef Window copied = Window(self.inputs, self.outputs, self.rules)
        with nogil:
            copied._add(snapshot)
        return copied

    def copy(self):
        return self._window_of(self._snapshot(False))

    def take(self):
        return self._window_of(self._snapshot(True))

    def reset(self):
        with nogil, self.lock:
            self._wipe()

    def merge(self, Window other not None):
        self._check_mergeable(other)
        # A copy first: never two locks at once, and a window may merge with itself.
        cdef WindowSnapshot snapshot = other._snapshot(False)
        with nogil:
            self._add(snapshot)

    def _check_mergeable(self, Window other):
        if self.rules != other.rules:
            raise ReferenceMismatch(f"windows of {self.rules} and of {other.rules} rules")
        for side, mine, theirs in (("inputs", self.inputs, other.inputs),
                                   ("outputs", self.outputs, other.outputs)):
            if mine is theirs:
                continue
            if mine is None or theirs is None or mine.layout != theirs.layout:
                raise ReferenceMismatch(f"the windows' {side} were counted in different cells")

    def to_bytes(self):
        cdef WindowSnapshot snapshot = self._snapshot(False)
        groups = [snapshot.service[:OUTCOMES], snapshot.service[OUTCOMES:LATENCY_START],
                  snapshot.service[LATENCY_START:RULES_START], snapshot.service[RULES_START:]]
        return encode(groups, snapshot.sides)

    @staticmethod
    def from_bytes(inputs, outputs, data, Py_ssize_t rules=0):
        cdef Window window = Window(inputs, outputs, rules)
        references = [inputs] if outputs is None else [inputs, outputs]
        sizes = [OUTCOMES, OUTCOMES, LATENCY_BUCKETS, rules]
        groups, sides = decode(bytes(data), sizes, references)
        window._service[:] = np.concatenate(groups)
        for counter, read in zip((window._inputs, window._outputs), sides, strict=False):
            counter.counts[:] = read.counts
            counter.extremes[:] = read.extremes
        return window

    @property
    def inputs(self):
        return self._inputs.reference

    @property
    def outputs(self):
        return self._outputs.reference if self._has_outputs else None

    @property
    def nbytes(self):
        sides = self._inputs.nbytes + (self._outputs.nbytes if self._has_outputs else 0)
        return sides + self._service.nbytes

    def _read(self, bint outputs=False):
        """Return the numbers of one side, as they are now."""
        if outputs and not self._has_outputs:
            raise ValueError("the window has no reference of outputs")
        return self._snapshot(False).sides[1 if outputs else 0]

    def _read_service(self):
        return self._snapshot(False).service

    def read_totals(self):
        cdef WindowSnapshot snapshot = self._snapshot(False)
        service = snapshot.service
        return window_reading.Totals(
            int(snapshot.sides[0].counts[0]),
            int(snapshot.sides[1].counts[0]) if self._has_outputs else 0,
            window_reading.outcomes(service[:OUTCOMES]),
            window_reading.outcomes(service[OUTCOMES:LATENCY_START]),
            service[LATENCY_START:RULES_START],
            service[RULES_START:],
        )

    @property
    def rows(self):
        return int(self._read().counts[0])

    @property
    def output_rows(self):
        return int(self._read(True).counts[0]) if self._has_outputs else 0

    @property
    def outcomes(self):
        return window_reading.outcomes(self._read_service()[:OUTCOMES])

    @property
    def outcome_rows(self):
        return window_reading.outcomes(self._read_service()[OUTCOMES:LATENCY_START])

    @property
    def violations(self):
        return self._read_service()[RULES_START:]

    @property
    def latency_counts(self):
        return self._read_service()[LATENCY_START:RULES_START]

    def latency(self, share):
        return window_reading.latency(self.latency_counts, share)

    def read_cells(self):
        return window_reading.all_cells(self._snapshot(False).sides)

    def cells(self, field):
        return window_reading.cells(self._read(), field)

    def output_cells(self, field):
        return window_reading.cells(self._read(True), field)

    def pair_cells(self, pair):
        return window_reading.pair_cells(self._read(), pair)

    def output_pair_cells(self, pair):
        return window_reading.pair_cells(self._read(True), pair)

    def moments(self, field):
        return window_reading.moments(self._read(), field)

    def output_moments(self, field):
        return window_reading.moments(self._read(True), field)

    def correlation(self, pair):
        return window_reading.correlation(self._read(), pair)

    def quantile(self, field, share):
        return window_reading.quantile(self._read(), field, share)

    def snapshot(self):
        cdef WindowSnapshot snapshot = self._snapshot(False)
        service = {
            "outcomes": snapshot.service[:OUTCOMES],
            "outcome_rows": snapshot.service[OUTCOMES:LATENCY_START],
            "latency": snapshot.service[LATENCY_START:RULES_START],
            "violations": snapshot.service[RULES_START:],
        }
        return window_reading.snapshot(service, snapshot.sides)

    def __eq__(self, other):
        if not isinstance(other, Window):
            return NotImplemented
        return self.rules == other.rules and self.to_bytes() == other.to_bytes()

    __hash__ = None

    def __reduce__(self):
        return Window.from_bytes, (self.inputs, self.outputs, self.to_bytes(), self.rules)


cdef width_error(side, Py_ssize_t got, Py_ssize_t expected):
    return ValueError(f"{got} fields, but the window's reference of {side} has {expected}")


cdef void window_update_row(
    Window window, const double* values, const uint8_t* status
) noexcept nogil:
    with window.lock:
        window._inputs.add_row(values, status)


cdef void window_update_output_row(
    Window window, const double* values, const uint8_t* status
) noexcept nogil:
    with window.lock:
        window._outputs.add_row(values, status)


cdef void window_update_columns(Window window, Columns columns) noexcept nogil:
    with window.lock:
        window._inputs.add_columns(columns)


cdef void window_update_output_columns(Window window, Columns columns) noexcept nogil:
    with window.lock:
        window._outputs.add_columns(columns)


cdef void window_observe(
    Window window, Outcome outcome, int64_t latency_ns, int64_t rows
) noexcept nogil:
    with window.lock:
        window._service_counts[<int>outcome] += 1
        window._service_counts[OUTCOMES + <int>outcome] += rows
        if outcome == ANSWERED or outcome == FALLBACK:
            window._service_counts[LATENCY_START + latency_bucket(latency_ns)] += 1


cdef void window_count_violation(Window window, int rule, int64_t count) noexcept nogil:
    with window.lock:
        window._service_counts[RULES_START + rule] += count
