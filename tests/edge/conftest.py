"""Small real packages, and a real hub in a process of its own that can be killed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gnomon.runtime.packages.signing import Signer, TrustStore
from tests.support.hub_process import HubProcess
from tests.support.node_story import Story


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer.generate()


@pytest.fixture(scope="session")
def trust(signer: Signer) -> TrustStore:
    return TrustStore([signer.public_key])


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory, signer: Signer) -> Iterator[HubProcess]:
    hub = HubProcess(tmp_path_factory.mktemp("hub"), signer)
    yield hub
    hub.kill()


@pytest.fixture
def story(
    hub: Any,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    signer: Signer,
) -> Story:
    return Story(hub, request.node.name[5:40], tmp_path, signer)
