"""The frontends under test, over one runtime with three models, and tritonclient beside them."""

from collections.abc import Iterator

import pytest

from gnomon.runtime.packages.package import Package
from tests.server.serving.conformance.asking import Worker
from tests.server.serving.conformance.house import House
from tests.server.serving.conformance.kinds_package import make_kinds_package
from tests.server.serving.conformance.wide_package import make_wide_package


@pytest.fixture(scope="session")
def house(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = make_kinds_package(tmp_path_factory.mktemp("kinds") / "kinds-1")
    wide = make_wide_package(tmp_path_factory.mktemp("wide") / "wide-1")
    house = House([package, made, wide])
    yield house
    house.close()


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()
