"""One series: the open windows and samples of a package on a route, as a target or a shadow."""

import math
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from itertools import repeat

from gnomon.core.row import Columns, Row
from gnomon.core.window import Window
from gnomon.runtime import clock
from gnomon.runtime.packages.package import Package
from gnomon.runtime.recording.direct_counter import DirectCounter
from gnomon.runtime.recording.series_records import (
    BrokenRules,
    CallOutcome,
    ClosedWindow,
    Example,
    PendingRecords,
    Samples,
    SeriesKey,
)
from gnomon.runtime.recording.series_totals import SeriesTotals
from gnomon.runtime.recording.window_row import count_row
from gnomon.runtime.routing.routes import WEIGHT_TOTAL

#: Sampled predictions go out in batches of this many.
BATCH_ROWS = 512
#: Examples of refused or corrected rows from one close to the next; all are counted.
EXAMPLES_LIMIT = 100
#: So many intervals may be open at once; one more, and all are closed.
OPEN_LIMIT = 8


class WindowSeries:
    """Counts calls into the window of their own interval. Threads may share it.

    When a row of a later interval comes, all earlier windows are closed. A row that comes late
    opens a window of its own interval again: windows merge exactly, so no count is ever lost.
    `notify` is called, under the series' lock, when there is something to take.
    """

    def __init__(self, key: SeriesKey, package: Package, notify: Callable[[], None]) -> None:
        self.key = key
        self._profile = profile = package.profile
        deployment = package.manifest.deployment
        self._length = deployment.window_seconds
        # No labels are joined to what a shadow says.
        self._permille = 0 if key.shadow else deployment.sample_permille
        self._notify = notify
        self._lock = threading.Lock()
        self._open: dict[int, Window] = {}
        self._newest: int | None = None
        # The window of the newest interval, while open, and that interval: what most calls need.
        self._newest_window: Window | None = None
        self._starts = self._ends = 0
        self._since = time.monotonic()
        self._samples = Samples()
        self._examples = 0
        self._leaving = PendingRecords()
        manifest = package.manifest
        self._taken = SeriesTotals(profile.rule_names, manifest.name, manifest.version)
        self._direct: DirectCounter | None = None

    def direct(self) -> DirectCounter:
        """Return what counts for this series without the GIL, armed for the present interval."""
        with self._lock:
            if self._direct is None:
                self._direct = DirectCounter(self._profile.new_window, self._length, self._permille)
        self._direct.arm(time.time())
        return self._direct

    def arm(self, timestamp: float) -> None:
        """Let what counts without the GIL do so in the interval of a timestamp from now on."""
        if self._direct is not None:
            self._direct.arm(timestamp)

    def count_row(
        self,
        outcome: CallOutcome,
        inputs: Row,
        outputs: Row | None,
        value: float | None,
        broken: Sequence[BrokenRules] = (),
    ) -> None:
        """Count one row, under the series' lock.

        Args:
            outcome: code, latency, the data's time and the request's id.
            inputs: the checked row.
            outputs: the checked outputs; None if the model gave none.
            value: the first output, if it may be sampled; None otherwise.
            broken: rules that inputs and outputs broke.
        """
        with self._lock:
            code, latency_ns, timestamp, request_id = outcome
            window = self._newest_window
            if window is None or not self._starts <= timestamp < self._ends:
                window = self._window(timestamp)
            count_row(window, inputs, outputs, code, latency_ns)
            if value is not None and self._permille and self._is_sampled(request_id):
                self._sample(request_id, timestamp, value)
            for one in broken:
                self._count_broken(window, outcome, one)

    def count_columns(
        self,
        outcome: CallOutcome,
        inputs: Columns,
        outputs: Columns | None,
        ids: Sequence[str],
        values: Sequence[float],
        broken: Sequence[BrokenRules] = (),
        latencies: Sequence[int] | None = None,
    ) -> None:
        """Count the rows of one request, under the series' lock.

        Args:
            outcome: code, latency, the data's time and the request's id.
            inputs: the checked rows.
            outputs: the checked outputs; None if the model gave none.
            ids: of each row that may be sampled.
            values: the first output of each.
            broken: rules that inputs and outputs broke.
            latencies: ns of each row, if each is a request of its own; None: all are one request,
                whose latency is that of the outcome.
        """
        with self._lock:
            window = self._window(outcome.timestamp)
            window.update_columns(inputs)
            if outputs is not None:
                window.update_output_columns(outputs)
            if latencies is None:
                window.observe(outcome.code, outcome.latency_ns, len(inputs))
            else:
                for latency_ns in latencies:
                    window.observe(outcome.code, latency_ns, 1)
            self._sample_rows(ids, outcome.timestamp, values)
            for one in broken:
                self._count_broken(window, outcome, one)

    def count_unread(self, outcome: CallOutcome, rows: int, example: Example) -> None:
        """Count rows that could not be read, and requests without rows."""
        with self._lock:
            self._window(outcome.timestamp).observe(outcome.code, outcome.latency_ns, rows)
            self._keep_examples([example])

    @property
    def keeps_samples(self) -> bool:
        """Whether some rows are sampled."""
        return self._permille > 0

    def close(self, *, opened_before: float = math.inf) -> None:
        """Close all windows if the first of them was opened before this `time.monotonic()`."""
        with self._lock:
            if self._since < opened_before:
                self._close_all()
            direct = self._direct
            if direct is not None and (direct.since or math.inf) < opened_before:
                self._gather(direct)

    def take(self) -> PendingRecords:
        """Return what is ready to be recorded, and forget it."""
        with self._lock:
            if self._direct is not None:
                self._gather_samples(self._direct, partial=False)
            pending, self._leaving = self._leaving, PendingRecords()
            for closed in pending.windows:
                self._taken.add(closed.window)
            return pending

    def totals(self) -> SeriesTotals:
        """Return what was counted since the series began; it never goes down."""
        with self._lock:
            totals = self._taken.copy()
            for window in (*self._open.values(), *(one.window for one in self._leaving.windows)):
                totals.add(window)
            if self._direct is not None:
                for window in self._direct.peek_windows():
                    totals.add(window)
            return totals

    @property
    def is_empty(self) -> bool:
        """Whether nothing is open and nothing waits to be taken."""
        with self._lock:
            is_open = self._open or self._samples.values or self._leaving.any()
            return not is_open and (self._direct is None or self._direct.since is None)

    def _window(self, timestamp: float) -> Window:
        number = clock.interval(timestamp, self._length)
        window = self._open.get(number)
        return window if window is not None else self._open_window(number)

    def _open_window(self, number: int) -> Window:
        newest = self._newest
        if newest is None or number > newest or len(self._open) >= OPEN_LIMIT:
            self._close_all()
        self._newest = number if newest is None else max(number, newest)
        if not self._open:
            self._since = time.monotonic()
        window = self._open[number] = self._profile.new_window()
        if number == self._newest:
            self._newest_window = window
            self._starts, self._ends = number * self._length, (number + 1) * self._length
        return window

    def _close_all(self) -> None:
        for number, window in self._open.items():
            self._leaving.windows.append(ClosedWindow(self.key, number * self._length, window))
        self._open.clear()
        self._newest_window = None
        self._examples = 0
        self._close_samples()
        if self._leaving.any():
            self._notify()

    def _gather(self, direct: DirectCounter) -> None:
        for started_at, window in direct.take_windows():
            self._leaving.windows.append(ClosedWindow(self.key, started_at, window))
        self._gather_samples(direct, partial=True)
        if self._leaving.any():
            self._notify()

    def _gather_samples(self, direct: DirectCounter, *, partial: bool) -> None:
        blocks, dropped = direct.take_samples(partial=partial)
        self._leaving.samples += [Samples(*block) for block in blocks]
        self._leaving.dropped_samples += dropped

    def _is_sampled(self, request_id: str) -> bool:
        permille = self._permille
        if permille >= WEIGHT_TOTAL:
            return True
        return zlib.crc32(request_id.encode(errors="surrogatepass")) % WEIGHT_TOTAL < permille

    def _sample(self, request_id: str, timestamp: float, value: float) -> None:
        samples = self._samples
        samples.request_ids.append(request_id)
        samples.timestamps.append(timestamp)
        samples.values.append(value)
        if len(samples.values) >= BATCH_ROWS:
            self._close_samples()
            self._notify()

    def _sample_rows(self, ids: Sequence[str], timestamp: float, values: Sequence[float]) -> None:
        if self._permille < WEIGHT_TOTAL:
            places = [place for place, one in enumerate(ids) if self._is_sampled(one)]
            ids, values = [ids[place] for place in places], [values[place] for place in places]
        start = 0
        while start < len(ids):
            samples = self._samples
            end = min(start + BATCH_ROWS - len(samples.values), len(ids))
            samples.request_ids.extend(ids[start:end])
            samples.timestamps.extend(repeat(timestamp, end - start))
            samples.values.extend(values[start:end])
            start = end
            if len(samples.values) >= BATCH_ROWS:
                self._close_samples()
                self._notify()

    def _close_samples(self) -> None:
        if self._samples.values:
            self._leaving.samples.append(self._samples)
            self._samples = Samples()

    def _count_broken(self, window: Window, outcome: CallOutcome, broken: BrokenRules) -> None:
        window.count_violations(broken.codes)
        self._keep_examples(
            [
                Example(
                    request_id=outcome.request_id,
                    timestamp=outcome.timestamp,
                    field=one.field or "",
                    rule=one.rule,
                    value=repr(one.value)[:200],
                    expected=one.expected[:200],
                )
                for one in broken.violations.describe(EXAMPLES_LIMIT - self._examples)
            ]
        )

    def _keep_examples(self, examples: Sequence[Example]) -> None:
        room = EXAMPLES_LIMIT - self._examples
        self._examples += len(examples[:room])
        self._leaving.examples += examples[:room]
