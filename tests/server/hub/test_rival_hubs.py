"""Two hubs over one database and one store: a version goes in through one of them only."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gnomon.runtime.errors import Conflict
from gnomon.runtime.packages.package import Package
from gnomon.server.hub import doctor
from gnomon.server.hub.process import Hub
from gnomon.server.hub.state import open_database
from gnomon.server.hub.store.blobs import Blobs
from gnomon.server.hub.store.rights import Actor, Grant, Role
from gnomon.server.hub.versions.registry import Registry
from tests.support.packages import linear_onnx

pytestmark = pytest.mark.both_databases

ROUNDS = 5

ADA = Actor("ada", (Grant(Role.BUILDER),))


@pytest.fixture
def registries(hub: Hub, tmp_path: Path) -> Iterator[list[Registry]]:
    settings = hub.services.settings
    databases = [open_database(settings) for _ in range(2)]
    yield [
        Registry(
            database,
            Blobs.in_folder(database, settings.data_folder / doctor.BLOBS),
            tmp_path / f"staging-{number}",
        )
        for number, database in enumerate(databases)
    ]
    for database in databases:
        database.close()


def test_of_two_hubs_one_takes_a_version_and_the_other_says_so(
    hub: Hub,
    registries: list[Registry],
    caller: Any,
    make: Callable[..., Package],
) -> None:
    for number in range(ROUNDS):
        weights = [[0.125, 0.1, 0.0, 10.0, bias] for bias in (0.0, 1.0)]
        rivals = [make(str(number), model=linear_onnx(one, 0.0)) for one in weights]
        together = threading.Barrier(len(rivals), timeout=30)
        outcomes: list[Any] = []

        def publish(
            registry: Registry,
            package: Package,
            together: threading.Barrier = together,
            outcomes: list[Any] = outcomes,
        ) -> None:
            registry.put_blobs(package.iter_blobs())
            together.wait()
            try:
                registry.publish(ADA, package.digest, package.envelopes)
                outcomes.append(package.digest)
            except Conflict as refusal:
                outcomes.append(refusal)

        threads = [
            threading.Thread(target=publish, args=pair)
            for pair in zip(registries, rivals, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        (taken,) = [one for one in outcomes if isinstance(one, str)]
        (told,) = [one for one in outcomes if isinstance(one, Conflict)]
        assert taken in str(told)
        found = caller.get(f"models/eta/versions/{number}")["packages"]
        assert [one["digest"] for one in found] == [taken]
    findings = doctor.examine(hub.services.database, hub.services.blobs)
    assert all(one.is_sound for one in findings)
