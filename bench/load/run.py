"""One run of a load test: compiled loops, each in a thread, and what they counted."""

import os
import threading
from collections.abc import Sequence

import numpy as np

from gnomon.bench.generator.arrivals import due_times
from gnomon.bench.generator.histogram import Histogram
from gnomon.bench.generator.loops import CELLS, OUTCOMES, LoadLoop, missing_library
from gnomon.bench.load.requests import headers_of
from gnomon.bench.load.results import RunResult, Slot, merge_runs
from gnomon.bench.load.settings import LoadSettings
from gnomon.bench.load.target import LoadTarget, Protocol, TargetUnavailable
from gnomon.runtime.errors import ConfigurationError

__all__ = ["RunInterrupted", "WireRow", "run_once"]

#: A request as it is sent, and the answer that is expected, None if it is not compared.
WireRow = tuple[bytes, bytes | None]

SLOTS = 100
SHORTEST_SLOT = 0.05
#: Seconds without any connection after which a run ends.
PATIENCE = 3.0
#: Seconds before a request is due from which a loop does not sleep: what waking up takes. But at
#: most this share of the gaps, since a scheduler takes the core from threads that never sleep.
SPIN = 50e-6
SPIN_SHARE = 0.25
_SLOT = np.dtype([("outcomes", "u8", OUTCOMES), ("latency", "u4", CELLS)])


class RunInterrupted(KeyboardInterrupt):
    """The user has ended a run; `result` is what was counted until then."""

    def __init__(self, result: RunResult) -> None:
        super().__init__()
        self.result = result


def run_once(
    target: LoadTarget, model: str, rows: Sequence[WireRow], settings: LoadSettings, seed: int
) -> RunResult:
    """Send load for once, and return what was counted; also if the server leaves in the middle.

    Args:
        target: the server.
        model: its model.
        rows: sent one after the other, again and again.
        settings: of the load.
        seed: of random arrivals.

    Raises:
        ConfigurationError: libnghttp2 is missing.
        TargetUnavailable: no connection could be made.
        RunInterrupted: the user ended it (Ctrl-C).
    """
    missing = missing_library()
    if missing is not None:
        raise ConfigurationError(f"the load generator cannot run: {missing}")
    loops = _loops(target, model, rows, settings, seed)
    threads = [threading.Thread(target=loop.run, name="load", daemon=True) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt as error:
        for loop in loops:
            loop.stop()
        for thread in threads:
            thread.join()
        results = [_result(loop, settings, is_cut=True) for loop in loops]
        raise RunInterrupted(merge_runs(results, at_once=True)) from error
    for loop in loops:
        if loop.counts["ended_early"] and not loop.counts["finished_ns"]:
            reason = os.strerror(loop.counts["error"]) if loop.counts["error"] else "no answer"
            raise TargetUnavailable(f"{target.address} takes no connections: {reason}")
    return merge_runs([_result(loop, settings) for loop in loops], at_once=True)


def _loops(
    target: LoadTarget, model: str, rows: Sequence[WireRow], settings: LoadSettings, seed: int
) -> list[LoadLoop]:
    headers = headers_of(target, model)
    dues = None
    if settings.rate is not None:
        whole = settings.warm_up + settings.seconds
        rng = np.random.default_rng(seed)
        dues = due_times(settings.arrivals, settings.rate, whole, rng, settings.burstiness)
    count = settings.threads
    # Each thread has every count-th request: together they send what one would.
    return [
        LoadLoop(
            _numbers(target, settings, number),
            headers,
            rows,
            None if dues is None else np.ascontiguousarray(dues[number::count]),
        )
        for number in range(count)
        if dues is None or number < len(dues)
    ]


def _numbers(target: LoadTarget, settings: LoadSettings, number: int) -> dict[str, object]:
    share, more = divmod(settings.connections, settings.threads)
    slot = _slot_seconds(settings)
    return {
        "address": target.socket_address,
        "protocol": int(target.protocol),
        "connections": share + (number < more),
        "streams": 1 if target.protocol is Protocol.HTTP1 else settings.used_streams,
        "warm_up": round(settings.warm_up * 1e9),
        "measured": round(settings.seconds * 1e9),
        "timeout": round(settings.timeout * 1e9),
        "patience": round(PATIENCE * 1e9),
        "spin": round(min(SPIN, SPIN_SHARE * settings.threads / (settings.rate or 1.0)) * 1e9),
        "slot": round(slot * 1e9),
        "slot_count": int(np.ceil(settings.seconds / slot)),
        "log_room": 0,
    }


def _slot_seconds(settings: LoadSettings) -> float:
    return max(settings.seconds / SLOTS, SHORTEST_SLOT)


def _result(loop: LoadLoop, settings: LoadSettings, *, is_cut: bool = False) -> RunResult:
    counts = loop.counts
    slots = np.frombuffer(loop.slots, _SLOT)
    # A run that ended early has only measured until then.
    finished = counts["finished_ns"] / 1e9 - settings.warm_up
    seconds = min(settings.seconds, max(finished, 0.0))
    return RunResult(
        seconds=seconds if is_cut or counts["ended_early"] else settings.seconds,
        latency=Histogram.from_bytes(loop.histogram("latency")),
        service=Histogram.from_bytes(loop.histogram("service")),
        lateness=Histogram.from_bytes(loop.histogram("lateness")),
        outcomes=np.array(loop.outcomes, dtype=np.uint64),
        statuses=loop.statuses,
        slots=[Slot(one["outcomes"], Histogram(one["latency"].astype("u8"))) for one in slots],
        slot_seconds=_slot_seconds(settings),
        cpu_seconds=counts["cpu_ns"] / 1e9,
        waited=counts["waited"],
        reconnects=counts["reconnects"],
        has_ended_early=bool(counts["ended_early"]),
        kept=loop.kept,
    )
