"""A node fetches what its environment was told to run, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest

from gnomon.runtime.errors import NotAllowed
from gnomon.runtime.packages.package import Package


def chunks(package: Package) -> list[str]:
    return [digest for digest, _ in package.iter_blobs()]


def test_a_node_fetches_what_it_was_assigned(
    caller: Any, builder: Any, node: Any, make: Callable[..., Package]
) -> None:
    one, two, three = (make(version) for version in ("1", "2", "3"))
    for package in (one, two, three):
        builder.publish(package)
    with pytest.raises(NotAllowed, match="may not fetch"):
        node.blobs(one.digest)
    caller.post("placements", model="eta", version="1")
    assert len(node.blobs(*chunks(one))) == len(chunks(one))
    caller.post("placements", model="eta", version="2")
    assert node.blobs(two.digest)
    # It may repair what it has in service, if it refused the newer one.
    assert node.blobs(one.digest)
    for wanted in ([three.digest], [two.digest, three.digest], ["0" * 64], ["../hub.db"], [""]):
        with pytest.raises(NotAllowed):
            node.blobs(*wanted)
    caller.http.post("/api/v1/rollouts", json={"model": "eta", "version": "3"}).raise_for_status()
    assert node.blobs(*chunks(three))


def test_a_node_fetches_nothing_of_another_environment(
    caller: Any, builder: Any, node: Any, make: Callable[..., Package]
) -> None:
    package = make("1")
    builder.publish(package)
    caller.post("placements", model="eta", version="1", environment="staging")
    with pytest.raises(NotAllowed, match="'production'"):
        node.blobs(package.digest)
    assert builder.blobs(package.digest)
