"""A frontend over a real package on a real socket, in this process or in one of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from gnomon.runtime.packages.package import Package
from tests.support.packages import make_package
from tests.support.serving import Served, ServerProcesses, rest_client


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_package(tmp_path_factory.mktemp("packages") / "eta-1", None)


@pytest.fixture
def served(package: Package) -> Iterator[Served]:
    served = Served(package)
    yield served
    served.close()


@pytest.fixture
def rest(served: Served) -> Iterator[httpx.Client]:
    with rest_client(served) as client:
        yield client


@pytest.fixture
def server(package: Package) -> Iterator[Callable[..., Any]]:
    """Start servers in processes of their own; gives (process, address)."""
    processes = ServerProcesses(package)
    yield processes.start
    processes.close()
