"""What has not passed a test deployment is neither placed nor rolled out."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import TEST_PREDICATE_TYPE, Signer
from gnomon.server.hub.process import Hub
from gnomon.server.hub.settings import HubAddresses, HubSettings

Make = Callable[..., Package]

LATER = "2026-03-02T00:00:00+00:00"


def outcome(package: Package, signer: Signer, passed: object, tested_at: str = LATER) -> bytes:
    predicate = {"passed": passed, "tested_at": tested_at}
    version = package.manifest.version
    return signer.sign_package(package.digest, "eta", version, predicate, TEST_PREDICATE_TYPE)


def place(caller: Any, version: str = "1") -> Any:
    return caller.http.post("/api/v1/placements", json={"model": "eta", "version": version})


@pytest.mark.parametrize(
    ("test_passed", "reason"),
    [
        (None, "has no test deployment that a trusted tester's key attests"),
        (False, "failed its test"),
    ],
)
def test_an_untested_version_is_refused(
    builder: Any, caller: Any, make: Make, test_passed: bool | None, reason: str
) -> None:
    builder.publish(make())
    assert place(caller).status_code == 201
    builder.publish(make("2", test_passed=test_passed))
    rolled = caller.http.post("/api/v1/rollouts", json={"model": "eta", "version": "2"})
    for answer in (place(caller, "2"), rolled):
        assert answer.status_code == 409
        assert f"onnx {reason}" in answer.json()["detail"]
        assert "gnomon package test" in answer.json()["detail"]
    assert [one["version"] for one in caller.get("placements")] == ["1"]
    assert caller.get("rollouts") == []


def test_a_test_by_a_key_that_is_not_trusted_counts_for_nothing(
    builder: Any, caller: Any, make: Make
) -> None:
    package = make(test_passed=None)
    builder.publish(package)
    builder.publish_digest(
        package.digest, *package.envelopes, outcome(package, Signer.generate(), passed=True)
    )
    assert "no test deployment" in place(caller).json()["detail"]


def test_the_newest_test_counts(builder: Any, caller: Any, make: Make, signer: Signer) -> None:
    package = make(test_passed=False)
    builder.publish(package)
    builder.publish_digest(package.digest, *package.envelopes, outcome(package, signer, True))
    assert place(caller).status_code == 201

    other = make("2")
    builder.publish(other)
    builder.publish_digest(other.digest, *other.envelopes, outcome(other, signer, False))
    assert LATER in place(caller, "2").json()["detail"]
    # Two machines in the same second, of which one failed.
    builder.publish_digest(other.digest, *other.envelopes, outcome(other, signer, True))
    assert place(caller, "2").status_code == 409


def test_every_format_must_have_passed(builder: Any, caller: Any, make: Make) -> None:
    builder.publish(make())
    builder.publish(make(format="tflite", test_passed=None))
    (fault,) = place(caller).json()["details"]
    assert fault["format"] == "tflite"


def test_what_is_not_there_is_unknown_and_not_untested(caller: Any) -> None:
    assert place(caller).status_code == 404


class TestALenientHub:
    @pytest.fixture
    def hub(self, settings: HubSettings) -> Iterator[Hub]:
        hub = Hub(replace(settings, promote_untested=True))
        hub.start()
        yield hub
        hub.stop()

    def test_it_takes_what_it_is_given(
        self, hub: Hub, caller_of: Callable[[HubAddresses], Any], builder: Any, make: Make
    ) -> None:
        builder.publish(make(test_passed=None))
        assert place(caller_of(hub.addresses)).status_code == 201
