"""Test deployments are attested by a key of role tester, not by the builder of the package."""

from typing import Any

import pytest

from gnomon.runtime.errors import UntrustedPackage
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import TEST_PREDICATE_TYPE, Signer
from tests.support.packages import record_run

PASSED = {"passed": True, "tested_at": "2026-03-02T00:00:00+00:00"}


@pytest.fixture
def tester() -> Signer:
    return Signer.generate()


def trust(caller: Any, key: Signer, models: str = "*") -> None:
    caller.post("keys", key=key.public_key.hex(), role="tester", models=models)


def attest(builder: Any, package: Package, tester: Signer) -> None:
    """Publish a package once more, with a tester's word."""
    about = (package.digest, package.manifest.name, package.manifest.version)
    envelope = tester.sign_package(*about, PASSED, TEST_PREDICATE_TYPE)
    builder.publish_digest(package.digest, *package.envelopes, envelope)


def refusal(caller: Any, version: str = "1") -> str:
    """Return why eta cannot be placed; empty if it can."""
    answer = caller.http.post(
        "/api/v1/placements", json={"model": "eta", "version": version, "environment": "staging"}
    )
    return "" if answer.status_code == 201 else str(answer.json()["detail"])


def test_a_builder_attests_no_test_once_there_are_testers(
    caller: Any, builder: Any, make: Any, tester: Signer
) -> None:
    """Also after the last tester's key was revoked: a theft must not bring the builder's back."""
    package = make("1")
    builder.publish(package)
    assert refusal(caller) == ""
    builder.publish(make("2"))
    trust(caller, tester)
    attest(builder, package, tester)
    assert refusal(caller) == ""
    assert "no test deployment that a trusted tester's key attests" in refusal(caller, "2")
    caller.http.delete(f"/api/v1/keys/{tester.public_key.hex()}").raise_for_status()
    assert "no test deployment" in refusal(caller)


def test_a_risky_package_needs_a_testers_word(
    caller: Any, builder: Any, make: Any, tester: Signer
) -> None:
    package = make("1", risk_tier="high")
    record_run(caller, package)
    builder.publish(package)
    assert "`gnomon hub trust KEY --role tester`" in refusal(caller)
    trust(caller, tester)
    attest(builder, package, tester)
    assert refusal(caller) == ""


def test_a_tester_speaks_for_its_models_only(
    caller: Any, builder: Any, make: Any, tester: Signer
) -> None:
    other = Signer.generate()
    trust(caller, other, "toy-*")
    package = make("1")
    builder.publish(package)
    assert refusal(caller) == ""  # there is no tester for this model
    trust(caller, tester, "eta")
    attest(builder, package, other)
    assert "no test deployment" in refusal(caller)


def test_a_testers_key_signs_no_package(caller: Any, builder: Any, make: Any, tester: Any) -> None:
    trust(caller, tester)
    with pytest.raises(UntrustedPackage):
        builder.publish(make("1", signer=tester))
    assert tester.public_key.hex() not in caller.get("trust")["package_keys"]
