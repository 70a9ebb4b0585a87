"""The small package of `tests.support.packages`, written into each test's folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.profile import Profile
from gnomon.runtime.packages.signing import Signer, TrustStore
from tests.support.packages import linear_onnx, make_package, make_profile


@pytest.fixture
def signer() -> Signer:
    return Signer.generate()


@pytest.fixture
def trust(signer: Signer) -> TrustStore:
    return TrustStore([signer.public_key])


@pytest.fixture
def write(tmp_path: Path, signer: Signer) -> Callable[..., Package]:
    """Write the small package under a name, signed unless told otherwise."""

    def write(name: str = "eta-1", **options: Any) -> Package:
        return make_package(tmp_path / name, options.pop("signer", signer), **options)

    return write


@pytest.fixture
def package(write: Callable[..., Package]) -> Package:
    return write()


@pytest.fixture
def linear() -> Callable[[list[float], float], bytes]:
    return linear_onnx


@pytest.fixture
def profile() -> Profile:
    return make_profile()
