"""Measures how often drift detectors alarm falsely, and how many windows they need for a change.

`python -m gnomon.bench.drift_detection.drift` prints one table: Gnomon's detectors, KS, PSI and
river's, on streams whose truth is known, and on real flights. Every number follows from the seed.
To add a detector, give `run` a dictionary with a function that makes one (`DriftDetector`). To use
other data, give `--data file.parquet`: its rows are shuffled, so that every alarm is a false one.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gnomon.bench.drift_detection.detectors import DriftDetector, Gnomon, baselines
from gnomon.bench.drift_detection.flights import (
    fleet_of_flights,
    flights_table,
    shuffled,
    table_of_file,
)
from gnomon.bench.drift_detection.streams import ROWS, Stream, changes, quiet

PATIENCE = 100  # windows after a change in which it can be found
QUIET_BEFORE = 20  # windows without a change before it
CHUNK = 500  # quiet windows that share a reference

Makers = Mapping[str, Callable[[], DriftDetector]]


@dataclass(frozen=True, slots=True)
class DriftResult:
    """What one detector did on one stream.

    Attributes:
        detector, stream: their names.
        windows: windows in which nothing had changed.
        false_alarms: how many of these raised an alarm.
        delays: for each seed the windows from the change to the first alarm that names a field
            which has changed, this one included; infinite if there was none.
        micros: CPU time of a window in microseconds, counting included.
    """

    detector: str
    stream: str
    windows: int
    false_alarms: int
    delays: tuple[float, ...]
    micros: float

    @property
    def rate(self) -> float:
        """False alarms in 1,000 windows."""
        return 1000 * self.false_alarms / max(self.windows, 1)

    @property
    def delay(self) -> float:
        """Median windows to detect, infinite if fewer than half were found."""
        return float(np.median(self.delays)) if self.delays else float("nan")


@dataclass(slots=True)
class _Clock:
    seconds: float = 0.0
    windows: int = 0
    accused: list[str] = field(default_factory=list)

    def update(self, detector: DriftDetector, window: object) -> bool:
        started = time.process_time()
        self.accused = list(detector.update(window))  # type: ignore[arg-type]
        self.seconds += time.process_time() - started
        self.windows += 1
        return bool(self.accused)

    @property
    def micros(self) -> float:
        return 1e6 * self.seconds / max(self.windows, 1)


def watch_quiet(
    name: str, make: Callable[[], DriftDetector], stream: Stream, windows: int, seed: int
) -> DriftResult:
    """Count the alarms of a stream in which nothing changes, a new reference every chunk.

    Args:
        name: of the detector, for the result.
        make: makes a detector.
        stream: the stream.
        windows: how many windows to draw.
        seed: of all draws.
    """
    clock, alarms = _Clock(), 0
    for chunk, start in enumerate(range(0, windows, CHUNK)):
        generator = np.random.default_rng([seed, chunk])
        detector = make()
        detector.fit(stream.reference(generator))
        for window in range(min(CHUNK, windows - start)):
            alarms += clock.update(detector, stream.before(generator, ROWS, window))
    return DriftResult(name, stream.name, windows, alarms, (), clock.micros)


def watch_change(
    name: str, make: Callable[[], DriftDetector], stream: Stream, seeds: int, seed: int
) -> DriftResult:
    """Measure how many windows pass from a change to the first alarm.

    Args:
        name: of the detector, for the result.
        make: makes a detector.
        stream: the stream; it must have a change.
        seeds: how many repetitions.
        seed: of all draws.

    Raises:
        ValueError: the stream has no change.
    """
    if stream.after is None:
        raise ValueError(f"stream {stream.name!r} has no change")
    clock, alarms, delays = _Clock(), 0, []
    for each in range(seeds):
        generator = np.random.default_rng([seed, each])
        detector = make()
        detector.fit(stream.reference(generator))
        for window in range(QUIET_BEFORE):
            alarms += clock.update(detector, stream.before(generator, ROWS, window))
        delay = float("inf")
        for window in range(PATIENCE):
            clock.update(detector, stream.after(generator, ROWS, window))
            if set(clock.accused) & (stream.fields or set(clock.accused)):
                delay = window + 1.0
                break
        delays.append(delay)
    quiet_windows = seeds * QUIET_BEFORE
    return DriftResult(name, stream.name, quiet_windows, alarms, tuple(delays), clock.micros)


def run(
    detectors: Makers | None = None,
    *,
    windows: int = 20_000,
    seeds: int = 40,
    seed: int = 0,
    quiet_streams: Iterable[Stream] | None = None,
    changing_streams: Iterable[Stream] | None = None,
    baseline_windows: int = 500,
    baseline_seeds: int = 5,
    say: Callable[[str], object] = lambda _: None,
) -> list[DriftResult]:
    """Run detectors over streams; same arguments, same result.

    Args:
        detectors: name → function that makes a detector; None takes Gnomon's.
        windows: quiet windows for each detector and stream.
        seeds: repetitions of each change.
        seed: of all draws.
        quiet_streams: streams without a change; None takes the standard ones.
        changing_streams: streams with a change; None takes the standard ones.
        baseline_windows, baseline_seeds: as `windows` and `seeds`, for the detectors of
            `baselines`, which are slow and alarm often; 0 leaves them out.
        say: called with the line of every result.
    """
    plans = [(one, windows, seeds) for one in (detectors or {"Gnomon": Gnomon}).items()]
    if baseline_windows:
        plans += [(one, baseline_windows, baseline_seeds) for one in baselines().items()]
    calm = list(quiet() if quiet_streams is None else quiet_streams)
    moving = list(changes() if changing_streams is None else changing_streams)
    results: list[DriftResult] = []
    for (name, make), many, repeats in plans:
        for stream in calm:
            results.append(watch_quiet(name, make, stream, many, seed))
            say(_line(results[-1]))
        for stream in moving:
            results.append(watch_change(name, make, stream, repeats, seed))
            say(_line(results[-1]))
    return results


def _line(one: DriftResult) -> str:
    what = f"{one.rate:g} false/1,000"
    if one.delays:
        at_once = sum(delay == 1 for delay in one.delays) / len(one.delays)
        what = f"median {one.delay:g} windows, {at_once:.0%} in the first"
    return f"{one.detector:26} {one.stream:28} {what:36} {one.micros:9.0f} µs/window"


def as_table(results: Sequence[DriftResult]) -> str:
    """Lay results out as a Markdown table: a row a detector, a column a stream."""
    streams = list(dict.fromkeys(one.stream for one in results))
    found = {(one.detector, one.stream): one for one in results}
    lines = ["| detector | " + " | ".join(streams) + " |", "|---" * (len(streams) + 1) + "|"]
    for detector in dict.fromkeys(one.detector for one in results):
        cells = [_cell(found.get((detector, stream))) for stream in streams]
        lines.append(f"| {detector} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(one: DriftResult | None) -> str:
    if one is None:
        return "–"
    if not one.delays:
        return f"{one.rate:.3g}"
    return "never" if np.isinf(one.delay) else f"{one.delay:g}"


def field_micros(windows: int = 2000, repeats: int = 5) -> float:
    """Measure one numeric field's detector: CPU µs a window, the best of `repeats`."""
    from gnomon.core.detectors import FieldDetector
    from gnomon.core.reference import FieldReference

    generator = np.random.default_rng(0)
    edges = tuple(np.linspace(-1.0, 1.0, 33).tolist())
    reference = FieldReference("x", "numeric", edges=edges, counts=(0, *[312] * 32, 0, 0, 0))
    detector = FieldDetector(reference, windows_per_false_alarm=10_000, share=1 / 13)
    shares = np.array([0, *[1 / 32] * 32, 0, 0, 0])
    counts: list[NDArray[np.int64]] = list(generator.multinomial(ROWS, shares, size=windows))
    best = float("inf")
    for _ in range(repeats):
        started = time.process_time()
        for one in counts:
            detector.update(one)
        best = min(best, (time.process_time() - started) / windows)
    return best * 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the evaluation and print its tables."""
    parser = argparse.ArgumentParser(prog="gnomon bench drift", description=__doc__)
    parser.add_argument("--windows", type=int, default=20_000, help="quiet windows a stream")
    parser.add_argument("--seeds", type=int, default=40, help="repetitions of each change")
    parser.add_argument("--baseline-windows", type=int, default=500)
    parser.add_argument("--baseline-seeds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, help="a Parquet file; its rows are shuffled")
    options = parser.parse_args(arguments)
    streams = list(quiet())
    if options.data is not None:
        streams.append(shuffled(options.data.stem, table_of_file(options.data)))
    flights = flights_table()
    if flights is not None:
        streams.append(shuffled("shuffled flights", flights))
    results = run(
        windows=options.windows,
        seeds=options.seeds,
        seed=options.seed,
        quiet_streams=streams,
        baseline_windows=options.baseline_windows,
        baseline_seeds=options.baseline_seeds,
        say=lambda line: print(line, flush=True),
    )
    print()
    print(as_table([one for one in results if not one.delays]))
    print()
    print(as_table([one for one in results if one.delays]))
    print(f"\none field's detector: {field_micros():.2f} µs CPU a window")
    if flights is not None:
        print()
        print(fleet_of_flights())
    return 0


if __name__ == "__main__":
    sys.exit(main())
