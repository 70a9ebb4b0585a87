"""The small package, which programs of other makers stand in front of."""

import pytest

from gnomon.runtime.packages.package import Package
from tests.support.packages import make_package


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_package(tmp_path_factory.mktemp("packages") / "eta-1", None)
