"""Batch scoring of Parquet into Parquet: `gnomon bench batch`.

Gradient boosting of 100 trees over 12 numbers scores generated rows, with contract, output checks
and two processes; then a floor in as many processes does only what cannot be left out: pyarrow
reads, the engine runs batches, pyarrow writes. Both alternate over the same file, which is in the
page cache. With `--kills N`, runs are killed N times, at random, and what they end with is
compared, byte by byte, with a run that was not killed.
"""

import argparse
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from gnomon.bench.core.tree_models import make_rows, make_target
from gnomon.pipeline.batch.run import BatchJob, run_batch
from gnomon.pipeline.datasets.pieces import Piece, table_pieces
from gnomon.pipeline.estimator_package import build_package
from gnomon.pipeline.profiles.spread import in_processes
from gnomon.runtime.engines.pool import load_instances
from gnomon.runtime.packages.package import Package

__all__ = ["BatchCost", "main", "measure"]

#: Rows a second that two cores must score.
MUST = 1_000_000
_GROUP_ROWS = 250_000
_TRAINING_ROWS = 20_000
#: Longest time after which a run is killed, in that of a whole run.
_LATEST = 1.2


class BatchCost(NamedTuple):
    """The least of some rounds: seconds by the clock and of CPU time, children included."""

    seconds: float
    cpu_seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; return 1 if killed runs ended differently than an undisturbed one."""
    parser = argparse.ArgumentParser(prog="gnomon bench batch", description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kills", type=int, default=0)
    given = parser.parse_args(arguments)
    with TemporaryDirectory() as name:
        folder = Path(name)
        package, source = make_package(folder / "trees-1"), folder / "rows.parquet"
        write_rows(source, given.rows)
        found = measure(package, source, folder, given.rounds, given.workers)
        for what, cost in found.items():
            print(
                f"{what:42} {given.rows / cost.seconds:12,.0f} rows/s "
                f"{1e9 * cost.cpu_seconds / given.rows:8,.0f} ns CPU a row"
            )
        ours, floor = found.values()
        print(f"CPU time to that of the floor: x {ours.cpu_seconds / floor.cpu_seconds:.3f}")
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(f"largest worker: {most / 1024:.0f} MiB; must: {MUST:,} rows/s on two quiet cores")
        return check_kills(package, source, folder, given.kills) if given.kills else 0


def make_package(folder: Path) -> Path:
    """Train gradient boosting of 100 trees with 31 leaves, and make its package."""
    import pandas as pd
    from sklearn.ensemble import HistGradientBoostingRegressor

    rows = pd.DataFrame(make_rows(_TRAINING_ROWS, 0), columns=_columns())
    target = make_target(rows.to_numpy())
    model = HistGradientBoostingRegressor(max_iter=100, early_stopping=False, random_state=0)
    model.fit(rows, target)
    build_package(model, rows, target, name="trees", folder=folder)
    return folder


def write_rows(path: Path, count: int) -> None:
    """Write rows within what the package was trained on, and an identity for each."""
    rows = np.clip(make_rows(count, 7), -3.5, 3.5)
    columns = {name: rows[:, place] for place, name in enumerate(_columns())}
    table = pa.table({"id": np.arange(count), **columns})
    pa.parquet.write_table(table, path, row_group_size=_GROUP_ROWS)


def measure(
    package: Path, source: Path, folder: Path, rounds: int, workers: int
) -> Mapping[str, BatchCost]:
    """Return what a batch run and the floor cost.

    Args:
        package: the package's folder.
        source: a Parquet file.
        folder: takes the outputs.
        rounds: how often both run, in turn.
        workers: how many processes each has.
    """

    def score(number: int) -> None:
        job = BatchJob(source, folder / f"out-{number}", package, keep=("id",), refused_share=1.0)
        run_batch(job, in_processes(workers), workers)

    def floor(number: int) -> None:
        target = folder / f"floor-{number}"
        target.mkdir()
        spread = in_processes(workers)
        list(spread(partial(_run_floor, package=package, folder=target), table_pieces([source])))

    kinds = {"gnomon batch score": score, "read, engine, write": floor}
    costs: dict[str, list[BatchCost]] = {name: [] for name in kinds}
    for number in range(rounds):
        for name, run in kinds.items():
            costs[name].append(_cost(partial(run, number)))
    return {
        name: BatchCost(min(one.seconds for one in all_), min(one.cpu_seconds for one in all_))
        for name, all_ in costs.items()
    }


def check_kills(package: Path, source: Path, folder: Path, kills: int) -> int:
    """Kill runs until one has ended whole, again and again; return 0 if their bytes are the same.

    Args:
        package: the package's folder.
        source: a Parquet file.
        folder: takes the outputs.
        kills: how many there are in all.
    """
    dice, left, runs, different = random.Random(1), kills, 0, 0  # noqa: S311
    started = time.monotonic()
    _process(package, source, folder / "whole").wait()
    seconds, expected = time.monotonic() - started, _tree(folder / "whole")
    while left > 0:
        output, runs = folder / f"killed-{runs}", runs + 1
        while True:
            process = _process(package, source, output)
            try:
                process.wait(dice.uniform(0, _LATEST) * seconds if left else None)
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                left -= 1
        different += _tree(output) != expected
    print(
        f"{kills} kills in {runs} runs: {runs - different} ended with the bytes of one not killed"
    )
    return 1 if different else 0


def _columns() -> list[str]:
    return [f"x{number}" for number in range(12)]


def _cost(run: Callable[[], None]) -> BatchCost:
    before, started = _cpu_seconds(), time.perf_counter()
    run()
    return BatchCost(time.perf_counter() - started, _cpu_seconds() - before)


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _run_floor(piece: Piece, package: Path, folder: Path) -> None:
    engine = _engine(package)
    path = folder / f"{id(piece)}-{random.getrandbits(64):x}.parquet"
    schema = pa.schema([("id", pa.int64()), ("prediction", pa.float64())])
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for batch in piece.batches():
            rows = np.column_stack([np.asarray(batch.column(name)) for name in _columns()])
            (answers,) = engine.run({"input": rows}).values()
            columns = [batch.column("id"), pa.array(np.ravel(answers))]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


@lru_cache(maxsize=1)
def _engine(package: Path) -> Any:
    opened = Package.open(package, None)
    return load_instances(opened.read_model(), opened.manifest, 1)


def _process(package: Path, source: Path, output: Path) -> "subprocess.Popen[bytes]":
    call = ["batch", "score", str(source), str(output), "--package", str(package)]
    return subprocess.Popen(
        [sys.executable, "-m", "gnomon", *call, "--workers", "1"], stdout=subprocess.DEVNULL
    )


def _tree(folder: Path) -> dict[str, bytes]:
    found = (path for path in (folder / "runs").rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
