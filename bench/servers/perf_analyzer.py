"""Triton's load generator against our frontends: `python -m gnomon.bench.servers.perf_analyzer`.

It requests Triton's configuration and statistics and aborts if they are missing. That it runs is a
test of the protocol, and its figures are those that a Triton user would see. It comes with
tritonclient 2.41.0 from PyPI, is installed once into a virtual environment of its own, and needs
glibc 2.34 on x86-64 and Debian's package libb64-0d. A closed loop, one request at a time for each
unit of concurrency; the client shares the machine, and takes most of it.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gnomon.bench.servers.processes import Server
from gnomon.bench.servers.serving_package import LAYERS, make_package

__all__ = ["WAYS", "Figures", "find_program", "install", "main", "run"]

FOLDER = Path("build/perf_analyzer")
#: Later wheels of tritonclient have a placeholder in its place.
PACKAGES = ("tritonclient==2.41.0", "nvidia-cuda-runtime-cu12==12.9.79")
CONCURRENCY = (1, 8)
#: Its options by kind of request, and whether over REST.
WAYS = {
    "gRPC": ("-i", "grpc"),
    "gRPC, streaming": ("-i", "grpc", "--streaming", "--async"),
    "REST": ("-i", "http"),
}
_ROWS = 64
#: Deviation between windows, in percent, that is accepted: machines are shared.
_STABILITY = ("--stability-percentage", "60", "--max-trials", "12")


class Figures(NamedTuple):
    """Its result for one load: requests answered a second, and µs."""

    way: str
    concurrency: int
    per_second: float
    p50_us: float
    p99_us: float
    server_us: float

    def __str__(self) -> str:
        return (
            f"{self.way:16} {self.concurrency:3} at once {self.per_second:9.0f}/s"
            f"   p50 {self.p50_us:7.0f} µs   p99 {self.p99_us:7.0f} µs"
            f"   in the runtime {self.server_us:6.0f} µs"
        )


def find_program(folder: Path = FOLDER) -> Path | None:
    """Return the program if it is installed."""
    program = folder / "bin" / "perf_analyzer"
    return program if program.exists() else None


def install(folder: Path = FOLDER) -> Path:
    """Put the program into a virtual environment of its own, by pip; return it.

    Raises:
        subprocess.CalledProcessError: pip cannot get it.
    """
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", *PACKAGES]
    subprocess.run(command, check=True)
    return folder / "bin" / "perf_analyzer"


def run(
    program: Path, concurrency: Sequence[int] = CONCURRENCY, window_seconds: float = 2.0
) -> list[Figures]:
    """Measure the native and the REST frontend of one server by every kind of request.

    Raises:
        RuntimeError: the program reports a failure.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package = make_package(folder / "bench-1")
        command = [sys.executable, "-m", "gnomon", "serve", "--json"]
        command += ["--packages", str(package.path), "--port", "0", "--rest-port", "0"]
        server = Server(command)
        try:
            addresses = json.loads(server.address)
            data = _write_rows(folder / "rows.json")
            figures = []
            for way, options in WAYS.items():
                address = addresses["rest" if way == "REST" else "grpc"].removeprefix("http://")
                for number in concurrency:
                    more = [*options, "-u", address, "-p", str(round(window_seconds * 1000))]
                    more += ["--concurrency-range", str(number), "--input-data", str(data)]
                    figures.append(_measure(program, way, number, more, folder / "figures.csv"))
        finally:
            server.stop()
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Print its results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where it is installed")
    parser.add_argument("--concurrency", type=int, nargs="+", default=CONCURRENCY)
    given = parser.parse_args(arguments)
    program = find_program(given.folder) or install(given.folder)
    for figures in run(program, given.concurrency):
        print(figures)
    return 0


def _write_rows(path: Path) -> Path:
    """Write rows of good inputs, and return the file."""
    values = np.random.default_rng(7).normal(size=(_ROWS, LAYERS[0])).round(6)
    rows = [{f"x{place}": [value] for place, value in enumerate(row)} for row in values.tolist()]
    path.write_text(json.dumps({"data": rows}))
    return path


def _measure(
    program: Path, way: str, concurrency: int, options: Sequence[str], table: Path
) -> Figures:
    table.unlink(missing_ok=True)
    done = subprocess.run(
        [str(program), "-m", "bench", *_STABILITY, *options, "-f", str(table)],
        env={**os.environ, "LD_LIBRARY_PATH": str(_libraries(program))},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode or not table.exists():
        raise RuntimeError(f"perf_analyzer, {way}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    with table.open(newline="") as lines:
        (row,) = csv.DictReader(lines)
    return Figures(
        way,
        concurrency,
        float(row["Inferences/Second"]),
        float(row["p50 latency"]),
        float(row["p99 latency"]),
        float(row["Server Compute Infer"]),
    )


def _libraries(program: Path) -> Path:
    """Return the folder of the CUDA runtime that it is linked with, and does not use here."""
    (found,) = program.parent.parent.glob("lib/python*/site-packages/nvidia/cuda_runtime/lib")
    return found


if __name__ == "__main__":
    raise SystemExit(main())
