"""Fingerprints and profiles against DVC, whylogs and KLL: `python -m gnomon.bench.data.datasets`.

The peers run in an environment of their own, whose Python `--peers` names: `pip install dvc==3.67.1
whylogs==1.6.4 datasketches "numpy<2" "pandas<2.3" "pyarrow<19"`. All alternate over the same files,
which are in the page cache; the figures are the least of the rounds. DVC only computes its hashes
(`build(dry_run=True)`) and copies nothing.
"""

import argparse
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from gnomon.bench.data import dataset_peers
from gnomon.pipeline.datasets.file_cache import FileCache
from gnomon.pipeline.datasets.file_index import index_files, list_folder
from gnomon.pipeline.datasets.pieces import table_pieces
from gnomon.pipeline.datasets.record import fingerprint_rows
from gnomon.pipeline.profiles.pieces import profile_pieces
from gnomon.pipeline.profiles.spread import in_processes

__all__ = ["main"]

_SMALL_BYTES = 4096
_GROUP_ROWS = 250_000
_LEAST_RATIO = 3.0

Cost = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was done, by us and by a peer ("" for none); costs in seconds, clock and CPU."""

    what: str
    peer: str
    ours: Cost
    theirs: Cost

    def __str__(self) -> str:
        text = f"{self.what:44} {self.ours['seconds']:8.3f} s {self.ours['cpu_seconds']:8.3f} CPU s"
        if not self.peer:
            return text
        times = [self.theirs[key] / self.ours[key] for key in ("seconds", "cpu_seconds")]
        return (
            f"{text}   {self.peer:8} {self.theirs['seconds']:8.3f} s "
            f"{self.theirs['cpu_seconds']:8.3f} CPU s   x {times[0]:.2f}, CPU x {times[1]:.2f}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 if a peer is not undercut three times on the clock."""
    parser = argparse.ArgumentParser(prog="gnomon.bench.data.datasets", description=__doc__)
    parser.add_argument("--peers", default="", help="Python of an environment with the peers")
    parser.add_argument("--files", type=int, default=20_000, help="small files in the folder")
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of the table")
    parser.add_argument("--large-mib", type=int, default=512, help="size of the large file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, help="where to put the files (default: temporary)")
    options = parser.parse_args(arguments)
    with TemporaryDirectory(dir=options.folder) as folder:
        found = []
        for one in _compare(Path(folder), options):
            print(one, flush=True)
            found.append(one)
    slow = [
        one
        for one in found
        if one.peer and one.theirs["seconds"] < _LEAST_RATIO * one.ours["seconds"]
    ]
    return 1 if slow else 0


def _compare(folder: Path, options: Any) -> Iterator[Comparison]:
    small, large, table = _write_files(folder, options)
    workers = options.workers
    cache = FileCache(folder / "cache.sqlite")
    files = [(str(large), "large")]
    pieces = table_pieces([table])
    megabytes = f"{table.stat().st_size / 1e6:.0f} MB"
    work: dict[str, tuple[str, str, Callable[[], Any]]] = {
        f"{options.files} files of 4 KiB, first time": (
            "dvc",
            str(small),
            lambda: index_files(list_folder(small), None, workers),
        ),
        f"{options.files} files of 4 KiB, again": (
            "",
            "",
            lambda: index_files(list_folder(small), cache, workers),
        ),
        f"a file of {options.large_mib} MiB, by its bytes": (
            "dvc",
            str(large),
            lambda: index_files(files, None, workers),
        ),
        f"a Parquet file of {megabytes}, by its rows": (
            "dvc",
            str(table),
            lambda: fingerprint_rows(pieces, workers),
        ),
        "the same file read by Arrow alone": ("", "", lambda: _read(pieces)),
        f"a profile of {options.rows} rows of 12": (
            "whylogs",
            str(table),
            lambda: profile_pieces(pieces, run=in_processes(workers)),
        ),
        "the same, in one process": ("kll", str(table), lambda: profile_pieces(pieces)),
    }
    for what, (peer, path, ours) in work.items():
        yield _measure(what, peer, path, ours, options)


def _measure(what: str, peer: str, path: str, ours: Callable[[], Any], options: Any) -> Comparison:
    mine, theirs = [], []
    for _ in range(options.rounds):
        mine.append(dataset_peers.measure(ours))
        if peer and options.peers:
            theirs.append(_ask(options.peers, peer, path))
    peer = peer if theirs else ""
    return Comparison(what, peer, _least(mine), _least(theirs) if theirs else {})


def _ask(python: str, peer: str, path: str) -> Cost:
    done = subprocess.run(
        [python, dataset_peers.__file__, peer, path], capture_output=True, text=True, check=True
    )
    answer: Cost = json.loads(done.stdout.splitlines()[-1])
    return answer


def _least(costs: Sequence[Cost]) -> Cost:
    return {key: min(cost[key] for cost in costs) for key in costs[0]}


def _read(pieces: Sequence[Any]) -> None:
    for piece in pieces:
        for _ in piece.batches():
            pass


def _write_files(folder: Path, options: Any) -> tuple[Path, Path, Path]:
    rng = np.random.default_rng(0)
    small = folder / "small"
    for number in range(options.files):
        path = small / f"{number // 1000:04}" / f"{number:07}.bin"
        if not number % 1000:
            path.parent.mkdir(parents=True)
        path.write_bytes(rng.bytes(_SMALL_BYTES))
    large = folder / "large.bin"
    with large.open("wb") as file:
        for _ in range(options.large_mib):
            file.write(rng.bytes(1 << 20))
    table = folder / "table.parquet"
    schema = None
    writer = None
    for start in range(0, options.rows, _GROUP_ROWS):
        part = _rows(rng, min(_GROUP_ROWS, options.rows - start))
        schema = schema or part.schema
        writer = writer or pa.parquet.ParquetWriter(table, schema)
        writer.write_table(part, row_group_size=_GROUP_ROWS)
    if writer is not None:
        writer.close()
    return small, large, table


def _rows(rng: np.random.Generator, count: int) -> pa.Table:
    """Return rows of ten numbers, of which some are missing, and two categories."""
    columns: dict[str, Any] = {
        f"x{index}": pa.array(
            np.round(rng.lognormal(3, 1, count), 3), mask=rng.random(count) < 0.02
        )
        for index in range(7)
    }
    columns |= {f"n{index}": rng.integers(0, 1000 * (index + 1), count) for index in range(3)}
    for name, levels in (("carrier", 12), ("airport", 300)):
        codes = pa.array(rng.integers(0, levels, count))
        columns[name] = pa.array([f"{name}-{level}" for level in range(levels)]).take(codes)
    return pa.table(columns)


if __name__ == "__main__":
    raise SystemExit(main())
