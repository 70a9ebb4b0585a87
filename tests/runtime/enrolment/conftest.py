"""A real hub in a process of its own that can be killed."""

from collections.abc import Iterator

import pytest

from gnomon.runtime.packages.signing import Signer
from tests.support.hub_process import HubProcess


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    hub = HubProcess(tmp_path_factory.mktemp("hub"), Signer.generate())
    yield hub
    hub.kill()
