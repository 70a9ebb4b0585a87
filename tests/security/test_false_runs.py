"""The holder of a builder's key and certificate cannot invent the run of a strict risk tier."""

from typing import Any

import pytest

from gnomon.proto import registry_pb2
from gnomon.runtime.errors import UntrustedPackage
from gnomon.runtime.packages.package import Package
from tests.support.packages import record_run, run_of


@pytest.fixture
def package(make: Any) -> Package:
    """A package of a strict tier, whose builder's key states a run of committed code."""
    risky: Package = make("1", risk_tier="high")
    return risky


def test_a_run_that_the_hub_does_not_know_is_no_run(
    caller: Any, builder: Any, package: Package
) -> None:
    with pytest.raises(UntrustedPackage, match="is not recorded here; send it before the package"):
        builder.publish(package)
    record_run(caller, package)
    assert builder.publish(package)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "failed"}, "is recorded as failed"),
        ({"packages": []}, "is recorded to have made other packages"),
        ({"code_clean": False}, "other code_clean than stated"),
        ({"code_version": "git:1"}, "other code_version than stated"),
        ({"pipeline": "another"}, "other pipeline than stated"),
        ({"datasets": [{"fingerprint": "e" * 64}]}, "other datasets than stated"),
    ],
)
def test_a_run_is_recorded_as_it_is_stated(
    caller: Any, builder: Any, package: Package, changes: dict[str, Any], said: str
) -> None:
    record_run(caller, package, **changes)
    with pytest.raises(UntrustedPackage, match=said):
        builder.publish(package)


def test_who_publishes_does_not_record_the_run_too(
    caller: Any, builder: Any, package: Package
) -> None:
    """By its certificate a builder may record runs, but not those of what it publishes itself."""
    with pytest.raises(UntrustedPackage, match="is not recorded here"):
        builder.publish(package)
    record = {
        "id": run_of(package),
        "pipeline": "p",
        "trigger": "hand",
        "state": "succeeded",
        "started_at": 1,
        "ended_at": 2,
    }
    builder.registry_call("RecordRun", registry_pb2.RecordRunRequest(**record))
    with pytest.raises(UntrustedPackage, match="was recorded by 'ada' itself; another API key"):
        builder.publish(package)
