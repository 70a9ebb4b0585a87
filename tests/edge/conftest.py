"""Small real packages: the builder is the one that the runtime's tests use."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from gnomon.runtime.signing import Signer, TrustStore


@pytest.fixture(scope="session")
def builder() -> ModuleType:
    path = Path(__file__).parents[1] / "runtime" / "conftest.py"
    spec = importlib.util.spec_from_file_location("gnomon_test_packages", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer.generate()


@pytest.fixture(scope="session")
def trust(signer: Signer) -> TrustStore:
    return TrustStore([signer.public_key])
