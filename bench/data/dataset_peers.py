"""DVC and whylogs over files, in an environment of their own; `datasets.py` starts it.

Prints one JSON object: seconds of wall time and of CPU, children included, imports excluded.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any


def measure(work: Callable[[], Any]) -> dict[str, float]:
    """Return what a call takes; CPU time is that of this process and of those that it ended."""
    before, start = _cpu(), time.perf_counter()
    work()
    return {"seconds": time.perf_counter() - start, "cpu_seconds": _cpu() - before}


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def dvc(path: str) -> Callable[[], Any]:
    """Hash a file or folder as `dvc add` does before it copies anything."""
    build: Any = import_module("dvc_data.hashfile.build").build
    database: Any = import_module("dvc_data.hashfile.db").HashFileDB
    system = import_module("dvc_objects.fs.local").LocalFileSystem()
    store = database(system, f"{path}.store")
    return lambda: build(store, path, system, "md5", dry_run=True)


def whylogs(path: str) -> Callable[[], Any]:
    """Profile a Parquet file, batch by batch; reading it counts, as it does for us."""
    profile: Any = import_module("whylogs.core").DatasetProfile()
    parquet: Any = import_module("pyarrow.parquet")

    def work() -> None:
        for batch in parquet.ParquetFile(path).iter_batches(1 << 16):
            profile.track(batch.to_pandas())

    return work


def kll(path: str) -> Callable[[], Any]:
    """Put every number of a Parquet file into a KLL sketch of its column."""
    sketches: Any = import_module("datasketches")
    parquet: Any = import_module("pyarrow.parquet")

    def work() -> None:
        found: dict[str, Any] = {}
        for batch in parquet.ParquetFile(path).iter_batches(1 << 16):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                values = column.to_numpy(zero_copy_only=False)
                if values.dtype.kind in "fi":
                    sketch = found.setdefault(name, sketches.kll_doubles_sketch(200))
                    sketch.update(values.astype(float))

    return work


if __name__ == "__main__":
    print(json.dumps(measure(globals()[sys.argv[1]](sys.argv[2]))))
