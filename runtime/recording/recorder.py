"""The recorder: gathers the windows and samples of all series and hands them to the sink.

Nothing is lost between the two: what the sink cannot take now is kept, windows of one interval
merged into one, and offered again. Only samples are dropped when there are too many, and counted.
"""

import logging
import threading
import time
from collections import deque

from gnomon.proto import hub_pb2
from gnomon.runtime import clock
from gnomon.runtime.packages.package import Package
from gnomon.runtime.recording.series import WindowSeries
from gnomon.runtime.recording.series_records import ClosedWindow, Example, Samples, SeriesKey
from gnomon.runtime.recording.series_totals import SeriesTotals
from gnomon.runtime.recording.sink import TelemetrySink

logger = logging.getLogger("gnomon.runtime")

#: Batches of samples, and examples, that wait for a sink that takes none.
WAITING_LIMIT = 1_000
#: A series is forgotten this long after its package was unloaded; calls in progress have ended.
RETIRED_SECONDS = 600.0


class Recorder:
    """Owns the series; a thread of its own records what they close.

    `checkpoint_seconds` of the wall clock are the longest that a window stays open.
    """

    def __init__(self, sink: TelemetrySink, checkpoint_seconds: float) -> None:
        self._sink = sink
        self._checkpoint_seconds = checkpoint_seconds
        self._series: dict[SeriesKey, WindowSeries] = {}
        self._lengths: dict[SeriesKey, int] = {}
        self._retired: dict[SeriesKey, float] = {}
        self._lock = threading.Lock()
        self._outbox = threading.Lock()
        self._windows: dict[tuple[SeriesKey, int], ClosedWindow] = {}
        self._samples: deque[tuple[str, Samples]] = deque()
        self._examples: deque[tuple[str, Example]] = deque()
        self.dropped_samples = 0
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="gnomon-recorder", daemon=True)
        self._thread.start()

    def series(self, package: Package, route: str, *, shadow: bool = False) -> WindowSeries:
        """Return the series of a package on a route."""
        key = SeriesKey(package.digest, route, shadow)
        with self._lock:
            self._retired.pop(key, None)
            if key not in self._series:
                self._lengths[key] = package.manifest.deployment.window_seconds
                self._series[key] = WindowSeries(key, package, self._wake.set)
            return self._series[key]

    def series_totals(self) -> dict[SeriesKey, SeriesTotals]:
        """Return what each series has counted since it began."""
        with self._lock:
            series = dict(self._series)
        return {key: one.totals() for key, one in series.items()}

    def retire(self, digest: str) -> None:
        """Record what is open for a package, and forget its series some time after."""
        with self._lock:
            for key, series in self._series.items():
                if key.digest == digest:
                    self._retired[key] = time.monotonic()
                    series.close()

    def flush(self) -> None:
        """Close everything and hand it to the sink; raises what the sink raises."""
        for series in self._all():
            series.close()
        self._drain()

    def stop(self) -> None:
        """Flush and end the thread; a second call does nothing."""
        self._stopped = True
        self._wake.set()
        self._thread.join(timeout=10)
        self.flush()

    def _all(self) -> list[WindowSeries]:
        with self._lock:
            return list(self._series.values())

    def _work(self) -> None:
        failing = False
        while not self._stopped:
            self._wake.wait(timeout=min(self._checkpoint_seconds / 2, 1.0))
            self._wake.clear()
            due = time.monotonic() - self._checkpoint_seconds
            for series in self._all():
                series.close(opened_before=due)
            try:
                self._drain()
                failing = False
            except Exception:
                # Kept and offered again at the next turn; said once, not at every turn.
                if not failing:
                    logger.exception("sink unavailable; retrying")
                failing = True
            self._forget_retired()

    def _forget_retired(self) -> None:
        long_ago = time.monotonic() - RETIRED_SECONDS
        with self._lock:
            for key in [key for key, since in self._retired.items() if since < long_ago]:
                if self._series[key].is_empty:
                    del self._series[key], self._retired[key], self._lengths[key]

    def _drain(self) -> None:
        """Move everything that was closed through the outbox to the sink."""
        with self._outbox:
            for series in self._all():
                self._collect(series)
            while self._windows:
                key, closed = next(iter(self._windows.items()))
                self._sink.put(self._window_record(closed))
                del self._windows[key]
            for queue, make in (
                (self._samples, _samples_record),
                (self._examples, _refusal_record),
            ):
                while queue:
                    self._sink.put(make(*queue[0]))
                    queue.popleft()

    def _collect(self, series: WindowSeries) -> None:
        pending = series.take()
        for closed in pending.windows:
            waiting = self._windows.setdefault((closed.key, closed.started_at), closed)
            if waiting is not closed:
                waiting.window.merge(closed.window)
        digest = series.key.digest
        self.dropped_samples += pending.dropped_samples
        self._samples.extend((digest, samples) for samples in pending.samples)
        self._examples.extend((digest, example) for example in pending.examples)
        while len(self._samples) > WAITING_LIMIT:
            self.dropped_samples += len(self._samples.popleft()[1].values)
        while len(self._examples) > WAITING_LIMIT:
            self._examples.popleft()
            self.dropped_samples += 1

    def _window_record(self, closed: ClosedWindow) -> hub_pb2.Record:
        length = self._lengths[closed.key]
        window = hub_pb2.Window(
            digest=closed.key.digest,
            route=closed.key.route,
            started_at_unix_ms=closed.started_at * 1000,
            ended_at_unix_ms=(closed.started_at + length) * 1000,
            rows=sum(closed.window.outcome_rows.values()),
            window=closed.window.to_bytes(),
            shadow=closed.key.shadow,
        )
        return hub_pb2.Record(recorded_at_unix_ms=_now(), window=window)


def _now() -> int:
    return clock.milliseconds(time.time())


def _text(text: str) -> str:
    """Return a text that a record can hold: invalid Unicode must not stop the outbox."""
    return text.encode(errors="replace").decode()


def _samples_record(digest: str, samples: Samples) -> hub_pb2.Record:
    predictions = hub_pb2.Predictions(
        digest=digest,
        request_ids=[_text(request_id) for request_id in samples.request_ids],
        at_unix_ms=[clock.milliseconds(timestamp) for timestamp in samples.timestamps],
        values=samples.values,
    )
    return hub_pb2.Record(recorded_at_unix_ms=_now(), predictions=predictions)


def _refusal_record(digest: str, example: Example) -> hub_pb2.Record:
    refusal = hub_pb2.Refusal(
        digest=digest,
        request_id=_text(example.request_id),
        at_unix_ms=clock.milliseconds(example.timestamp),
        field=_text(example.field),
        rule=_text(example.rule),
        value=_text(example.value),
        expected=_text(example.expected),
    )
    return hub_pb2.Record(recorded_at_unix_ms=_now(), refusal=refusal)
