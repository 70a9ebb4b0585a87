"""A real package, and consumers in processes of their own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gnomon.runtime.packages.package import Package
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from tests.support.packages import make_package


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_package(tmp_path_factory.mktemp("packages") / "eta-1", None)


@pytest.fixture
def runtime(package: Any) -> Iterator[Runtime]:
    runtime = Runtime(MemorySink())
    runtime.load(package)
    runtime.apply([single("eta", package.digest)])
    yield runtime
    runtime.close()


@pytest.fixture
def start(package: Any, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start `gnomon stream` with settings by name."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(stdin: Any = subprocess.DEVNULL, **settings: Any) -> subprocess.Popen[bytes]:
        flags = [
            text
            for name, value in {"packages": package.path, **settings}.items()
            for text in (f"--{name.replace('_', '-')}", str(value))
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", "gnomon", "stream", "--json", *flags],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait(timeout=20)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
