"""The process of a smoke test: it loads the model and repeats its golden samples.

Run by `gnomon.delivery.smoke_test`; one line of JSON in, one line out.
"""

import re
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import psutil

from gnomon.runtime.errors import GnomonError
from gnomon.runtime.models.model import Model
from gnomon.runtime.models.tensor_model import open_model
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import TrustStore
from gnomon.runtime.packages.slots import Slots

__all__ = ["WorkerRequest", "WorkerResult", "main"]

_MIB = 1 << 20
_STATUS = Path("/proc/self/status")


class WorkerRequest(msgspec.Struct, frozen=True):
    """What to test: an installed package, and how often its golden rows are predicted."""

    slots: str
    digest: str
    trusted_keys: tuple[bytes, ...]
    runs: int


class WorkerResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result; `error` is empty if the model loaded and reproduced its golden samples."""

    error: str = ""
    is_loaded: bool = False
    load_ms: float = 0.0
    p50_us: float = 0.0
    p99_us: float = 0.0
    runs: int = 0
    model_mib: float = 0.0
    process_mib: float = 0.0


def main() -> None:
    """Test what standard input asks for, and write the result to standard output."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=WorkerRequest)
    sys.stdout.buffer.write(msgspec.json.encode(_try(request)))


def _try(request: WorkerRequest) -> WorkerResult:
    package = Slots(Path(request.slots)).open(request.digest, TrustStore(request.trusted_keys))
    process = psutil.Process()
    before, start = process.memory_info().rss, time.perf_counter()
    try:
        model = open_model(package)
    except GnomonError as error:
        return WorkerResult(error=str(error))
    load_ms = (time.perf_counter() - start) * 1e3
    try:
        package.golden.check(model)
        model.warm_up()
        nanoseconds = _measure(model, package, request.runs)
    except GnomonError as error:
        return WorkerResult(error=str(error), is_loaded=True, load_ms=load_ms)
    grown = process.memory_info().rss - before
    model.close()
    p50, p99 = np.quantile(nanoseconds, [0.5, 0.99]) / 1e3
    return WorkerResult(
        is_loaded=True,
        load_ms=load_ms,
        p50_us=float(p50),
        p99_us=float(p99),
        runs=len(nanoseconds),
        model_mib=max(grown, 0) / _MIB,
        process_mib=_peak_bytes() / _MIB,
    )


def _measure(model: Model, package: Package, runs: int) -> list[int]:
    """Return the nanoseconds of single predictions, golden row by golden row."""
    rows = package.golden.rows
    spent = []
    for number in range(max(runs, len(rows))):
        start = time.perf_counter_ns()
        model.predict_row(rows[number % len(rows)])
        spent.append(time.perf_counter_ns() - start)
    return spent


def _peak_bytes() -> int:
    """Return the peak memory of this process; its present memory if Linux does not report it.

    `getrusage` would count the process that started this one as well.
    """
    try:
        status = _STATUS.read_text(encoding="ascii")
    except OSError:
        status = ""
    found = re.search(r"^VmHWM:\s*(\d+) kB$", status, flags=re.MULTILINE)
    return int(found[1]) * 1024 if found else psutil.Process().memory_info().rss


if __name__ == "__main__":
    main()
