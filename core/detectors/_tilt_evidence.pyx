"""Shiryaev-Roberts over a set of tilts of cell counts: the loop behind `FieldDetector`."""

from libc.math cimport exp, log, log1p
import numpy as np

cdef enum:
    EVIDENCE = 0  # Shiryaev-Roberts statistic, linear
    LEAD = 1  # CUSUM of the log evidence, which dates the change
    SCORE = 2  # dense: score, else: rows of the group, summed since the CUSUM was last zero
    ROWS = 3  # effective rows summed since then
    AGE = 4  # windows since then
    COLUMNS = 5

cdef double LOG_CAP = 500.0  # exp(500) times any live statistic is still a double
cdef double MOST_BURST = 1000.0  # rows of a burst beyond which other tilts do better
cdef double NOTHING = -25.0  # log evidence whose exponential no sum notices


cdef class TiltEvidence:
    """State and constants of one field; see `gnomon.core.detectors.field` for the formula."""

    cdef const double[:, ::1] dense
    cdef const int[::1] cell_group, group
    cdef const double[::1] theta, linear, quadratic, reach, weight, log_weight, preference
    cdef double[:, ::1] state
    cdef double[::1] cost, burst, sums, gain, seen
    cdef double effect, block, costed, threshold
    cdef readonly double evidence
    cdef Py_ssize_t cells, tilts, tilted, groups

    def __init__(self, tilt_set, double design_effect, double block_rows, double threshold):
        self.dense = np.ascontiguousarray(tilt_set.dense.T)
        self.cell_group = tilt_set.cell_group
        self.group = tilt_set.group
        self.theta = tilt_set.theta
        self.linear = tilt_set.linear
        self.quadratic = tilt_set.quadratic
        self.reach = tilt_set.reach
        self.weight = tilt_set.weight
        self.log_weight = np.log(tilt_set.weight)
        self.preference = tilt_set.preference
        self.tilted = tilt_set.dense.shape[0]
        self.cells = self.cell_group.shape[0]
        self.tilts = self.weight.shape[0]
        self.groups = tilt_set.groups
        self.state = np.zeros((COLUMNS, self.tilts))
        self.gain = np.zeros(self.tilts)
        self.seen = np.zeros(self.tilts)
        self.cost = np.zeros(self.tilts)
        self.burst = np.zeros(self.tilts)
        self.sums = np.zeros(self.groups + 1)
        self.effect = design_effect
        self.block = block_rows
        self.threshold = threshold
        self.costed = -1.0
        self.evidence = 0.0

    def get_state(self):
        """Return a copy of the state: columns × tilts."""
        return np.array(self.state)

    def set_state(self, const double[:, ::1] state, double evidence):
        """Replace the state by a copy of `state`."""
        self.state[:, :] = state
        self.evidence = evidence

    def reset(self):
        """Forget all evidence."""
        self.state[:, :] = 0.0
        self.evidence = 0.0

    def update(self, const long long[::1] counts):
        """Take one window's counts; return the winning tilt where there is an alarm, else -1."""
        if counts.shape[0] != self.cells:
            raise ValueError(f"counts has {counts.shape[0]} cells, must have {self.cells}")
        cdef double rows
        cdef Py_ssize_t winner = -1
        with nogil:
            rows = self.gather(counts)
            if rows > 0.0:
                if rows != self.costed:
                    self.price(rows)
                if self.advance(rows) >= self.threshold:
                    winner = self.best()
        return winner

    cdef double gather(self, const long long[::1] counts) noexcept nogil:
        # Effective rows of the window, rows of each group, scores of the dense tilts.
        cdef Py_ssize_t cell, tilt, tilted = self.tilted
        cdef double value, effect = self.effect
        cdef long long rows = 0
        cdef const double *theta
        cdef double *score = &self.seen[0]
        for cell in range(self.groups + 1):
            self.sums[cell] = 0.0
        for tilt in range(tilted):
            score[tilt] = 0.0
        for cell in range(self.cells):
            rows += counts[cell]
        if rows <= 0:
            return 0.0
        if 1.0 < self.block and rows < self.block:  # few rows of a block repeat less
            effect = 1.0 + (rows - 1.0) * (effect - 1.0) / (self.block - 1.0)
        effect = 1.0 / effect
        for cell in range(self.cells):
            if counts[cell] == 0:
                continue
            value = counts[cell] * effect
            self.sums[self.cell_group[cell]] += value
            if tilted:
                theta = &self.dense[cell, 0]
                for tilt in range(tilted):
                    score[tilt] += theta[tilt] * value
        return rows * effect

    cdef void price(self, double rows) noexcept nogil:
        # What a tilt's score costs depends on the window's rows only.
        cdef Py_ssize_t tilt
        cdef double span
        for tilt in range(self.tilts):
            if self.reach[tilt] < 0.0:
                self.price_burst(tilt, rows)
            else:
                span = rows if rows > self.reach[tilt] else self.reach[tilt]
                self.cost[tilt] = rows * (self.linear[tilt] + span * self.quadratic[tilt])
        self.costed = rows

    cdef void price_burst(self, Py_ssize_t tilt, double rows) noexcept nogil:
        # The fewest rows whose chance under the reference's posterior (a Gamma of `linear` events
        # in `quadratic` rows) is small enough to alarm, and the logarithm of that chance.
        cdef double events = self.linear[tilt]
        cdef double ratio = rows / (rows + self.quadratic[tilt])
        cdef double target = exp(self.log_weight[tilt] - self.threshold) * (1.0 - 1e-9)
        cdef double term = exp(events * log1p(-ratio)), step, tail = 1.0, count = 0.0
        while tail > target and count < MOST_BURST:
            term *= ratio * (count + events) / (count + 1.0)
            count += 1.0
            # The terms that follow shrink at least as fast as this step.
            step = ratio * (count + events) / (count + 1.0)
            if step < 1.0:
                tail = term / (1.0 - step)
        # A window far larger than the reference has no count that is rare enough.
        self.burst[tilt] = count if tail <= target else 1e300
        self.cost[tilt] = log(tail)

    cdef void weigh(self) noexcept nogil:
        # The evidence of this window alone, tilt by tilt.
        cdef Py_ssize_t tilt
        cdef double *gain = &self.gain[0]
        cdef double *seen = &self.seen[0]
        cdef const double *cost = &self.cost[0]
        for tilt in range(self.tilted):
            gain[tilt] = seen[tilt] - cost[tilt]
        for tilt in range(self.tilted, self.tilts):
            seen[tilt] = self.sums[self.group[tilt]]
            if self.reach[tilt] >= 0.0:
                gain[tilt] = self.theta[tilt] * seen[tilt] - cost[tilt]
            elif seen[tilt] >= self.burst[tilt]:
                gain[tilt] = -cost[tilt]
            else:
                gain[tilt] = 2.0 * NOTHING

    cdef double advance(self, double rows) noexcept nogil:
        cdef Py_ssize_t tilt
        cdef double total = 0.0, keep
        cdef double *evidence = &self.state[EVIDENCE, 0]
        cdef double *lead = &self.state[LEAD, 0]
        cdef double *score = &self.state[SCORE, 0]
        cdef double *gathered = &self.state[ROWS, 0]
        cdef double *age = &self.state[AGE, 0]
        cdef const double *gain = &self.gain[0]
        cdef const double *seen = &self.seen[0]
        cdef const double *weight = &self.weight[0]
        self.weigh()
        for tilt in range(self.tilts):
            keep = 1.0 if lead[tilt] > 0.0 else 0.0
            lead[tilt] = keep * lead[tilt] + gain[tilt]
            score[tilt] = keep * score[tilt] + seen[tilt]
            gathered[tilt] = keep * gathered[tilt] + rows
            age[tilt] = keep * age[tilt] + 1.0
        for tilt in range(self.tilts):
            if gain[tilt] < NOTHING:
                evidence[tilt] = 0.0
                continue
            evidence[tilt] = (1.0 + evidence[tilt]) * exp(
                gain[tilt] if gain[tilt] < LOG_CAP else LOG_CAP
            )
            total += weight[tilt] * evidence[tilt]
        self.evidence = log(total) if total > 0.0 else 2.0 * NOTHING
        return self.evidence

    cdef Py_ssize_t best(self) noexcept nogil:
        cdef Py_ssize_t tilt, winner = 0
        cdef double top = -1e300, value
        for tilt in range(self.tilts):
            value = self.state[LEAD, tilt] + self.preference[tilt]
            if value > top:
                top = value
                winner = tilt
        if top > self.evidence:
            self.evidence = top
        return winner
